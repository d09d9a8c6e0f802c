"""How much memory waiting jobs take, without the tasks that wait for them."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Closable(Protocol):
    """Something that holds memory until it is closed."""

    async def aclose(self) -> object: ...


class BareTasks:
    """Tasks of which each awaits a future of its own, and nothing else."""

    def __init__(self, count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._wait()) for _ in range(count)]

    async def _wait(self) -> None:
        await self._loop.create_future()

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def bytes_per_item(make: Callable[[], Awaitable[Closable]], count: int) -> list[float]:
    """Return the bytes per item that ``make`` allocates for ``count`` items, less those of a bare task.

    It is measured three times, in turns with bare tasks.
    """

    async def bare() -> Closable:
        tasks = BareTasks(count)
        await asyncio.sleep(0)
        return tasks

    await (await make()).aclose()  # imports what is imported on first use, and fills caches
    samples: list[float] = []
    for _ in range(3):
        of_tasks = await _allocated(bare)
        samples.append((await _allocated(make) - of_tasks) / count)
    return samples


async def _allocated(make: Callable[[], Awaitable[Closable]]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        made = await make()
        gc.collect()
        allocated, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await made.aclose()
    return allocated
