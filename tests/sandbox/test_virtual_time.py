"""Virtual time stands still while anything works, and takes no real time otherwise."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from reflexio_async.sandbox import Sandbox, VirtualClock
from reflexio_async.sandbox.virtual_clock import HOLD_HEADER

if TYPE_CHECKING:
    from reflexio_async._engine.clock import Clock


def test_it_is_a_clock() -> None:
    clock: Clock = VirtualClock(epoch=100.0)
    assert (clock.now(), clock.time()) == (0.0, 100.0)


async def test_an_hour_takes_no_time() -> None:
    clock = VirtualClock()
    started = time.perf_counter()
    await clock.sleep(3600)
    assert clock.now() == 3600
    assert time.perf_counter() - started < 60


async def test_sleepers_wake_by_deadline_and_then_by_arrival() -> None:
    clock = VirtualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    await asyncio.gather(sleeper("c", 3), sleeper("a", 1), sleeper("b1", 2), sleeper("b2", 2))
    assert woken == [("a", 1), ("b1", 2), ("b2", 2), ("c", 3)]


async def test_a_sleep_started_at_a_wake_up_counts_from_there() -> None:
    clock = VirtualClock()

    async def ticks(count: int) -> float:
        for _ in range(count):
            await clock.sleep(0.25)
        return clock.now()

    assert list(await asyncio.gather(ticks(4), ticks(10))) == [1.0, 2.5]


async def test_zero_sleep_yields_and_moves_no_time() -> None:
    clock = VirtualClock()
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.now() == 0


async def test_time_stands_still_while_busy() -> None:
    clock = VirtualClock()
    sleeping = asyncio.create_task(clock.sleep(1))
    with clock.busy():
        await asyncio.sleep(0.02)
        assert clock.now() == 0
        assert not sleeping.done()
    await sleeping
    assert clock.now() == 1


async def test_time_stands_still_while_the_loop_has_work() -> None:
    clock = VirtualClock()
    sleeping = asyncio.create_task(clock.sleep(1))
    for _ in range(200):
        await asyncio.sleep(0)
        assert clock.now() == 0
    await sleeping


async def test_every_hold_counts() -> None:
    clock = VirtualClock()
    sleeping = asyncio.create_task(clock.sleep(1))
    with clock.busy() as one:
        with clock.busy() as two:
            assert one[HOLD_HEADER] != two[HOLD_HEADER]
            assert clock.held == 2
        await asyncio.sleep(0.01)
        assert not sleeping.done()
    await sleeping
    assert clock.held == 0


async def test_a_released_hold_lets_time_move_and_then_holds_again() -> None:
    clock = VirtualClock()
    with clock.busy() as headers:
        with clock.released(headers[HOLD_HEADER]):
            await clock.sleep(5)
        assert clock.now() == 5
        later = asyncio.create_task(clock.sleep(1))
        await asyncio.sleep(0.01)
        assert clock.now() == 5
    await later


async def test_releasing_a_hold_twice_needs_both_to_end() -> None:
    clock = VirtualClock()
    with clock.busy() as headers:
        hold = headers[HOLD_HEADER]
        with clock.released(hold):
            with clock.released(hold):
                pass
            assert clock.held == 0
            await clock.sleep(1)
        assert clock.held == 1


async def test_releasing_a_hold_that_ended_is_harmless() -> None:
    clock = VirtualClock()
    with clock.busy() as headers:
        pass
    with clock.released(headers[HOLD_HEADER], None, "nobody"):
        await clock.sleep(1)
    assert clock.held == 0


async def test_a_hold_may_end_while_it_is_released() -> None:
    clock = VirtualClock()
    hold = clock.busy()
    headers = hold.__enter__()
    with clock.released(headers[HOLD_HEADER]):
        hold.__exit__(None, None, None)
    assert clock.held == 0
    await clock.sleep(1)


async def test_timeout_raises_timeout_error_at_its_virtual_deadline() -> None:
    clock = VirtualClock()
    with pytest.raises(TimeoutError):
        async with clock.timeout(30):
            await clock.sleep(60)
    assert clock.now() == 30
    assert clock.pending == 0


async def test_timeout_fires_inside_a_wait_that_knows_no_clock() -> None:
    clock = VirtualClock()
    with pytest.raises(TimeoutError):
        async with clock.timeout(30):
            await asyncio.get_running_loop().create_future()
    assert clock.now() == 30


async def test_timeout_of_none_never_fires() -> None:
    clock = VirtualClock()
    async with clock.timeout(None):
        await clock.sleep(1e6)


@pytest.mark.parametrize("seconds", [0, -1])
async def test_an_expired_timeout_fires_at_the_first_wait(seconds: float) -> None:
    clock = VirtualClock()
    with pytest.raises(TimeoutError):
        async with clock.timeout(seconds):
            await clock.sleep(1)
    assert clock.now() == 0


async def test_a_block_that_ends_in_time_leaves_no_timer() -> None:
    clock = VirtualClock()
    async with clock.timeout(30):
        await clock.sleep(29)
    assert clock.pending == 0
    await clock.sleep(10)
    assert clock.now() == 39


async def test_of_nested_timeouts_only_the_shorter_fires() -> None:
    clock = VirtualClock()

    async def inner() -> None:
        with pytest.raises(TimeoutError):
            async with clock.timeout(4):
                await clock.sleep(100)
        assert clock.now() == 4
        await clock.sleep(100)

    with pytest.raises(TimeoutError):
        async with clock.timeout(10):
            await inner()
    assert clock.now() == 10


async def test_cancelling_a_task_in_a_timeout_is_cancellation_not_a_timeout() -> None:
    clock = VirtualClock()

    async def work() -> None:
        async with clock.timeout(10):
            await clock.sleep(100)

    with clock.busy():
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert clock.pending == 0


async def test_a_cancelled_timer_does_not_run_and_time_skips_it() -> None:
    clock = VirtualClock()
    ran: list[str] = []
    clock.call_at(1, lambda: ran.append("cancelled")).cancel()
    clock.call_at(2, lambda: ran.append("kept"))
    await clock.sleep(3)
    assert ran == ["kept"]


async def test_thousands_of_cancelled_timers_are_removed() -> None:
    clock = VirtualClock()
    for _ in range(5000):
        clock.call_at(10, int).cancel()
    kept = clock.call_at(20, int)
    assert clock.pending == 1
    await clock.sleep(15)
    kept.cancel()
    kept.cancel()
    assert clock.pending == 0


async def test_a_timer_may_cancel_another_due_at_the_same_instant() -> None:
    clock = VirtualClock()
    ran: list[str] = []
    later = [clock.call_at(1, lambda: later.pop().cancel()), clock.call_at(1, lambda: ran.append("second"))]
    await clock.sleep(2)
    assert not ran
    assert clock.pending == 0


async def test_a_timer_in_the_past_runs_at_the_next_pass() -> None:
    clock = VirtualClock()
    ran = asyncio.Event()
    with clock.busy():
        clock.call_at(-1, ran.set)
        await ran.wait()
    assert clock.now() == 0


async def test_a_failing_callback_is_reported_and_the_others_run() -> None:
    clock = VirtualClock()
    loop = asyncio.get_running_loop()
    seen: list[BaseException] = []
    loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
    clock.call_at(1, lambda: 1 / 0)
    try:
        await clock.sleep(1)
    finally:
        loop.set_exception_handler(None)
    assert [type(error) for error in seen] == [ZeroDivisionError]


async def test_without_auto_advance_only_advance_moves_time() -> None:
    clock = VirtualClock(auto_advance=False)
    reached: list[float] = []

    async def ticking() -> None:
        while True:
            await clock.sleep(10)
            reached.append(clock.now())

    task = asyncio.create_task(ticking())
    await asyncio.sleep(0.01)
    assert clock.now() == 0
    await clock.advance(25)
    assert (clock.now(), reached) == (25, [10, 20])
    await clock.advance(5)
    assert (clock.now(), reached) == (30, [10, 20, 30])
    task.cancel()


async def test_a_sandbox_on_virtual_time_is_advanced_with_all_that_is_due() -> None:
    async with Sandbox(clock=VirtualClock(auto_advance=False), rerun_seconds=10.0) as box:
        operation = box.start_foreign_operation(seconds=30.0)
        await box.advance(29)
        assert operation.status == "in_progress"
        await box.advance(1)
        assert operation.status == "completed"


async def test_a_sandbox_on_real_time_cannot_be_advanced() -> None:
    with pytest.raises(RuntimeError, match="needs a sandbox on a VirtualClock"):
        await Sandbox().advance(1)


async def test_advance_waits_until_what_it_woke_has_run() -> None:
    clock = VirtualClock()
    done: list[int] = []

    async def work() -> None:
        await clock.sleep(1)
        for step in range(20):
            await asyncio.sleep(0)
            done.append(step)

    task = asyncio.create_task(work())
    await clock.advance(1)
    assert len(done) == 20
    await task


async def test_settle_waits_for_holds_and_moves_no_time() -> None:
    clock = VirtualClock()
    sleeping = asyncio.create_task(clock.sleep(1))

    async def work() -> None:
        with clock.busy():
            await asyncio.sleep(0.02)

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    await clock.settle()
    assert working.done()
    assert clock.now() == 0
    await sleeping


async def test_a_released_request_lets_the_clients_own_timeout_fire() -> None:
    clock = VirtualClock()

    async def frozen_handler(hold: str) -> None:
        with clock.busy() as own, clock.released(own[HOLD_HEADER], hold):
            await clock.sleep(1e9)

    async def client() -> None:
        with clock.busy() as headers:
            handler = asyncio.create_task(frozen_handler(headers[HOLD_HEADER]))
            try:
                async with clock.timeout(300):
                    await asyncio.shield(handler)
            finally:
                handler.cancel()

    with pytest.raises(TimeoutError):
        await client()
    assert clock.now() == 300
    await clock.settle()
    assert (clock.held, clock.pending) == (0, 0)


async def test_ten_thousand_sleepers_all_wake() -> None:
    clock = VirtualClock()
    await asyncio.gather(*(clock.sleep(1 + index % 100) for index in range(10_000)))
    assert clock.now() == 100
