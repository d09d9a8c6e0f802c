"""A limit on how many requests of one kind run at once."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reflexio_async._engine.clock import Clock, Timer
    from reflexio_async.sandbox.http.context import RequestContext


@dataclass(slots=True)
class ConcurrencyLimit:
    """At most ``capacity`` requests run at once. Others wait in the order of their arrival."""

    capacity: int
    running: int = 0
    _queue: deque[asyncio.Future[None]] = field(default_factory=deque[asyncio.Future[None]])
    _releases: list[Timer] = field(default_factory=list["Timer"])

    def try_acquire(self) -> bool:
        """Take a place if one is free."""
        if self.running >= self.capacity:
            return False
        self.running += 1
        return True

    async def acquire(self, context: RequestContext, timeout: float) -> bool:
        """Take a place within ``timeout`` seconds. False when none became free."""
        if self.try_acquire():
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await context.wait(timeout, turn)
        finally:
            if not turn.done():
                self._queue.remove(turn)
        return turn.done()

    def release(self) -> None:
        """Give the place to the request that has waited longest."""
        if self._queue:
            self._queue.popleft().set_result(None)
        else:
            self.running -= 1

    def release_after(self, seconds: float, clock: Clock) -> None:
        """Release in ``seconds``: work continues after its request was answered with a timeout."""
        if seconds > 0:
            self._releases.append(clock.call_at(clock.now() + seconds, self.release))
        else:
            self.release()

    def close(self) -> None:
        """Cancel the releases that are still to come."""
        for timer in self._releases:
            timer.cancel()
