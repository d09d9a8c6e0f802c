"""Rate limits in fixed windows, which the first hit opens (server-behaviour: Rate limits)."""

from __future__ import annotations

from typing import Final

from reflexio_async._engine.clock import Clock

WINDOW: Final = 60.0
"""Seconds a window stays open."""
PERIOD: Final = "1 minute"
"""The same, in a refusal."""


class FixedWindowLimiter:
    """Counts the hits of each client on each literal path."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def admits(self, client: str, path: str, per_minute: int) -> bool:
        """Count a hit. False when its window already has ``per_minute`` hits."""
        now = self._clock.now()
        opened, hits = self._windows.get((client, path), (now, 0))
        if now >= opened + WINDOW:
            opened, hits = now, 0
        self._windows[client, path] = (opened, hits + 1)
        return hits < per_minute

    def clear(self) -> None:
        """Drop all windows, as a restart does."""
        self._windows.clear()
