"""Rate limits, learned per path from the server's responses.

The server counts the requests to one literal path in fixed windows. The first request opens a window. The
server does not say when a window ends (server-behaviour: Rate limits). The end can still be known: the server
counts a request before it sends the response. So a window that our request opened has ended when one period
has passed since its response.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from reflexio_async._engine.retry import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.loops import LoopBinding

_MARGIN = 0.25  # seconds added to a window's end, for differences between the server's clock and ours
_REMEMBERED_HITS = 256
_MAX_LIMITERS = 1024
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_LIMIT_TEXT = re.compile(r"(\d+) per (\d+)? ?(second|minute|hour|day)", re.IGNORECASE)


class Limit(NamedTuple):
    """At most ``hits`` requests in ``period`` seconds."""

    hits: int
    period: float

    def __str__(self) -> str:
        return f"{self.hits} per {self.period:g} s"


def parse_limit(body: bytes) -> Limit | None:
    """Return the limit in a body such as ``{"error": "Rate limit exceeded: 5 per 1 minute"}``, or None."""
    try:
        text = json.loads(body)["error"]
        match = _LIMIT_TEXT.search(text)
    except (ValueError, KeyError, TypeError):
        return None
    if match is None:
        return None
    hits, count, unit = match.groups()
    limit = Limit(int(hits), float(int(count or 1) * _UNITS[unit.lower()]))
    return limit if limit.hits and limit.period else None


class RateLimiter:
    """The rate limit of one path. It lets every request pass until the server refuses one.

    A request needs a permit before it is sent, and releases it when its response has arrived. A permit is
    the number of the window that it was given in.
    """

    __slots__ = (
        "_changed",
        "_clock",
        "_closed_until",
        "_order",
        "_recent",
        "_refused_in_a_row",
        "_used",
        "_window",
        "_window_end",
        "limit",
    )

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.limit: Limit | None = None
        """The limit, or None while it is not known."""
        self._window = 0
        self._window_end: float | None = None
        """When the window ends, or None until the first response in it has arrived."""
        self._used = 0
        """The hits used in this window."""
        self._closed_until = -math.inf
        self._recent: deque[float] = deque(maxlen=_REMEMBERED_HITS)
        """When the responses of the last hits arrived."""
        self._refused_in_a_row = 0
        self.leave_loop()

    def leave_loop(self) -> None:
        """Forget the callers that wait: their event loop has ended. What was learned stays."""
        self._order = asyncio.Lock()
        """Held by the first of the waiting callers. The others wait for it in their order."""
        self._changed = asyncio.Event()
        if self.limit is not None and self._used and self._window_end is None:
            # No response to the hits of this window will come, and the server may have counted them.
            self._window_end = self._clock.now() + self.limit.period + _MARGIN

    @property
    def unused(self) -> bool:
        """Whether it knows no limit and no caller waits."""
        return self.limit is None and not self._order.locked() and self._closed_until <= self._clock.now()

    def opens_in(self) -> float:
        """Seconds until a request may be sent: 0 for now, infinite when that is not known yet."""
        now = self._clock.now()
        wait = max(0.0, self._closed_until - now)
        if self.limit is not None and self._used >= self.limit.hits:
            wait = max(wait, math.inf if self._window_end is None else self._window_end - now)
        return wait

    def seconds_for(self, hits: int) -> float | None:
        """Seconds until that many more requests can have been sent; None while no limit is known."""
        if self.limit is None or hits <= 0:
            return None
        opens_in = self.opens_in()
        free_now = 0 if opens_in > 0 else self.limit.hits - self._used
        windows_after = max(0, math.ceil((hits - free_now) / self.limit.hits) - (opens_in > 0))
        return (0.0 if math.isinf(opens_in) else opens_in) + windows_after * self.limit.period

    def try_acquire(self) -> int | None:
        """Return a permit for one request, or None when the limit is used up or other callers wait."""
        return None if self._order.locked() else self._take()

    async def acquire(self) -> int:
        """Wait for a permit for one request. Callers get theirs in the order in which they asked."""
        async with self._order:
            while (permit := self._take()) is None:
                await self._wait()
            return permit

    def release(self, permit: int, *, counted: bool) -> None:
        """The request has its response, or will never get one. ``counted``: the server counted a hit."""
        now = self._clock.now()
        if counted:
            self._recent.append(now)
            self._refused_in_a_row = 0
        if permit != self._window or self.limit is None:
            return
        if not counted:
            self._used -= 1
        elif self._window_end is None:
            self._window_end = now + self.limit.period + _MARGIN
        self._changed.set()

    def refused(self, permit: int, headers: Mapping[str, str], body: bytes) -> None:
        """Learn from the 429 response of the request that had ``permit``."""
        now = self._clock.now()
        limit = parse_limit(body)
        seconds = retry_after(headers, self._clock.time())
        if limit is None:
            self._closed_until = max(self._closed_until, now + (1.0 if seconds is None else seconds))
        elif permit == self._window:
            # A refusal in an older window says nothing new: its request was sent before we knew the limit.
            if seconds is not None:
                end = now + seconds
            elif self._refused_in_a_row:
                end = now + limit.period
            else:
                end = self._window_start(now, limit) + limit.period
            self._refused_in_a_row += 1
            self.limit = limit
            self._window += 1
            self._used = limit.hits
            self._window_end = end + _MARGIN
        self._changed.set()

    def observe(self, headers: Mapping[str, str]) -> None:
        """Obey ``X-RateLimit-Remaining: 0`` and its ``-Reset`` (epoch seconds, or seconds from now)."""
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
        """Wait until the limit should open, or until something is learned that may open it sooner."""
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

    def _window_start(self, now: float, limit: Limit) -> float:
        """The latest time at which the window that refused us can have begun."""
        # At most limit.hits of our hits are in this window. So it began no later than the response to the
        # first of our last limit.hits hits. Hits older than one period were in an earlier window.
        for responded_at in list(self._recent)[-limit.hits :]:
            if responded_at > now - limit.period:
                return responded_at
        return now


class RateLimiters:
    """The rate limiters of one server, one for each literal path."""

    def __init__(self, clock: Clock, loops: LoopBinding) -> None:
        loops.rate_limiters.append(self)
        self._clock = clock
        self._limiters: dict[str, RateLimiter] = {}

    def leave_loop(self) -> None:
        """Forget the callers that wait, because their event loop has ended."""
        for limiter in self._limiters.values():
            limiter.leave_loop()

    def rate_limiter(self, path: str) -> RateLimiter:
        """Return the rate limiter of ``path``."""
        limiter = self._limiters.get(path)
        if limiter is None:
            if len(self._limiters) >= _MAX_LIMITERS:
                # Most paths with an id in them are used once. Forget those that have learned nothing.
                self._limiters = {path: other for path, other in self._limiters.items() if not other.unused}
            limiter = self._limiters[path] = RateLimiter(self._clock)
        return limiter
