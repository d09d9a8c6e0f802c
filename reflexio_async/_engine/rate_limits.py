"""Rate limits, learned per path from the server's responses.

The server counts the requests to one literal path in fixed windows. The first request opens a window. The
server does not say when a window ends (server-behaviour: Rate limits). The end can still be known: the server
counts a request before it sends the response. So a window that our request opened has ended when one period
has passed since its response.

The server's window may end a little before that. What we send in between may be counted in the server's next
window, so it uses up a hit of our next window too.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from reflexio_async._engine.error_bodies import read_json
from reflexio_async._engine.jobs.waits import WaitingFor, WaitReason
from reflexio_async._engine.retry import BELIEVED, retry_after, server_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.loops import LoopBinding

_MARGIN = 0.25  # seconds added to a window's end, for differences between the server's clock and ours
_SLOWEST = 10.0  # seconds from sending a request to when the server counts it, at most
_REMEMBERED_HITS = 256
_SAVED_HITS = 32  # of the remembered ones
_SAME_WINDOW = 1.0  # seconds between the ends of one window, as two processes know it
_MAX_LIMITERS = 1024
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
# Numbers of more digits are no limits. Without a bound, a text of digits takes quadratic time.
_LIMIT_TEXT = re.compile(r"(?<![0-9])([0-9]{1,9}) per ([0-9]{1,9})? ?(second|minute|hour|day)", re.IGNORECASE)
_MILLISECONDS = 100  # a reset of more than this times the epoch seconds is in milliseconds


class Limit(NamedTuple):
    """At most ``hits`` requests in ``period`` seconds."""

    hits: int
    period: float

    @property
    def window(self) -> float:
        """Seconds after which a request is tried again: the period, at most ``BELIEVED``."""
        return min(self.period, BELIEVED)

    def __str__(self) -> str:
        return f"{self.hits} per {self.period:g} s"


def parse_limit(body: bytes) -> Limit | None:
    """Return the limit in a body such as ``{"error": "Rate limit exceeded: 5 per 1 minute"}``, or None."""
    try:
        text = read_json(body)["error"]
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
        "_probing",
        "_recent",
        "_refused_in_a_row",
        "_uncertain",
        "_unsure",
        "_used",
        "_window",
        "_window_began",
        "_window_end",
        "limit",
    )

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.limit: Limit | None = None
        """The limit, or None while it is not known."""
        self._window = 0
        self._window_began: float | None = None
        """The earliest time at which the server can have begun this window; None before its first hit."""
        self._window_end: float | None = None
        """When the window has ended for sure, or None until the first response in it has arrived."""
        self._used = 0
        """The hits used in this window, and the uncertain ones of the window before."""
        self._uncertain: list[float] = []
        """When those hits of this window were sent that the server may count in its next one."""
        self._closed_until = -math.inf
        self._unsure = False
        """Whether the server asked for a longer wait than is believed. After it, one request goes first."""
        self._probing = False
        """Whether that request is under way."""
        self._recent: deque[float] = deque(maxlen=_REMEMBERED_HITS)
        """When the responses of the last hits arrived."""
        self._refused_in_a_row = 0
        self.leave_loop()

    def leave_loop(self) -> None:
        """Forget the callers that wait: their event loop has ended. What was learned stays."""
        self._order = asyncio.Lock()
        """Held by the first of the waiting callers. The others wait for it in their order."""
        self._changed = asyncio.Event()
        self._probing = False
        if self.limit is not None and self._used and self._window_end is None:
            # No response to the hits of this window will come, and the server may have counted them.
            self._window_end = self._clock.now() + self.limit.window + _MARGIN

    @property
    def unused(self) -> bool:
        """Whether it knows no limit and no caller waits."""
        return self.limit is None and not self._order.locked() and self.opens_in() <= 0

    def opens_in(self) -> float:
        """Seconds until a request may be sent: 0 for now, infinite when that is not known yet."""
        if self._probing:
            return math.inf
        now = self._clock.now()
        wait = max(0.0, self._closed_until - now)
        if self.limit is not None and self._used >= self.limit.hits:
            wait = max(wait, math.inf if self._window_end is None else self._window_end - now)
        return wait

    def waiting_for(self) -> WaitingFor:
        """When it opens, for people who wait for that."""
        opens_in = self.opens_in()
        seconds = None if math.isinf(opens_in) else opens_in
        detail = "" if self.limit is None else str(self.limit)
        return WaitingFor(WaitReason.RATE_LIMIT, seconds=seconds, detail=detail)

    def seconds_for(self, hits: int) -> float | None:
        """Seconds until that many more requests can have been sent; None while no limit is known."""
        if self.limit is None or hits <= 0:
            return None
        opens_in = self.opens_in()
        free_now = 0 if opens_in > 0 else self.limit.hits - self._used
        windows_after = max(0, math.ceil((hits - free_now) / self.limit.hits) - (opens_in > 0))
        return (0.0 if math.isinf(opens_in) else opens_in) + windows_after * self.limit.window

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
        if self._probing:
            self._probing = False
            self._changed.set()
        if permit == self._window and self.limit is not None:
            if not counted:
                self._used -= 1
            elif self._window_end is None:
                self._window_end = now + self.limit.window + _MARGIN
            self._changed.set()

    def refused(self, permit: int, headers: Mapping[str, str], body: bytes) -> None:
        """Learn from the 429 response of the request that had ``permit``."""
        now = self._clock.now()
        limit = parse_limit(body)
        seconds = retry_after(headers, self._clock.time())
        if limit is None:
            self._close(1.0 if seconds is None else seconds)
        elif permit == self._window:
            # A refusal in an older window says nothing new: its request was sent before we knew the limit.
            if seconds is not None:
                end = now + seconds
            elif self._refused_in_a_row:
                end = now + limit.window
            else:
                end = self._window_start(now, limit) + limit.window
            self._refused_in_a_row += 1
            self.limit = limit
            self._begin_window(used=limit.hits)
            self._window_end = end + _MARGIN
            self._unsure = self._unsure or end >= now + BELIEVED
        self._changed.set()

    def observe(self, headers: Mapping[str, str]) -> None:
        """Obey ``X-RateLimit-Remaining: 0`` and its ``-Reset`` (epoch seconds, or seconds from now)."""
        try:
            remaining, reset = int(headers["X-RateLimit-Remaining"]), float(headers["X-RateLimit-Reset"])
        except (KeyError, ValueError):
            return
        if remaining <= 0 and math.isfinite(reset):
            epoch = server_time(headers, self._clock.time())
            if reset > epoch * _MILLISECONDS:
                reset /= 1000
            self._close(reset - epoch if reset > epoch / 2 else reset)

    def snapshot(self) -> str | None:
        """What is known, for ``restore`` in another process, as JSON; None when nothing is known."""
        now, epoch = self._clock.now(), self._clock.time()
        offset = epoch - now

        def at(time: float) -> float:
            return round(offset + time, 3)

        hits, period = self.limit or (None, None)
        oldest = now - (period or BELIEVED)
        recent = [offset + time for time in list(self._recent)[-_SAVED_HITS:] if time > oldest]
        closed = self._closed_until > now
        if hits is None and not recent and not closed:
            return None
        from reflexio_async._engine.rate_snapshot import RateSnapshot  # noqa: PLC0415  # only with a store

        return RateSnapshot(
            at=round(epoch, 3),
            hits=hits,
            period=period,
            began=None if self._window_began is None else at(self._window_began),
            end=None if self._window_end is None else at(self._window_end),
            used=self._used,
            uncertain=tuple(map(at, self._uncertain)),
            recent=tuple(recent),
            closed_until=at(self._closed_until) if closed else 0.0,
            unsure=self._unsure or self._probing,
        ).to_text()

    def restore(self, text: str, *, unsaved: int = 0) -> None:
        """Go on where another process was when it made the snapshot ``text``.

        A text that cannot be read, or is older than a day, is ignored. No time in it is believed that is
        more than ``BELIEVED`` ahead. What this process knows of a later window is kept.

        Args:
            text: What ``snapshot`` returned.
            unsaved: How many hits that process may have sent after the snapshot.
        """
        from reflexio_async._engine.rate_snapshot import RateSnapshot  # noqa: PLC0415  # as above

        now, epoch = self._clock.now(), self._clock.time()
        snapshot = RateSnapshot.from_text(text, epoch)
        if snapshot is None:
            return
        # If the clock was set back meanwhile, the snapshot counts as written now.
        offset = now - max(epoch, snapshot.at)

        def past(time: float) -> float:
            return min(time + offset, now)

        def future(time: float) -> float:
            return min(time + offset, now + BELIEVED)

        recent = sorted({*self._recent, *map(past, snapshot.recent)})
        self._recent = deque(recent, maxlen=_REMEMBERED_HITS)
        self._closed_until = max(self._closed_until, future(snapshot.closed_until))
        self._unsure = self._unsure or snapshot.unsure
        if snapshot.hits is not None and snapshot.period is not None:
            limit = Limit(snapshot.hits, snapshot.period)
            used, end = min(snapshot.used, limit.hits), snapshot.end
            if end is None and used:
                # Nothing says when its hits were counted. The last may have been counted just then.
                end = snapshot.at + limit.window + _MARGIN
            ours = self._known_end(now)
            if end is not None and abs(future(end) - ours) < _SAME_WINDOW:
                self._used = max(self._used, used)
            elif self.limit is None or (end is not None and future(end) > ours):
                self.limit = limit
                self._begin_window(used=used)
                self._window_began = None if snapshot.began is None else past(snapshot.began)
                self._window_end = None if end is None else future(end)
                self._uncertain = [past(sent_at) for sent_at in snapshot.uncertain[:used]]
            self._add_hits(unsaved, past(snapshot.at))
        self._changed.set()

    def answered_at(self, times: Iterable[float]) -> None:
        """Remember hits of another process, by the epoch seconds at which their responses arrived."""
        now, epoch = self._clock.now(), self._clock.time()
        hits = (min(now - epoch + at, now) for at in times if at > epoch - BELIEVED)
        self._recent = deque(sorted({*self._recent, *hits}), maxlen=_REMEMBERED_HITS)

    def _known_end(self, now: float) -> float:
        """When our window has ended at the latest; minus infinity when there is none."""
        if self.limit is None or not self._used:
            return -math.inf
        return now + self.limit.window + _MARGIN if self._window_end is None else self._window_end

    def _add_hits(self, hits: int, since: float) -> None:
        """Count hits that were sent at unknown times after ``since``."""
        if not hits or self.limit is None:
            return
        now = self._clock.now()
        if now >= self._known_end(now):
            # They may have opened a window, at the latest now.
            self._next_window(now, self.limit)
            self._window_began, self._window_end = since, now + self.limit.window + _MARGIN
        self._used = min(self.limit.hits, self._used + hits)

    def _close(self, seconds: float) -> None:
        """Let no request pass for that many seconds, at most ``BELIEVED``."""
        seconds = min(max(0.0, seconds), BELIEVED)
        self._closed_until = max(self._closed_until, self._clock.now() + seconds)
        self._unsure = self._unsure or seconds >= BELIEVED

    def _take(self) -> int | None:
        now = self._clock.now()
        if self._probing or self._closed_until > now:
            return None
        if self.limit is not None:
            if self._window_end is not None and now >= self._window_end:
                self._next_window(now, self.limit)
            if self._used >= self.limit.hits:
                return None
            self._used += 1
            if self._window_began is None:
                self._window_began = now
            elif now > self._window_began + self.limit.window - _MARGIN:
                self._uncertain.append(now)
        if self._unsure:
            self._unsure, self._probing = False, True
        return self._window

    def _next_window(self, now: float, limit: Limit) -> None:
        began = self._window_began
        self._unsure = self._unsure or limit.period > BELIEVED
        uncertain = sum(sent_at + _SLOWEST + limit.window > now for sent_at in self._uncertain)
        self._begin_window(used=uncertain)
        if uncertain and began is not None:
            # They may have opened the server's window, but not before the one before was over.
            self._window_began = began + limit.window

    def _begin_window(self, *, used: int) -> None:
        self._window += 1
        self._window_began = self._window_end = None
        self._used, self._uncertain = used, []

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
