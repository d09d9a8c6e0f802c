"""The SystemClock."""

from __future__ import annotations

import asyncio
import time

import pytest

from reflexio_async import Clock, SystemClock
from tests.hang import A_HANG


def test_a_system_clock_is_a_clock() -> None:
    clock: Clock = SystemClock()
    assert time.time() <= clock.time() <= time.time()
    assert clock.now() <= clock.now()


async def test_a_callback_runs_at_its_time() -> None:
    clock, ran = SystemClock(), asyncio.Event()
    due = clock.now() + 0.02
    clock.call_at(due, ran.set)
    await ran.wait()
    assert clock.now() >= due - 0.005


async def test_a_cancelled_callback_does_not_run() -> None:
    clock, ran = SystemClock(), asyncio.Event()
    timer = clock.call_at(clock.now() + 0.01, ran.set)
    timer.cancel()
    await clock.sleep(0.03)
    assert not ran.is_set()
    timer.cancel()


async def test_an_overdue_callback_runs_at_once() -> None:
    clock, ran = SystemClock(), asyncio.Event()
    clock.call_at(clock.now() - 10, ran.set)
    await asyncio.wait_for(ran.wait(), A_HANG)


async def test_sleeping_zero_seconds_lets_other_tasks_run() -> None:
    ran: list[str] = []
    asyncio.get_running_loop().call_soon(ran.append, "other")
    await SystemClock().sleep(0)
    assert ran == ["other"]


async def test_a_timeout_ends_its_block() -> None:
    clock = SystemClock()
    with pytest.raises(TimeoutError):
        async with clock.timeout(0.01):
            await clock.sleep(10 * A_HANG)


async def test_a_timeout_of_none_never_ends_its_block() -> None:
    async with SystemClock().timeout(None):
        await asyncio.sleep(0.01)


async def test_busy_has_no_headers_for_a_server() -> None:
    with SystemClock().busy() as headers:
        assert headers is None
