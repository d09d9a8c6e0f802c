"""Rate limits: fixed windows, opened by the first hit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from reflexio_async._engine.clock import Clock

WINDOW: Final = 60.0
"""Seconds a window stays open."""


class FixedWindows:
    """Counts hits per client and literal path; a full window refuses until it ends."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def admits(self, client: str, path: str, per_minute: int) -> bool:
        """Count one hit and say whether it is within ``per_minute``."""
        now = self._clock.now()
        opened, hits = self._windows.get((client, path), (now, 0))
        if now >= opened + WINDOW:
            opened, hits = now, 0
        self._windows[client, path] = (opened, hits + 1)
        return hits < per_minute

    def forget(self) -> None:
        """Start anew, as a restarted process does."""
        self._windows.clear()
