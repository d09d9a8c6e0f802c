"""The tasks of a batch. Each works on one key after another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from reflexio_async._engine.loops import LoopBinding


class Worker:
    """One task of a batch. When the batch is left, what it does in ``finish`` goes on.

    Args:
        loops: The client's binding to the event loop.
    """

    __slots__ = ("_cancelled", "_finishing", "_loops", "task")

    def __init__(self, loops: LoopBinding) -> None:
        self._loops = loops
        self._cancelled = self._finishing = False
        self.task: asyncio.Task[None]

    async def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` in this task, to its end. When the client is closed, it is cancelled and waited for."""
        tracked = self._loops.scope.tasks
        tracked.add(self.task)
        self._finishing = True
        try:
            await work
        except asyncio.CancelledError:
            # Closing the client cancels the work alone. The batch goes on, and reports what is known of it.
            if not self._loops.closed or self.task.uncancel() > 0:
                raise
        finally:
            self._finishing = False
            tracked.discard(self.task)
        if self._cancelled:
            raise asyncio.CancelledError

    def cancel(self) -> bool:
        """Cancel the task: now, or when its ``finish`` ends. Return whether it is now."""
        self._cancelled = True
        return not self._finishing and self.task.cancel()


async def run_all(workers: Sequence[Worker]) -> None:
    """Wait until all have ended. When one fails, or this wait is cancelled, cancel the others."""
    tasks = [worker.task for worker in workers]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        if ending := [worker.task for worker in workers if worker.cancel()]:
            await asyncio.wait(ending)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()
