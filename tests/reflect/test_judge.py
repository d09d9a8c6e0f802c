"""``judge=``: a function of the user reviews a run when it ends."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from reflexio_async import InvalidRequest
from reflexio_async.reflect.decorator import TraceResult, reflect_trace
from tests.hang import A_HANG
from tests.reflect.scene import scene as reflecting

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async import BackgroundErrorEvent
    from reflexio_async.reflect.judge import Judge
    from reflexio_async.reflect.trace_context import TraceContext
    from tests.reflect.scene import Scene

TASK = "6 times 7"
MESSAGES = [{"role": "user", "content": TASK}, {"role": "assistant", "content": "42"}]
NOT_FOUND = "no such answer"


def is_right(_task: str, answer: str) -> bool:
    return answer == "42"


def returning(value: Any) -> Callable[[str, str], Any]:
    """A judge that returns ``value``."""
    return lambda _task, _answer: value


def of_one_argument(_answer: str) -> bool:
    return True


def of_three_arguments(_task: str, _answer: str, *, strict: bool) -> bool:
    return strict


def unused(_task: str, _answer: str) -> None:
    pytest.fail("the judge was called")


async def review_of(scene: Scene, judge: Judge | None, *, alpha: float | None = None, **output: Any) -> Any:
    """The review of a run, as the server has stored it."""
    given: dict[str, Any] = {"trajectory": MESSAGES, **output}
    async with scene.client.trace(TASK, judge=judge, alpha=alpha, blocking=True) as ctx:
        ctx.set_output(**given)
    return (await scene.client.get_trace(ctx.trace_id or "")).review


@pytest.mark.parametrize(
    ("returned", "result", "feedback"),
    [
        ("pass", "pass", None),
        ("failure", "fail", None),
        (True, "pass", None),
        (False, "fail", None),
        (("fail", "off by one"), "fail", "off by one"),
        ((True, None), "pass", None),
    ],
)
async def test_a_verdict_becomes_the_review(returned: Any, result: str, feedback: str | None) -> None:
    async with reflecting() as scene:
        review = await review_of(scene, returning(returned))
        assert (review.result, review.feedback_text) == (result, feedback)


@pytest.mark.parametrize("returned", [None, (None, "cannot say")])
async def test_without_a_verdict_the_trace_has_no_review(returned: Any) -> None:
    async with reflecting() as scene:
        assert await review_of(scene, returning(returned)) is None
        assert scene.sent() == 1


async def test_a_coroutine_function_is_awaited_on_the_event_loop() -> None:
    threads: list[int] = []

    async def judge(_task: str, answer: str) -> str:
        await asyncio.sleep(0)
        threads.append(threading.get_ident())
        return "pass" if answer == "42" else "fail"

    async with reflecting() as scene:
        assert (await review_of(scene, judge)).result == "pass"
        assert (await review_of(scene, lambda task, answer: judge(task, answer + "!"))).result == "fail"
    assert set(threads) == {threading.get_ident()}


async def test_an_ordinary_function_does_not_block_the_event_loop() -> None:
    loop_went_on = threading.Event()

    def judge(_task: str, _answer: str) -> bool:
        return loop_went_on.wait(A_HANG)

    async with reflecting() as scene:
        asyncio.get_running_loop().call_later(0.05, loop_went_on.set)
        assert (await review_of(scene, judge)).result == "pass"


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ({}, "42"),
        ({"final_response": "It is 42."}, "It is 42."),
        ({"trajectory": "User: 6 times 7\nAssistant: 42"}, "User: 6 times 7\nAssistant: 42"),
        ({"trajectory": []}, ""),
        ({"trajectory": [{"role": "assistant"}]}, ""),
        ({"trajectory": [*MESSAGES, {"role": "assistant"}, {"role": "tool", "content": "ok"}]}, "42"),
    ],
)
async def test_the_judge_gets_the_task_and_the_final_response_or_the_last_text_of_the_assistant(
    output: dict[str, Any], answer: str
) -> None:
    seen: list[tuple[str, str]] = []
    async with reflecting() as scene:
        await review_of(scene, lambda task, answer: seen.append((task, answer)), **output)
    assert seen == [(TASK, answer)]


async def test_the_judge_gets_the_task_of_the_output() -> None:
    seen: list[str] = []
    async with reflecting() as scene:
        await review_of(scene, lambda task, _answer: seen.append(task), task="multiply 6 by 7")
    assert seen == ["multiply 6 by 7"]


@pytest.mark.parametrize(
    ("options", "alpha"),
    [({}, 0.1), ({"alpha": 0.5}, 0.5)],
)
async def test_a_verdict_moves_q_values_by_a_tenth_unless_alpha_is_given(
    options: dict[str, float], alpha: float
) -> None:
    async with reflecting() as scene:
        memory = scene.box.reflect.seed_memory(TASK, guidance="Multiply.")
        await review_of(scene, is_right, **options)
        assert memory.q_value == pytest.approx(0.5 + alpha * (1 - 0.5))


async def test_the_alpha_of_the_output_wins() -> None:
    async with reflecting() as scene:
        memory = scene.box.reflect.seed_memory(TASK, guidance="Multiply.")
        async with scene.client.trace(TASK, judge=is_right, alpha=0.5, blocking=True) as ctx:
            ctx.set_output(trajectory=MESSAGES, alpha=0.2)
        assert memory.q_value == pytest.approx(0.6)


async def test_an_explicit_result_wins_and_the_judge_is_not_called() -> None:
    async with reflecting() as scene:
        assert (await review_of(scene, unused, result="fail")).result == "fail"


async def test_the_feedback_of_the_output_stands_beside_a_verdict_without_feedback() -> None:
    async with reflecting() as scene:
        assert (await review_of(scene, is_right, feedback_text="quick")).feedback_text == "quick"
        pair = await review_of(scene, returning(("fail", "slow")), feedback_text="quick")
        assert pair.feedback_text == "slow"


async def test_a_run_that_raised_is_failed_without_the_judge() -> None:
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK, judge=unused, blocking=True)
        ctx.set_output(trajectory=MESSAGES)
        await ctx.close(LookupError("no such table"))
        review = (await scene.client.get_trace(ctx.trace_id or "")).review
        assert review is not None
        assert (review.result, review.feedback_text) == ("fail", "no such table")


async def test_without_an_output_the_judge_is_not_called() -> None:
    async with reflecting() as scene:
        async with scene.client.trace(TASK, judge=unused):
            pass
        assert scene.sent() == 0


def raising(_task: str, _answer: str) -> None:
    raise LookupError(NOT_FOUND)


async def raising_later(_task: str, _answer: str) -> None:
    raise LookupError(NOT_FOUND)


@pytest.mark.parametrize(
    ("judge", "error", "message"),
    [
        (raising, "LookupError", NOT_FOUND),
        (raising_later, "LookupError", NOT_FOUND),
        (returning("maybe"), "InvalidRequest", "must be 'pass' or 'fail'"),
        (returning(1), "InvalidRequest", "result"),
        (returning(("pass", 3)), "InvalidRequest", "feedback_text"),
        (returning(("pass", "a", "b")), "InvalidRequest", "result"),
    ],
    ids=["raises", "raises later", "another word", "a number", "feedback is no text", "three values"],
)
async def test_the_error_of_a_judge_is_reported_and_the_trace_is_sent_without_a_review(
    judge: Any, error: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    reported: list[BackgroundErrorEvent] = []
    async with reflecting(client={"on_background_error": reported.append}) as scene:
        assert await review_of(scene, judge) is None
        assert scene.sent() == 1
        assert scene.client._engine.tasks.errors == 1
    assert [type(event.error).__name__ for event in reported] == [error]
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.getMessage().startswith(f"the judge of a trace failed in the background: {error}: ")
    assert message in record.getMessage()


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_cancelling_a_run_that_is_being_judged_ends_it_at_once_and_sends_nothing(
    *, asynchronous: bool
) -> None:
    begun, over = threading.Event(), threading.Event()

    def judge(_task: str, _answer: str) -> None:
        begun.set()
        over.wait(10 * A_HANG)

    async def judge_later(_task: str, _answer: str) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with reflecting() as scene:
        chosen: Callable[[str, str], Any] = judge_later if asynchronous else judge
        run = asyncio.create_task(review_of(scene, chosen))
        try:
            await asyncio.to_thread(begun.wait, 10)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
        finally:
            over.set()
        assert scene.sent() == 0


async def test_a_cancel_scope_of_anyio_does_not_wait_for_the_thread_of_a_judge() -> None:
    over = threading.Event()
    async with reflecting() as scene:
        try:
            with anyio.move_on_after(0.1) as cancelled:
                await review_of(scene, lambda _task, _answer: over.wait(10 * A_HANG))
            assert cancelled.cancelled_caught
            assert not over.is_set()
            assert time.monotonic() < cancelled.deadline + A_HANG  # both are the clock of the event loop
        finally:
            over.set()


async def test_an_opened_trace_is_judged_when_it_is_closed() -> None:
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK, judge=is_right, blocking=True)
        ctx.set_output(trajectory=MESSAGES)
        await ctx.close()
        assert (await scene.client.get_trace(ctx.trace_id or "")).review is not None


async def test_a_decorated_function_is_judged_in_every_call() -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client, judge=is_right, blocking=True)
        async def answer(_ctx: TraceContext, question: str) -> str:
            return "42" if question == TASK else "about 40"

        @reflect_trace(scene.client, judge=is_right, blocking=True)
        async def answer_number(_ctx: TraceContext, _question: str) -> TraceResult[int]:
            return TraceResult(42, MESSAGES)

        await answer(TASK)
        await answer("7 times 6")
        await answer_number("42 divided by 1")
        reviews = {trace.task: trace.review for trace in await scene.client.list_traces()}
        results = {task: review and review.result for task, review in reviews.items()}
        assert results == {TASK: "pass", "7 times 6": "fail", "42 divided by 1": "pass"}


@pytest.mark.parametrize(
    ("judge", "says"),
    [
        ("pass", "must be a function of task and answer, not str"),
        (of_one_argument, "must take two arguments"),
        (of_three_arguments, "must take two arguments"),
    ],
    ids=["no function", "one argument", "one argument more"],
)
async def test_an_unusable_judge_is_refused_at_once(judge: Any, says: str) -> None:
    async with reflecting() as scene:
        with pytest.raises(InvalidRequest, match=f"^trace: judge {says}"):
            scene.client.trace(TASK, judge=judge)
        with pytest.raises(InvalidRequest, match=f"^open_trace: judge {says}"):
            await scene.client.open_trace(TASK, judge=judge)
        with pytest.raises(InvalidRequest, match=says):
            reflect_trace(scene.client, judge=judge)
