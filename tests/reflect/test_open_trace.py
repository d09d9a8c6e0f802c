"""``open_trace`` and ``close``: a run that is entered in one function and left in another."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    AsyncReflectClient,
    ClientClosed,
    ConfigurationError,
    InvalidRequest,
    JobFailed,
    ServerError,
)
from reflexio_async.sandbox import faults
from tests.reflect.scene import TRACES
from tests.reflect.scene import scene as reflecting

if TYPE_CHECKING:
    from reflexio_async import TraceContext

TASK = "count the rows of the orders table"
TEXT = f"User: {TASK}\nAssistant: 42"
QUERY = "/v1/projects/default/memory/query"


async def stored_trace(ctx: TraceContext) -> Any:
    """The trace that was sent, as the server has stored it."""
    assert ctx.job is not None
    return await ctx.job


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


async def test_an_opened_trace_has_its_memories() -> None:
    async with reflecting() as scene:
        seeded = scene.box.reflect.seed_memory(TASK, guidance="Use COUNT(*)")
        ctx = await scene.client.open_trace(TASK)
        assert ctx.memory_ids == ctx.retrieved_memory_ids == [seeded.id]
        assert "Use COUNT(*)" in ctx.augmented_task
        await ctx.close()


async def test_closing_sends_the_output_with_the_ids_of_the_memories() -> None:
    async with reflecting() as scene:
        memory = scene.box.reflect.seed_memory(TASK, guidance="Use COUNT(*)")
        ctx = await scene.client.open_trace(TASK, metadata={"run": 7}, alpha=0.5)
        ctx.set_output(trajectory=TEXT, result="pass", task="count the orders")
        assert scene.sent() == 0
        await ctx.close()
        trace = await stored_trace(ctx)
        assert (trace.task, trace.metadata, trace.review.result) == ("count the orders", {"run": 7}, "pass")
        assert trace.retrieved_memory_ids == [memory.id]
        assert memory.q_value == 0.75


def test_it_takes_the_arguments_of_trace() -> None:
    trace, opened = (
        inspect.signature(call) for call in (AsyncReflectClient.trace, AsyncReflectClient.open_trace)
    )
    assert opened.parameters == trace.parameters


async def test_tasks_of_the_same_loop_may_open_and_close_it() -> None:
    async with reflecting() as scene:
        ctx = await asyncio.create_task(scene.client.open_trace(TASK))

        async def end() -> None:
            ctx.set_output(trajectory=TEXT, result="pass")
            await ctx.close()

        await asyncio.create_task(end())
        assert (await stored_trace(ctx)).review_status == "reviewed"


async def test_a_second_close_does_nothing() -> None:
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK)
        ctx.set_output(trajectory=TEXT)
        await ctx.close()
        await ctx.close(LookupError("too late"))
        assert scene.sent() == 1


async def test_simultaneous_closes_send_one_trace() -> None:
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK)
        ctx.set_output(trajectory=TEXT)
        await asyncio.gather(*(ctx.close() for _ in range(3)))
        assert scene.sent() == 1


async def test_a_block_whose_trace_was_closed_inside_sends_it_once() -> None:
    async with reflecting() as scene:
        async with scene.client.trace(TASK) as ctx:
            ctx.set_output(trajectory=TEXT)
            await ctx.close()
        assert scene.sent() == 1


async def test_closing_without_an_output_sends_nothing_and_is_no_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK)
        await ctx.close()
        assert (scene.sent(), ctx.trace_id) == (0, None)
    assert [level for level, _ in logged(caplog) if level in ("WARNING", "ERROR")] == []


async def test_an_output_after_closing_is_refused() -> None:
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK)
        await ctx.close()
        with pytest.raises(
            InvalidRequest, match="set_output: call it after entering and before leaving the run; it is left"
        ):
            ctx.set_output(trajectory=TEXT)


async def test_an_opened_trace_cannot_be_entered_again() -> None:
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK)
        with pytest.raises(InvalidRequest, match="was entered already"):
            await ctx.__aenter__()
        await ctx.close()


async def test_a_trace_that_is_not_entered_cannot_be_closed() -> None:
    async with reflecting() as scene:
        with pytest.raises(InvalidRequest, match="close: enter the run first"):
            await scene.client.trace(TASK).close()


async def test_the_memories_can_be_read_after_closing() -> None:
    async with reflecting() as scene:
        seeded = scene.box.reflect.seed_memory(TASK)
        ctx = await scene.client.open_trace(TASK)
        await ctx.close()
        assert ctx.memory_ids == [seeded.id]


async def test_unusable_arguments_are_refused_with_the_name_of_the_call() -> None:
    async with reflecting() as scene:
        with pytest.raises(InvalidRequest, match=r"open_trace: metadata"):
            await scene.client.open_trace(TASK, metadata={"a": object()})
        assert not scene.box.requests


# --- errors


async def test_closing_with_an_error_sends_the_run_as_failed() -> None:
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK)
        ctx.set_output(trajectory=TEXT, result="pass")
        await ctx.close(LookupError("no such table: orders"))
        review = (await stored_trace(ctx)).review
        assert (review.result, review.feedback_text) == ("fail", "no such table: orders")


async def test_closing_with_a_cancellation_sends_nothing() -> None:
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK)
        ctx.set_output(trajectory=TEXT)
        await ctx.close(asyncio.CancelledError())
        assert scene.sent() == 0


async def test_memories_that_cannot_be_found_leave_nothing_to_close() -> None:
    async with reflecting() as scene:
        scene.box.faults.add(faults.internal_error(), path=QUERY, times=100)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with pytest.raises(ServerError):
                await scene.client.open_trace(TASK)
            gc.collect()
        assert [one for one in warned if one.category is ResourceWarning] == []


async def test_a_trace_that_cannot_be_sent_raises_and_stays_closed() -> None:
    async with reflecting() as scene:
        scene.box.faults.add(faults.answer_lost(), path=TRACES)
        ctx = await scene.client.open_trace(TASK)
        ctx.set_output(trajectory=TEXT)
        with pytest.raises(APIConnectionError) as caught:
            await ctx.close()
        assert caught.value.outcome_unknown
        await ctx.close()
        assert scene.sent() == 1


async def test_a_blocking_close_raises_when_the_server_cannot_store_the_trace() -> None:
    async with reflecting(failing_tasks=[TASK]) as scene:
        ctx = await scene.client.open_trace(TASK, blocking=True)
        ctx.set_output(trajectory=TEXT)
        with pytest.raises(JobFailed):
            await ctx.close()


async def test_cancelling_a_close_leaves_it_closed() -> None:
    async with reflecting() as scene:
        scene.box.faults.add(faults.freeze(), method="POST", path=TRACES)
        ctx = await scene.client.open_trace(TASK)
        ctx.set_output(trajectory=TEXT)
        closing = asyncio.create_task(ctx.close())
        await scene.box.arrived("POST", TRACES)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await ctx.close()
        assert scene.sent() == 1


async def test_closing_after_the_client_was_closed_says_so() -> None:
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK)
        ctx.set_output(trajectory=TEXT)
        await scene.client.aclose()
        with pytest.raises(ClientClosed):
            await ctx.close()


async def test_another_event_loop_may_not_close_it() -> None:
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK)
        ctx.set_output(trajectory=TEXT)
        with pytest.raises(ConfigurationError, match="belongs to another event loop"):
            await asyncio.to_thread(asyncio.run, ctx.close())
        await ctx.close()
        assert scene.sent() == 1


# --- never closed


async def test_a_trace_that_is_never_closed_warns_and_names_its_task(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = f"a trace was never closed, so it was not sent; its task: {TASK!r}"
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK)
        ctx.set_output(trajectory=TEXT)
        with pytest.warns(ResourceWarning) as warned:
            del ctx
        assert [str(warning.message) for warning in warned] == [said]
        assert ("ERROR", said) in logged(caplog)
        assert scene.sent() == 0


async def test_a_trace_that_was_closed_does_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    async with reflecting() as scene:
        ctx = await scene.client.open_trace(TASK)
        await ctx.close()
        del ctx
        scene.client.trace(TASK)  # never entered
        gc.collect()
        assert [one for one in recwarn if one.category is ResourceWarning] == []
