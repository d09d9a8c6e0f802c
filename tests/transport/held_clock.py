"""A clock whose timeouts end when a test says so: after what it waits for has happened."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from reflexio_async import SystemClock


class HeldClock(SystemClock):
    """Its time stands still, and no timeout ends before ``expire``, however slow the machine is."""

    def __init__(self) -> None:
        self._timeouts: list[asyncio.Timeout] = []
        self._now = super().now()

    def now(self) -> float:
        return self._now

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        self._timeouts.append(asyncio.timeout(None if seconds is None or seconds > 0 else 0))
        return self._timeouts[-1]

    def expire(self) -> None:
        """End every timeout that is running, as if years had passed."""
        self._now += 1e9
        for timeout in self._timeouts:
            with suppress(RuntimeError):  # its block has ended
                timeout.reschedule(asyncio.get_running_loop().time())
