"""Tasks that outlive their call: none is forgotten, no failure is lost."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING

import pytest

from reflexio_async import ClientClosed
from reflexio_async._engine.loops import LoopBinding
from reflexio_async._engine.tasks import BackgroundCall, TaskTracker

if TYPE_CHECKING:
    from reflexio_async import BackgroundErrorEvent


class Boom(Exception):
    pass


async def succeed() -> int:
    await asyncio.sleep(0)
    return 7


async def fail() -> int:
    await asyncio.sleep(0)
    message = "the server said no"
    raise Boom(message)


async def forever() -> int:
    await asyncio.get_running_loop().create_future()
    return 0


async def close(tasks: TaskTracker) -> None:
    scope, _ = tasks.loops.close()
    await scope.aclose()


def under_way(tasks: TaskTracker) -> list[str]:
    return list(tasks.loops.under_way().background_calls)


async def passes() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()


@pytest.fixture
def reported() -> list[BackgroundErrorEvent]:
    return []


@pytest.fixture
def tasks(reported: list[BackgroundErrorEvent]) -> TaskTracker:
    return TaskTracker(LoopBinding(), reported.append)


# --- a call that is awaited


async def test_a_call_is_under_way_before_it_is_awaited(tasks: TaskTracker) -> None:
    call = tasks.call(succeed(), what="delete_profile")
    await passes()
    assert call.done()
    assert await call == 7


async def test_a_call_after_closing_raises_client_closed_and_does_not_begin(
    tasks: TaskTracker, reported: list[BackgroundErrorEvent]
) -> None:
    await close(tasks)
    with pytest.raises(ClientClosed, match="make a new one"):
        tasks.call(fail(), what="delete_profile")
    await passes()
    assert (tasks.errors, reported, under_way(tasks)) == (0, [], [])


async def test_the_answer_can_be_had_again(tasks: TaskTracker) -> None:
    call = tasks.call(succeed(), what="delete_profile")
    assert (await call, await call, await call.result()) == (7, 7, 7)


async def test_an_awaited_failure_is_the_callers_and_is_not_reported(
    tasks: TaskTracker, reported: list[BackgroundErrorEvent]
) -> None:
    call = tasks.call(fail(), what="delete_profile")
    with pytest.raises(Boom):
        await call
    del call
    await passes()
    assert (tasks.errors, reported) == (0, [])


async def test_a_failure_of_a_handle_in_a_cycle_is_reported_once_and_not_by_asyncio_too(
    tasks: TaskTracker, reported: list[BackgroundErrorEvent]
) -> None:
    said: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    cycle: list[object] = [tasks.call(fail(), what="delete_profile")]
    cycle.append(cycle)
    for _ in range(5):
        await asyncio.sleep(0)
    del cycle
    gc.collect()
    assert ([event.what for event in reported], said) == (["delete_profile"], [])


async def test_a_waiter_that_is_cancelled_leaves_the_call_on_its_way(tasks: TaskTracker) -> None:
    release = asyncio.Event()

    async def slow() -> int:
        await release.wait()
        return 7

    call = tasks.call(slow(), what="delete_profile")
    waiter = asyncio.create_task(call.result())
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    release.set()
    assert await call == 7


async def test_a_failure_in_the_tick_in_which_its_waiter_is_cancelled_is_reported(
    tasks: TaskTracker, reported: list[BackgroundErrorEvent]
) -> None:
    release = asyncio.Event()

    async def late() -> None:
        await release.wait()
        raise Boom

    call: BackgroundCall[None] | None = tasks.call(late(), what="delete_profile")
    assert call is not None
    waiter = asyncio.create_task(call.result())
    await asyncio.sleep(0)
    (task,) = tasks.loops.scope.tasks
    task.add_done_callback(lambda _: waiter.cancel())
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    call = None
    del task
    await passes()
    assert [event.what for event in reported] == ["delete_profile"]


async def test_a_waiter_learns_that_the_client_was_closed(tasks: TaskTracker) -> None:
    call = tasks.call(forever(), what="delete_profile")
    waiter = asyncio.create_task(call.result())
    await asyncio.sleep(0)
    await close(tasks)
    with pytest.raises(ClientClosed):
        await waiter


def test_it_says_what_it_is() -> None:
    async def main() -> None:
        tasks = TaskTracker(LoopBinding())
        call = tasks.call(succeed(), what="delete_profile")
        assert repr(call) == "<BackgroundCall delete_profile under way>"
        await call
        assert repr(call) == "<BackgroundCall delete_profile done>"

    asyncio.run(main())


# --- a call without waiters


async def test_a_dropped_call_still_runs(tasks: TaskTracker) -> None:
    ran = asyncio.Event()

    async def work() -> None:
        ran.set()

    tasks.call(work(), what="delete_profile")
    await passes()
    assert ran.is_set()


async def test_a_dropped_call_that_fails_is_counted_logged_and_given_to_the_hook(
    tasks: TaskTracker, reported: list[BackgroundErrorEvent], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "reflexio_async"):
        tasks.call(fail(), what="delete_profile")
        await passes()
    assert tasks.errors == 1
    [event] = reported
    assert event.what == "delete_profile"
    assert isinstance(event.error, Boom)
    assert caplog.messages == ["delete_profile failed in the background: Boom: the server said no"]


async def test_a_call_dropped_after_it_failed_is_reported_too(
    tasks: TaskTracker, reported: list[BackgroundErrorEvent]
) -> None:
    call = tasks.call(fail(), what="delete_profile")
    await passes()
    assert reported == []
    del call
    await passes()
    assert len(reported) == 1


async def test_a_failure_after_its_only_waiter_gave_up_is_reported(
    tasks: TaskTracker, reported: list[BackgroundErrorEvent]
) -> None:
    release = asyncio.Event()

    async def slow() -> None:
        await release.wait()
        await fail()

    call = tasks.call(slow(), what="delete_profile")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call.result(), 0.01)
    del call
    release.set()
    await passes()
    assert len(reported) == 1


async def test_a_dropped_call_that_succeeds_is_not_reported(
    tasks: TaskTracker, reported: list[BackgroundErrorEvent]
) -> None:
    tasks.call(succeed(), what="delete_profile")
    await passes()
    assert (tasks.errors, reported) == (0, [])


async def test_without_a_hook_failures_are_counted_all_the_same() -> None:
    tasks = TaskTracker(LoopBinding())
    tasks.call(fail(), what="delete_profile")
    await passes()
    assert tasks.errors == 1


async def test_a_hook_that_fails_is_logged_and_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    def hook(event: BackgroundErrorEvent) -> None:
        raise RuntimeError(event.what)

    tasks = TaskTracker(LoopBinding(), hook)
    tasks.report("first", Boom())
    tasks.report("second", Boom())
    assert tasks.errors == 2
    assert caplog.messages.count("the on_background_error hook failed") == 2


# --- the end


async def test_calls_under_way_are_named(tasks: TaskTracker) -> None:
    call = tasks.call(forever(), what="manual_profile_generation")
    done = tasks.call(succeed(), what="delete_profile")
    await done
    assert under_way(tasks) == ["manual_profile_generation"]
    await close(tasks)
    assert under_way(tasks) == []
    assert call.done()


async def test_finishing_waits_for_calls_made_meanwhile(tasks: TaskTracker) -> None:
    async def first() -> None:
        await asyncio.sleep(0)
        tasks.call(succeed(), what="second")

    tasks.call(first(), what="first")
    await tasks.loops.scope.finished()
    assert under_way(tasks) == []


async def test_closing_cancels_what_is_left_and_waits_for_it(tasks: TaskTracker) -> None:
    cleaned_up = asyncio.Event()

    async def tidy() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            cleaned_up.set()

    tasks.spawn(tidy(), name="poller")
    await asyncio.sleep(0)
    await close(tasks)
    assert cleaned_up.is_set()


async def test_what_closing_cancelled_is_no_failure(
    tasks: TaskTracker, reported: list[BackgroundErrorEvent]
) -> None:
    tasks.call(forever(), what="delete_profile")
    await close(tasks)
    await passes()
    assert (tasks.errors, reported) == (0, [])


async def test_a_task_may_close_what_it_belongs_to(tasks: TaskTracker) -> None:
    async def close_and_return() -> str:
        await close(tasks)
        return "closed"

    assert await tasks.spawn(close_and_return(), name="closer") == "closed"
