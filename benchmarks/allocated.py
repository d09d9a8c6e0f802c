"""Bytes of memory that something holds, besides the tasks that wait for it."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Crowd(Protocol):
    """What waits, until it is dispersed."""

    async def disperse(self) -> object: ...


class BareTasks:
    """Tasks that await a future of their own and nothing else."""

    def __init__(self, count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._wait()) for _ in range(count)]

    async def _wait(self) -> None:
        await self._loop.create_future()

    async def disperse(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def besides_tasks(gather: Callable[[], Awaitable[Crowd]], count: int) -> list[float]:
    """Bytes for each of the ``count`` that ``gather`` assembles, three times, in turns with bare tasks."""

    async def bare() -> Crowd:
        crowd = BareTasks(count)
        await asyncio.sleep(0)
        return crowd

    await (await gather()).disperse()  # loads what is loaded late, and fills caches
    samples: list[float] = []
    for _ in range(3):
        alone = await _held(bare)
        samples.append((await _held(gather) - alone) / count)
    return samples


async def _held(gather: Callable[[], Awaitable[Crowd]]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        crowd = await gather()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await crowd.disperse()
    return held
