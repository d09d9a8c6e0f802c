"""Time, injected: whatever waits or measures asks a ``Clock``, so tests can own it."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from reflexio_async._engine.timeouts import Timeout, Timeouts
from reflexio_async.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Timer(Protocol):
    """A scheduled callback."""

    def cancel(self) -> None:
        """Forget the callback; harmless when it has run."""
        ...


class Clock(Protocol):
    """Seconds, on one scale per event loop."""

    def now(self) -> float:
        """Monotonic seconds; only differences mean anything."""
        ...

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Run ``callback`` on the loop once ``now()`` reaches ``when``."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less only yields to the loop."""
        ...

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Raise ``TimeoutError`` from the block once ``seconds`` have passed (None: never)."""
        ...

    def busy(self) -> AbstractContextManager[Mapping[str, str] | None]:
        """Mark work in progress that no timer knows of, such as bytes on a socket.

        A virtual clock stands still meanwhile. What the block is given, when not None, are headers
        to send along, by which a sandbox on the same clock knows whose hold to lift while it is
        scripted to be slow.
        """
        ...


def clock_from(given: Clock | None) -> Clock:
    """``given``, else the system's; raises ConfigurationError for what is no clock."""
    if given is None:
        return SystemClock()
    if not callable(getattr(given, "call_at", None)):
        message = f"clock must be a Clock such as the sandbox's VirtualClock, not {type(given).__name__}"
        raise ConfigurationError(message)
    return given


class SystemClock:
    """The real time."""

    __slots__ = ("_timeouts", "_timeouts_by_loop")

    _NOT_TRACKED: AbstractContextManager[None] = nullcontext()

    def __init__(self) -> None:
        self._timeouts: Timeouts | None = None  # of the loop that asked last
        self._timeouts_by_loop: dict[asyncio.AbstractEventLoop, Timeouts] = {}

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """``loop.call_at`` on this scale."""
        loop = asyncio.get_running_loop()
        return loop.call_later(when - time.monotonic(), callback)

    async def sleep(self, seconds: float) -> None:
        """``asyncio.sleep``."""
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """As ``asyncio.timeout``, made on the loop that it is used on."""
        if seconds is None:
            return asyncio.timeout(None)
        loop, timeouts = asyncio.get_running_loop(), self._timeouts
        if timeouts is None or timeouts.loop is not loop:
            timeouts = self._timeouts = self._timeouts_of(loop)
        return Timeout(timeouts, seconds)

    def busy(self) -> AbstractContextManager[None]:
        """Nothing to mark: real time does not stand still."""
        return self._NOT_TRACKED

    def _timeouts_of(self, loop: asyncio.AbstractEventLoop) -> Timeouts:
        for other in [other for other in self._timeouts_by_loop if other.is_closed()]:
            del self._timeouts_by_loop[other]
        return self._timeouts_by_loop.setdefault(loop, Timeouts(loop))
