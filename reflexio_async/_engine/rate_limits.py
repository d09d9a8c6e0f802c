"""Rate limits, learned from what the server says and kept per literal path.

The server counts in fixed windows that the first hit opens, does not say when a window ends, and keys by
literal path (server-behaviour: Rate limits). The end is known all the same: a hit is counted before its
answer arrives, so a window that our hit opened is over one period after that answer.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reflexio_async._engine.retry import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.clock import Clock

# Lets a window that ends on the server's clock end on ours too.
_MARGIN = 0.25
_REMEMBERED_HITS = 256
_MOST_GATES = 1024
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_LIMIT_TEXT = re.compile(r"(\d+) per (\d+)? ?(second|minute|hour|day)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many hits in so many seconds."""

    hits: int
    period: float

    def __str__(self) -> str:
        return f"{self.hits} per {self.period:g} s"


def limit_in(body: bytes) -> Limit | None:
    """The limit named by ``{"error": "Rate limit exceeded: 5 per 1 minute"}``."""
    try:
        text = json.loads(body)["error"]
        found = _LIMIT_TEXT.search(text)
    except (ValueError, KeyError, TypeError):
        return None
    if found is None:
        return None
    hits, count, unit = found.groups()
    limit = Limit(int(hits), float(int(count or 1) * _UNITS[unit.lower()]))
    return limit if limit.hits and limit.period else None


class RateLimiter:
    """What is known of one path's limit. Free until a refusal teaches it."""

    __slots__ = (
        "_changed",
        "_clock",
        "_closed_until",
        "_recent",
        "_refused_in_a_row",
        "_turn",
        "_used",
        "_window",
        "_window_end",
        "limit",
    )

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.limit: Limit | None = None
        self._window = 0
        self._window_end: float | None = None  # None: open, but its first answer is still to come
        self._used = 0
        self._closed_until = -math.inf
        self._recent: deque[float] = deque(maxlen=_REMEMBERED_HITS)
        self._refused_in_a_row = 0
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether nothing has been learned and nobody waits."""
        return self.limit is None and not self._turn.locked() and self._closed_until <= self._clock.now()

    def opens_in(self) -> float:
        """Seconds until a call may be sent; 0 when it may be now, infinite when not yet known."""
        now = self._clock.now()
        wait = max(0.0, self._closed_until - now)
        if self.limit is not None and self._used >= self.limit.hits:
            wait = max(wait, math.inf if self._window_end is None else self._window_end - now)
        return wait

    def seconds_for(self, hits: int) -> float | None:
        """Seconds until so many more calls can have been sent; None while no limit is known."""
        if self.limit is None or hits <= 0:
            return None
        opens_in = self.opens_in()
        free_now = 0 if opens_in > 0 else self.limit.hits - self._used
        windows_after = max(0, math.ceil((hits - free_now) / self.limit.hits) - (opens_in > 0))
        return (0.0 if math.isinf(opens_in) else opens_in) + windows_after * self.limit.period

    def try_enter(self) -> int | None:
        """A ticket for one call, or None when the limit is used up (or others are already waiting)."""
        if self._turn.locked():
            return None
        return self._take()

    async def enter(self) -> int:
        """A ticket for one call, in order of asking."""
        async with self._turn:
            while (permit := self._take()) is None:
                await self._wait()
            return permit

    def answered(self, permit: int, *, counted: bool) -> None:
        """The call of ``permit`` got its answer, or never will; ``counted``: it was a hit at the server."""
        now = self._clock.now()
        if counted:
            self._recent.append(now)
            self._refused_in_a_row = 0
        if permit != self._window or self.limit is None:
            return
        if counted:
            if self._window_end is None:
                self._window_end = now + self.limit.period + _MARGIN
        else:
            self._used -= 1
        self._announce()

    def refused(self, permit: int, headers: Mapping[str, str], body: bytes) -> None:
        """The call of ``permit`` got a 429: learn from it."""
        now = self._clock.now()
        limit = limit_in(body)
        seconds = retry_after(headers, self._clock.time())
        if limit is None:
            self._closed_until = max(self._closed_until, now + (1.0 if seconds is None else seconds))
        elif permit == self._window:
            # Tickets of an older window were on their way when this was learned; they teach nothing new.
            if seconds is not None:
                end = now + seconds
            elif self._refused_in_a_row:
                end = now + limit.period
            else:
                end = self._window_opened_by(now, limit) + limit.period
            self._refused_in_a_row += 1
            self.limit = limit
            self._window += 1
            self._used = limit.hits
            self._window_end = end + _MARGIN
        self._announce()

    def observe(self, headers: Mapping[str, str]) -> None:
        """Heed ``X-RateLimit-Remaining: 0`` with its ``-Reset`` (epoch seconds, or seconds from now)."""
        try:
            remaining, reset = int(headers["X-RateLimit-Remaining"]), float(headers["X-RateLimit-Reset"])
        except (KeyError, ValueError):
            return
        if remaining == 0 and math.isfinite(reset):
            epoch = self._clock.time()
            seconds = reset - epoch if reset > epoch / 2 else reset
            self._closed_until = max(self._closed_until, self._clock.now() + max(0.0, seconds))

    def _take(self) -> int | None:
        if self._closed_until > self._clock.now():
            return None
        if self.limit is not None:
            if self._window_end is not None and self._clock.now() >= self._window_end:
                self._window += 1
                self._window_end = None
                self._used = 0
            if self._used >= self.limit.hits:
                return None
            self._used += 1
        return self._window

    async def _wait(self) -> None:
        """Until the limit should open, or something is learned that may open it sooner."""
        wait = self.opens_in()
        self._changed.clear()
        timer = None
        if not math.isinf(wait):
            timer = self._clock.call_at(self._clock.now() + wait, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _announce(self) -> None:
        self._changed.set()

    def _window_opened_by(self, now: float, limit: Limit) -> float:
        # The window admitted at most limit.hits of ours, so it opened no later than the answer to the
        # first of our last limit.hits; hits older than one period were in an earlier window.
        for answered_at in list(self._recent)[-limit.hits :]:
            if answered_at > now - limit.period:
                return answered_at
        return now


class RateLimiters:
    """The gates of one host."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limiters: dict[str, RateLimiter] = {}

    def rate_limiter(self, path: str) -> RateLimiter:
        """The gate of one literal path."""
        rate_limiter = self._limiters.get(path)
        if rate_limiter is None:
            if len(self._limiters) >= _MOST_GATES:
                # Paths with ids in them come and go; of most there is nothing worth remembering.
                self._limiters = {
                    path: rate_limiter
                    for path, rate_limiter in self._limiters.items()
                    if not rate_limiter.idle
                }
            rate_limiter = self._limiters[path] = RateLimiter(self._clock)
        return rate_limiter
