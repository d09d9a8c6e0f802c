"""``asyncio.timeout`` for blocks that nearly always end in time.

A timer of the loop per call costs more than everything else this package does for the call, and next to
none of these timers ever runs. So all blocks share one, set for the deadline that comes first.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Timeouts:
    """The blocks on one loop that have a deadline, and the one timer that watches over them."""

    __slots__ = ("_open", "_timer", "_wakes_at", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._open: set[Timeout] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = math.inf

    def watch(self, timeout: Timeout, seconds: float) -> None:
        """Have ``timeout`` expire in so many seconds, unless it is forgotten before."""
        timeout.deadline = self.loop.time() + seconds
        self._open.add(timeout)
        if timeout.deadline < self._wakes_at:
            self._wake_at(timeout.deadline)

    def forget(self, timeout: Timeout) -> None:
        """The block has ended. The timer stays: to set another is what costs."""
        self._open.discard(timeout)

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = when
        self._timer = self.loop.call_at(when, self._wake)

    def _wake(self) -> None:
        self._timer, self._wakes_at = None, math.inf
        now = self.loop.time()
        for timeout in [timeout for timeout in self._open if timeout.deadline <= now]:
            self._open.discard(timeout)
            timeout.expire()
        if self._open:
            self._wake_at(min(timeout.deadline for timeout in self._open))


class Timeout:
    """One block, cancelled at its deadline; the cancellation leaves it as a ``TimeoutError``.

    A cancellation from elsewhere passes through, also one that comes together with the deadline.
    """

    __slots__ = ("_cancelling", "_expired", "_seconds", "_task", "_timeouts", "deadline")

    def __init__(self, timeouts: Timeouts, seconds: float) -> None:
        self._timeouts = timeouts
        self._seconds = seconds
        self._expired = False
        self.deadline = math.inf

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            message = "a timeout needs a task that it can cancel"
            raise RuntimeError(message)
        self._task = task
        self._cancelling = task.cancelling()
        self._timeouts.watch(self, self._seconds)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timeouts.forget(self)
        if (
            self._expired
            and self._task.uncancel() <= self._cancelling
            and isinstance(error, asyncio.CancelledError)
        ):
            raise TimeoutError from error

    def expire(self) -> None:
        """Cancel the block."""
        self._expired = True
        self._task.cancel()
