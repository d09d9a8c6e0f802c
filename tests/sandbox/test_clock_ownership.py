"""Several virtual clocks, a clock on several loops, and clocks without auto-advance."""

from __future__ import annotations

import asyncio
import math

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox, VirtualClock
from reflexio_async.sandbox.virtual_clock import HOLD_HEADER


async def test_two_clocks_on_one_loop_both_move() -> None:
    one, two = VirtualClock(), VirtualClock()
    await asyncio.gather(one.sleep(10), two.sleep(3600))
    assert (one.now(), two.now()) == (10, 3600)


async def test_a_clock_that_is_always_due_leaves_turns_to_the_other() -> None:
    restless, other = VirtualClock(), VirtualClock()

    async def ticking() -> None:
        while True:
            await restless.sleep(1)

    task = asyncio.create_task(ticking())
    await other.sleep(1)
    await other.settle()
    task.cancel()
    assert other.now() == 1


async def test_clocks_take_turns_in_the_same_order_every_time() -> None:
    async def woken() -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []

        async def ticking(name: str, clock: VirtualClock) -> None:
            for _ in range(3):
                await clock.sleep(1)
                seen.append((name, clock.now()))

        await asyncio.gather(ticking("one", VirtualClock()), ticking("two", VirtualClock()))
        return seen

    expected = [("one", 1), ("two", 1), ("one", 2), ("two", 2), ("one", 3), ("two", 3)]
    assert [await woken() for _ in range(3)] == [expected] * 3


async def test_a_hold_stops_only_its_own_clock() -> None:
    held, free = VirtualClock(), VirtualClock()
    sleeping = asyncio.create_task(held.sleep(1))
    with held.busy():
        await free.sleep(100)
        assert held.now() == 0
    await sleeping


async def test_hold_ids_are_unique_across_clocks() -> None:
    with VirtualClock().busy() as one, VirtualClock().busy() as two:
        assert one[HOLD_HEADER] != two[HOLD_HEADER]


async def test_two_sandboxes_with_two_clocks_serve_at_the_same_time() -> None:
    one, two = VirtualClock(), VirtualClock()
    async with Sandbox(clock=one, rerun_seconds=5) as box, Sandbox(clock=two, rerun_seconds=7) as other:
        box.seed("u", "tea")
        other.seed("u", "tea")
        async with (
            AsyncReflexioClient(url_endpoint=box.url, clock=one) as client,
            AsyncReflexioClient(url_endpoint=other.url, clock=two) as second,
        ):
            results = await asyncio.gather(
                client.rerun_profile_generation(user_id="u", wait_for_response=True),
                second.rerun_profile_generation(user_id="u", wait_for_response=True),
            )
    assert [result.profiles_generated for result in results] == [1, 1]


def test_a_clock_may_be_used_on_another_loop_once_the_first_is_closed() -> None:
    clock = VirtualClock()
    asyncio.run(clock.sleep(10))
    asyncio.run(clock.sleep(10))
    assert clock.now() == 20


def test_a_clock_that_left_a_timer_on_a_closed_loop_is_refused_on_another() -> None:
    clock = VirtualClock(auto_advance=False)

    async def left() -> None:
        clock.call_at(10, int)

    asyncio.run(left())
    with pytest.raises(RuntimeError, match="a VirtualClock belongs to one event loop; make one per test"):
        asyncio.run(clock.sleep(1))


async def test_a_clock_is_refused_on_another_loop_while_its_own_runs() -> None:
    clock = VirtualClock()
    await clock.sleep(1)
    with pytest.raises(RuntimeError, match="a VirtualClock belongs to one event loop"):
        await asyncio.to_thread(lambda: asyncio.run(clock.sleep(1)))


async def test_a_cancelled_advance_moves_time_no_further() -> None:
    clock = VirtualClock(auto_advance=False)
    sleeping = asyncio.create_task(clock.sleep(50))
    with clock.busy():
        advancing = asyncio.create_task(clock.advance(100))
        await asyncio.sleep(0)
        advancing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await advancing
    await clock.settle()
    assert (clock.now(), sleeping.done()) == (0, False)
    await clock.advance(50)
    await sleeping


async def test_of_two_advances_at_once_the_longer_counts() -> None:
    clock = VirtualClock(auto_advance=False)
    await asyncio.gather(clock.advance(10), clock.advance(100), clock.advance(20))
    assert clock.now() == 100


async def test_a_cancelled_advance_does_not_stop_another() -> None:
    clock = VirtualClock(auto_advance=False)
    with clock.busy():
        near, far = asyncio.create_task(clock.advance(10)), asyncio.create_task(clock.advance(100))
        await asyncio.sleep(0)
        far.cancel()
    await near
    assert clock.now() == 10
    await clock.settle()
    assert clock.now() == 10


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, -1.0])
async def test_an_advance_by_an_invalid_time_is_refused(seconds: float) -> None:
    clock = VirtualClock(auto_advance=False)
    with pytest.raises(ValueError, match="seconds must be a finite number, 0 or more, not"):
        await clock.advance(seconds)
    assert clock.now() == 0


async def test_a_manual_clock_runs_freely_after_run_freely() -> None:
    clock = VirtualClock(auto_advance=False)
    sleeping = asyncio.create_task(clock.sleep(3600))
    await clock.settle()
    assert clock.now() == 0
    clock.run_freely()
    await sleeping
    assert clock.now() == 3600


async def test_a_client_with_queued_work_closes_once_the_clock_runs_freely() -> None:
    clock = VirtualClock(auto_advance=False)
    async with Sandbox(clock=clock, rerun_seconds=100) as box:
        box.seed("a", "tea")
        box.seed("b", "tea")
        async with AsyncReflexioClient(url_endpoint=box.url, clock=clock, drain_timeout=1000) as client:
            await client.rerun_profile_generation(user_id="a")
            await client.rerun_profile_generation(user_id="b")
            clock.run_freely()
        assert len(box.operations()) == 2
