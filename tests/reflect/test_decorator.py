"""``@reflect_trace``: every call of the function is traced."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import ConfigurationError, InvalidRequest, JobFailed
from reflexio_async.reflect.decorator import TraceResult, reflect_trace
from tests.reflect.scene import scene as reflecting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from reflexio_async.reflect.trace_context import TraceContext
    from tests.reflect.scene import Scene

MESSAGES = [{"role": "user", "content": "6 times 7"}, {"role": "assistant", "content": "42"}]


async def stored_trace(scene: Scene) -> Any:
    """The only trace that was sent, as the server has stored it."""
    assert scene.sent() == 1
    traces = [*scene.box.reflect.traces(), *scene.box.reflect.queued]
    return await scene.client.wait_for_trace(traces[0].id)


async def test_returned_text_is_sent_as_the_trajectory_and_the_final_response() -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client)
        async def answer(_ctx: TraceContext, question: str) -> str:
            return f"{question}: 42"

        assert await answer("6 times 7") == "6 times 7: 42"
        assert scene.trajectories() == ["6 times 7: 42"]
        trace = await stored_trace(scene)
        assert (trace.task, trace.final_response, trace.review_status) == (
            "6 times 7",
            "6 times 7: 42",
            "pending",
        )


async def test_a_trace_result_is_sent_and_its_output_is_returned() -> None:
    async with reflecting() as scene:
        memory = scene.box.reflect.seed_memory("6 times 7", guidance="Multiply.")

        @reflect_trace(scene.client)
        async def answer(ctx: TraceContext, _question: str) -> TraceResult[int]:
            assert "Multiply." in ctx.augmented_task
            return TraceResult(42, MESSAGES, "fail", "off by one", model="fake-1", metadata={"run": 7})

        assert await answer("6 times 7") == 42
        trace = await stored_trace(scene)
        assert (trace.trajectory, trace.model, trace.metadata) == (MESSAGES, "fake-1", {"run": 7})
        assert (trace.review.result, trace.review.feedback_text) == ("fail", "off by one")
        assert trace.retrieved_memory_ids == [memory.id]
        assert trace.final_response == "42"  # which the server takes from the trajectory


async def test_the_options_of_trace_hold_for_every_call() -> None:
    async with reflecting() as scene:
        memory = scene.box.reflect.seed_memory("6 times 7", metadata={"subject": "sums"})

        @reflect_trace(
            scene.client,
            metadata_filter={"subject": "sums"},
            blocking=True,
            metadata={"run": 7},
            reference_context="a table",
            alpha=0.5,
        )
        async def answer(ctx: TraceContext, _question: str) -> TraceResult[str]:
            assert ctx.memory_ids == [memory.id]
            return TraceResult("42", MESSAGES, "pass")

        await answer("6 times 7")
        [trace] = scene.box.reflect.traces()
        assert (trace.metadata, trace.reference_context) == ({"run": 7}, "a table")
        assert memory.q_value == 0.75


async def test_an_output_that_is_text_is_the_final_response() -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client, task="multiply")
        async def answer(_ctx: TraceContext) -> TraceResult[str]:
            return TraceResult("It is 42.", MESSAGES)

        assert await answer() == "It is 42."
        assert (await stored_trace(scene)).final_response == "It is 42."


@pytest.mark.parametrize("value", [None, 42, ["a"], b"bytes", {"role": "user"}], ids=repr)
async def test_other_values_are_returned_and_send_nothing(value: object) -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client)
        async def answer(_ctx: TraceContext, _question: str) -> object:
            return value

        assert await answer("6 times 7") is value
        assert scene.sent() == 0


async def test_an_output_set_by_the_function_is_sent() -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client)
        async def answer(ctx: TraceContext, _question: str) -> str:
            ctx.set_output(trajectory=MESSAGES, result="pass")
            return "something else"

        assert await answer("6 times 7") == "something else"
        trace = await stored_trace(scene)
        assert (trace.trajectory, trace.review.result) == (MESSAGES, "pass")


async def test_the_task_may_be_a_text() -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client, task="multiply")
        async def answer(ctx: TraceContext, _left: int, *, right: int) -> str:
            return f"{ctx.task} {right}"

        assert await answer(6, right=7) == "multiply 7"


async def test_the_task_may_be_a_function_of_the_arguments() -> None:
    async with reflecting() as scene:

        def task(left: int, *, right: int = 7) -> str:
            return f"{left} times {right}"

        @reflect_trace(scene.client, task=task)
        async def answer(ctx: TraceContext, _left: int, *, right: int = 7) -> str:
            return f"{ctx.task}, {right}"

        assert await answer(6, right=8) == "6 times 8, 8"


async def test_the_task_is_the_first_argument_by_position_by_name_or_by_default() -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client)
        async def answer(ctx: TraceContext, question: str = "by default", times: int = 1) -> str:
            assert ctx.task == question
            return ctx.task * times

        assert await answer("by position", 2) == "by positionby position"
        assert await answer(times=1, question="by name") == "by name"
        assert await answer() == "by default"


@pytest.mark.parametrize("question", [None, 42, ["6 times 7"]], ids=repr)
async def test_a_first_argument_that_is_no_text_is_refused_before_any_request(question: Any) -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client)
        async def answer(_ctx: TraceContext, question: str) -> str:
            return question

        with pytest.raises(
            InvalidRequest, match="answer: its argument question is the task and must be text"
        ):
            await answer(question)
        assert not scene.box.requests


async def test_a_function_may_take_no_context() -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client, inject_context=False)
        async def answer(question: str) -> str:
            return question.upper()

        assert await answer("six") == "SIX"
        assert (await stored_trace(scene)).task == "six"


async def test_methods_can_be_decorated_without_the_context() -> None:
    async with reflecting() as scene:

        def task(_agent: object, question: str) -> str:
            return f"multiply: {question}"

        class Agent:
            name = "Multiplier"

            @reflect_trace(scene.client, task=task, inject_context=False)
            async def answer(self, question: str) -> str:
                return f"{self.name}: {question}"

        assert await Agent().answer("6 times 7") == "Multiplier: 6 times 7"
        assert (await stored_trace(scene)).task == "multiply: 6 times 7"


async def test_a_method_with_a_context_is_refused() -> None:
    async with reflecting() as scene:

        class Agent:
            async def answer(self, _ctx: TraceContext, question: str) -> str:
                return question

            @classmethod
            async def make(cls, _ctx: TraceContext, question: str) -> str:
                return question

        said = r"Agent\.answer is a method: pass inject_context=False \(and task=lambda self, …: …\)"
        answer: Any = Agent.answer
        for task in (None, "multiply"):
            with pytest.raises(TypeError, match=said):
                reflect_trace(scene.client, task=task)(answer)
        make: Any = vars(Agent)["make"].__func__  # as @classmethod above @reflect_trace has it
        with pytest.raises(TypeError, match=r"Agent\.make is a method: .*task=lambda cls, …: …"):
            reflect_trace(scene.client)(make)


async def test_a_method_without_a_task_is_refused() -> None:
    async with reflecting() as scene:

        class Agent:
            async def answer(self, question: str) -> str:
                return question

        with pytest.raises(TypeError, match=r"Agent\.answer is a method: pass task=lambda self, …: …"):
            reflect_trace(scene.client, inject_context=False)(Agent.answer)


async def test_a_method_may_have_a_fixed_task() -> None:
    async with reflecting() as scene:

        class Agent:
            @reflect_trace(scene.client, task="multiply", inject_context=False)
            async def answer(self, question: str) -> str:
                return question

        assert await Agent().answer("6 times 7") == "6 times 7"
        assert (await stored_trace(scene)).task == "multiply"


async def test_bound_methods_and_static_functions_take_the_context_first() -> None:
    async with reflecting() as scene:

        class Agent:
            name = "Multiplier"

            async def answer(self, ctx: TraceContext, question: str) -> str:
                return f"{self.name}: {ctx.task} is {question}"

            @staticmethod
            @reflect_trace(scene.client)
            async def alone(ctx: TraceContext, question: str) -> str:
                return f"{ctx.task} is {question}"

        answer = reflect_trace(scene.client)(Agent().answer)
        assert await answer("6 times 7") == "Multiplier: 6 times 7 is 6 times 7"
        assert await Agent().alone("6 times 7") == "6 times 7 is 6 times 7"


async def test_the_signature_has_no_context() -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client)
        async def answer(_ctx: TraceContext, question: str, *, times: int = 1) -> str:
            """Answer a question."""
            return question * times

        assert list(inspect.signature(answer).parameters) == ["question", "times"]
        assert (answer.__name__, answer.__doc__) == ("answer", "Answer a question.")
        assert inspect.iscoroutinefunction(answer)


async def test_an_exception_is_raised_after_the_output_was_sent_as_failed() -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client)
        async def answer(ctx: TraceContext, _question: str) -> str:
            ctx.set_output(trajectory=MESSAGES)
            message = "the calculator broke"
            raise LookupError(message)

        with pytest.raises(LookupError):
            await answer("6 times 7")
        review = (await stored_trace(scene)).review
        assert (review.result, review.feedback_text) == ("fail", "the calculator broke")


async def test_an_exception_before_any_output_sends_nothing() -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client)
        async def answer(_ctx: TraceContext, _question: str) -> str:
            raise LookupError

        with pytest.raises(LookupError):
            await answer("6 times 7")
        assert scene.sent() == 0


async def test_a_blocking_call_returns_when_the_memory_is_made() -> None:
    async with reflecting(ingest_seconds=5.0, review_seconds=3.0) as scene:

        @reflect_trace(scene.client, blocking=True)
        async def answer(_ctx: TraceContext, _question: str) -> TraceResult[str]:
            return TraceResult("42", MESSAGES, "pass")

        await answer("6 times 7")
        assert len(scene.box.reflect.memories()) == 1


async def test_a_blocking_call_raises_when_the_trace_fails() -> None:
    async with reflecting(failing_tasks=["6 times 7"]) as scene:

        @reflect_trace(scene.client, blocking=True)
        async def answer(_ctx: TraceContext, question: str) -> str:
            return question

        with pytest.raises(JobFailed):
            await answer("6 times 7")


async def test_an_unusable_trace_result_is_refused() -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client)
        async def answer(_ctx: TraceContext, _question: str) -> TraceResult[str]:
            return TraceResult("42", MESSAGES, result="maybe")

        with pytest.raises(InvalidRequest, match="set_output: result: must be 'pass' or 'fail'"):
            await answer("6 times 7")
        assert scene.sent() == 0


async def test_concurrent_calls_are_separate_runs() -> None:
    async with reflecting() as scene:

        @reflect_trace(scene.client)
        async def answer(ctx: TraceContext, question: str) -> str:
            await asyncio.sleep(0)
            return f"{ctx.task} is {question}"

        questions = [f"question {number}" for number in range(30)]
        assert await asyncio.gather(*map(answer, questions)) == [f"{one} is {one}" for one in questions]
        assert scene.sent() == 30


def plain(_ctx: TraceContext, question: str) -> str:
    return question


async def stream(_ctx: TraceContext, question: str) -> AsyncIterator[str]:
    yield question


class Callee:
    async def __call__(self, _ctx: TraceContext, question: str) -> str:
        return question


@pytest.mark.parametrize("function", [plain, stream, Callee()], ids=["def", "generator", "object"])
async def test_only_coroutine_functions_can_be_decorated(
    function: Callable[..., Coroutine[Any, Any, str]],
) -> None:
    async with reflecting() as scene:
        with pytest.raises(TypeError, match=r"@reflect_trace: .* is not an `async def` function"):
            reflect_trace(scene.client)(function)


async def test_a_function_without_arguments_needs_a_task() -> None:
    async with reflecting() as scene:

        async def answer(_ctx: TraceContext, *, question: str = "") -> str:
            return question

        with pytest.raises(TypeError, match=r"answer takes no argument that could be the task; pass task="):
            reflect_trace(scene.client)(answer)


@pytest.mark.parametrize("options", [{"task": " "}, {"limit": 0}, {"lambda_": 2}, {"task": 3}], ids=repr)
async def test_unusable_options_are_refused_by_the_decorator(options: dict[str, Any]) -> None:
    async with reflecting() as scene:
        with pytest.raises(InvalidRequest, match=next(iter(options)).strip("_")):
            reflect_trace(scene.client, **options)
        assert not scene.box.requests


def test_a_decorator_without_its_client_says_how_to_write_it() -> None:
    without_client: Any = reflect_trace

    async def answer(_ctx: TraceContext, question: str) -> str:
        return question

    with pytest.raises(ConfigurationError, match=r"^write @reflect_trace\(client\)"):
        without_client(answer)
