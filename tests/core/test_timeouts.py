"""What the package relies on in ``SystemClock.timeout``, which is ``asyncio.timeout``."""

from __future__ import annotations

import asyncio
import time

import pytest

from reflexio_async import SystemClock

LONG = 3600.0
SOON = 0.01


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def test_a_block_ends_at_its_deadline_with_the_cancellation_as_the_cause() -> None:
    with pytest.raises(TimeoutError) as caught:
        async with SystemClock().timeout(SOON):
            await forever()
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


async def test_a_block_that_ended_in_time_is_left_alone() -> None:
    clock = SystemClock()
    async with clock.timeout(SOON):
        pass
    await asyncio.sleep(SOON * 2)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_a_deadline_that_is_over_ends_the_block_at_its_first_wait(seconds: float) -> None:
    with pytest.raises(TimeoutError):
        async with SystemClock().timeout(seconds):
            await forever()


async def test_cancelling_is_no_timeout() -> None:
    async def block() -> None:
        async with SystemClock().timeout(LONG):
            await forever()

    task = asyncio.create_task(block())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_meets_the_deadline_is_not_lost() -> None:
    still_cancelling: list[int] = []

    async def block() -> None:
        try:
            async with SystemClock().timeout(SOON):
                await forever()
        finally:
            still_cancelling.append(task.cancelling())

    task = asyncio.create_task(block())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(SOON, task.cancel)
    _hold_the_loop(SOON * 2)  # so that both fall due before the task can run
    with pytest.raises(asyncio.CancelledError):
        await task
    assert still_cancelling == [1]


def _hold_the_loop(seconds: float) -> None:
    time.sleep(seconds)


async def test_of_nested_blocks_whose_deadlines_fall_together_the_outer_raises() -> None:
    clock = SystemClock()
    raised: list[str] = []

    async def inner() -> None:
        try:
            async with clock.timeout(0):
                await forever()
        except TimeoutError:
            raised.append("inner")

    async def outer() -> None:
        async with clock.timeout(0):
            await inner()

    with pytest.raises(TimeoutError):
        await outer()
    assert raised == []


async def test_an_error_of_the_block_itself_is_not_hidden_by_its_deadline() -> None:
    async def block() -> None:
        async with SystemClock().timeout(SOON):
            try:
                await forever()
            except asyncio.CancelledError:
                raise KeyError from None

    with pytest.raises(KeyError):
        await block()
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


async def test_one_clock_serves_loops_in_several_threads() -> None:
    clock = SystemClock()

    async def block() -> str:
        try:
            async with clock.timeout(SOON):
                await forever()
        except TimeoutError:
            return "in time"
        raise AssertionError

    async with clock.timeout(LONG):
        runs = [asyncio.to_thread(asyncio.run, block()) for _ in range(3)]
        assert await asyncio.gather(block(), *runs) == ["in time"] * 4
