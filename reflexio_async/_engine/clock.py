"""The clock that all waiting and measuring goes through, so that tests can replace it."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from reflexio_async.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Timer(Protocol):
    """A scheduled callback."""

    def cancel(self) -> None:
        """Do not run the callback. Does nothing when it has already run."""
        ...


class Clock(Protocol):
    """Tells the time and waits, in seconds. All of a client's parts share one clock."""

    def now(self) -> float:
        """Monotonic seconds; only differences mean anything."""
        ...

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Run ``callback`` on the loop once ``now()`` reaches ``when``."""
        ...

    async def sleep(self, seconds: float, /) -> None:
        """Wait. Zero or less only lets other tasks run."""
        ...

    def timeout(self, seconds: float | None, /) -> AbstractAsyncContextManager[object]:
        """Raise ``TimeoutError`` from the block once ``seconds`` have passed (None: never)."""
        ...

    def busy(self) -> AbstractContextManager[Mapping[str, str] | None]:
        """Mark work whose end is not a timer of this clock, such as a response on a socket.

        A virtual clock stands still inside this block. The block may get headers to send with its request.
        The sandbox recognises the block by these headers. It can let the clock run while it simulates a
        slow server.
        """
        ...


def clock_from(given: Clock | None) -> Clock:
    """Return ``given``, or a SystemClock for None. Raise ConfigurationError when it is not a clock."""
    if given is None:
        return SystemClock()
    if not callable(getattr(given, "call_at", None)):
        message = f"clock must be a Clock such as the sandbox's VirtualClock, not {type(given).__name__}"
        raise ConfigurationError(message)
    return given


class SystemClock:
    """The real time: the standard library's own functions."""

    __slots__ = ()

    now = staticmethod(time.monotonic)
    """Monotonic seconds."""
    time = staticmethod(time.time)
    """Seconds since the epoch."""
    sleep = staticmethod(asyncio.sleep)
    """Wait so many seconds."""
    timeout = staticmethod(asyncio.timeout)
    """Raise ``TimeoutError`` from the block once so many seconds have passed."""
    busy = staticmethod(nullcontext)
    """Do nothing: real time does not stand still."""

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """``loop.call_later``, on the scale of ``now()``."""
        return asyncio.get_running_loop().call_later(when - time.monotonic(), callback)
