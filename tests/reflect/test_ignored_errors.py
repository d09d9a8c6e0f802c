"""``on_error="ignore"``: a server that is away does not disturb a run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import APIConnectionError, APITimeout, InvalidRequest, ServerError
from reflexio_async.reflect.decorator import reflect_trace
from reflexio_async.sandbox import faults
from tests.reflect.scene import TRACES
from tests.reflect.scene import scene as reflecting

if TYPE_CHECKING:
    from reflexio_async import BackgroundErrorEvent
    from reflexio_async.reflect.trace_context import TraceContext
    from tests.reflect.scene import Scene

TASK = "count the rows of the orders table"
QUERY = "/v1/projects/default/memory/query"


async def run(scene: Scene, **options: Any) -> TraceContext:
    """One run of an agent."""
    async with scene.client.trace(TASK, on_error="ignore", **options) as ctx:
        ctx.set_output(trajectory=ctx.augmented_task, result="pass")
    return ctx


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The level of each record about an ignored error."""
    return [record.levelname for record in caplog.records if "failed in the background" in record.msg]


async def test_a_run_on_a_server_that_works_is_as_any_other() -> None:
    async with reflecting() as scene:
        scene.box.reflect.seed_memory(TASK, guidance="Use COUNT(*)")
        ctx = await run(scene, blocking=True)
        assert len(ctx.memories) == 1
        assert ctx.job is not None
        assert (await ctx.job).review_status == "reviewed"


async def test_without_the_server_a_run_has_no_memories_and_is_not_sent() -> None:
    async with reflecting() as scene:
        await scene.box.stop()
        ctx = await run(scene)
        assert (ctx.memories, ctx.augmented_task, ctx.job) == ([], TASK, None)


@pytest.mark.parametrize("path", [QUERY, TRACES])
async def test_a_server_that_does_not_answer_is_given_up_after_two_seconds(path: str) -> None:
    async with reflecting() as scene:
        scene.box.faults.add(faults.freeze(), path=path, times=None)
        await run(scene)
        assert 2 <= scene.clock.now() < 2.5


async def test_the_timeout_of_the_trace_wins() -> None:
    async with reflecting() as scene:
        scene.box.faults.add(faults.freeze(), path=QUERY, times=None)
        await run(scene, timeout=0.5)
        assert 0.5 <= scene.clock.now() < 1


async def test_the_timeout_of_a_trace_bounds_it_also_when_errors_are_raised() -> None:
    async with reflecting() as scene:
        scene.box.faults.add(faults.freeze(), path=QUERY, times=None)
        with pytest.raises(APITimeout):
            await scene.client.open_trace(TASK, timeout=0.5)
        assert 0.5 <= scene.clock.now() < 1


async def test_errors_are_raised_by_default() -> None:
    async with reflecting() as scene:
        scene.box.faults.add(faults.internal_error(), path=TRACES, times=None)
        with pytest.raises(ServerError):
            async with scene.client.trace(TASK) as ctx:
                ctx.set_output(trajectory=[])


async def test_each_ignored_error_is_counted_and_given_to_the_hook() -> None:
    reported: list[BackgroundErrorEvent] = []
    async with reflecting(client={"on_background_error": reported.append}) as scene:
        scene.box.faults.add(faults.answer_lost(), path=TRACES, times=None)
        for _ in range(3):
            await run(scene)
        assert scene.client._engine.tasks.errors == 3
    assert [event.what for event in reported] == ["sending a trace"] * 3
    assert all(isinstance(event.error, APIConnectionError) for event in reported)


async def test_the_first_error_is_a_warning_and_later_ones_are_not_until_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    async with reflecting() as scene:
        fails = faults.answer_lost()
        scene.box.faults.add(fails, path=TRACES, times=3)
        for _ in range(4):
            await run(scene)
        scene.box.faults.add(fails, path=TRACES)
        await run(scene)
    assert logged(caplog) == ["WARNING", "DEBUG", "DEBUG", "WARNING"]


async def test_finding_and_sending_have_a_warning_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with reflecting() as scene:
        await scene.box.stop()
        for _ in range(2):
            await run(scene)
    assert logged(caplog) == ["WARNING", "WARNING", "DEBUG", "DEBUG"]
    assert all(TASK not in record.getMessage() for record in caplog.records)


async def test_the_views_of_a_client_share_its_warnings(caplog: pytest.LogCaptureFixture) -> None:
    async with reflecting() as scene:
        await scene.box.stop()
        for project in ("a", "b"):
            async with scene.client.with_project(project).trace(TASK, on_error="ignore", timeout=0.1) as ctx:
                assert ctx.memories == []
    assert logged(caplog) == ["WARNING"]


async def test_a_trace_that_the_server_cannot_store_is_ignored_too() -> None:
    async with reflecting(failing_tasks=[TASK]) as scene:
        ctx = await run(scene, blocking=True)
        assert ctx.trace_id is not None


async def test_the_exception_of_the_run_gets_no_note() -> None:
    async with reflecting() as scene:
        await scene.box.stop()
        error = LookupError("no such table")
        ctx = await scene.client.open_trace(TASK, on_error="ignore")
        ctx.set_output(trajectory=[])
        await ctx.close(error)
        assert not hasattr(error, "__notes__")


@pytest.mark.parametrize("path", [QUERY, TRACES])
async def test_a_cancellation_passes(path: str) -> None:
    async with reflecting() as scene:
        scene.box.faults.add(faults.freeze(), path=path)
        task = asyncio.create_task(run(scene))
        await scene.box.arrived("POST", path)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert scene.client._engine.tasks.errors == 0


async def test_unusable_arguments_still_raise() -> None:
    async with reflecting() as scene:
        with pytest.raises(InvalidRequest, match="limit"):
            scene.client.trace(TASK, on_error="ignore", limit=0)
        async with scene.client.trace(TASK, on_error="ignore") as ctx:
            with pytest.raises(InvalidRequest, match="trajectory"):
                ctx.set_output(trajectory=3)  # type: ignore[arg-type]  # what is refused
            ctx.set_output(trajectory=[])


async def test_a_decorated_function_returns_though_the_server_is_away() -> None:
    async with reflecting() as scene:
        await scene.box.stop()

        @reflect_trace(scene.client, on_error="ignore")
        async def answer(ctx: TraceContext, _question: str) -> str:
            return ctx.augmented_task

        assert await answer("6 times 7") == "6 times 7"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"on_error": "skip"}, "on_error must be 'raise' or 'ignore', not 'skip'"),
        ({"timeout": 0}, "timeout must be more than zero"),
        ({"timeout": "1"}, "timeout must be a finite number"),
    ],
)
async def test_an_unusable_option_is_refused_at_once(options: dict[str, Any], says: str) -> None:
    async with reflecting() as scene:
        with pytest.raises(InvalidRequest, match=f"^trace: {says}"):
            scene.client.trace(TASK, **options)
