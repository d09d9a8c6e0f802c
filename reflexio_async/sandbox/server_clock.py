"""The clock of the sandbox's servers, whose wall time may be wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager

from reflexio_async._engine.clock import Clock, Timer


class ServerClock:
    """``clock`` with ``time()`` ahead by ``ahead`` seconds. Durations are not affected."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead = 0.0

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.now()

    def time(self) -> float:
        """Seconds since the epoch, plus ``ahead``."""
        return self._clock.time() + self.ahead

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Run ``callback`` once ``now()`` reaches ``when``."""
        return self._clock.call_at(when, callback)

    async def sleep(self, seconds: float) -> None:
        """Wait. Zero or less only lets other tasks run."""
        await self._clock.sleep(seconds)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Raise ``TimeoutError`` from the block once ``seconds`` have passed (None: never)."""
        return self._clock.timeout(seconds)

    def busy(self) -> AbstractContextManager[Mapping[str, str] | None]:
        """Mark work that no timer knows of."""
        return self._clock.busy()
