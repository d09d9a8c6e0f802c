"""Shared polling: one request per interval and status source, however many wait.

No task waits per job. A source is polled while somebody is interested in it; probes of a group of
sources run under one cap on concurrency and rate.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from reflexio_async.errors import APIConnectionError, RateLimited, RequestRefused, ServerError

if TYPE_CHECKING:
    from reflexio_async.core.background import Background
    from reflexio_async.core.clock import Clock, Timer

EAGER = 0.05
_WIDEN = 1.5
_LONGEST_PAUSE = 10.0  # between probes that fail
_TRANSIENT = (APIConnectionError, ServerError, RateLimited, RequestRefused)


class Cap:
    """At most ``concurrency`` probes at once and ``per_second`` on average, for all its sources together."""

    def __init__(self, poller: Poller, *, concurrency: int, per_second: float | None = None) -> None:
        self._poller = poller
        self._concurrency = concurrency
        self._per_second = per_second
        self._tokens = float(concurrency)
        self._counted_at = poller.clock.now()
        self._active = 0
        self._due: deque[Source] = deque()
        self._timer: Timer | None = None

    def enqueue(self, source: Source) -> None:
        """Probe ``source`` as soon as the cap allows."""
        self._due.append(source)
        self.pump()

    def release(self) -> None:
        """A probe has ended."""
        self._active -= 1
        self.pump()

    def pump(self) -> None:
        """Start what the cap allows now."""
        while self._due and self._active < self._concurrency:
            source = self._due[0]
            if not source.wanted:
                self._due.popleft().skipped()
                continue
            if self._per_second is not None and not self._take_token(self._per_second):
                return
            self._due.popleft()
            self._active += 1
            self._poller.background.spawn(source.run_probe(self), name=f"probe {source.name}")

    def _take_token(self, per_second: float) -> bool:
        now = self._poller.clock.now()
        self._tokens = min(float(self._concurrency), self._tokens + (now - self._counted_at) * per_second)
        self._counted_at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return True
        if self._timer is None:
            # A whole token later: waiting for the missing part could be too little to move the clock.
            self._timer = self._poller.clock.call_at(now + 1.0 / per_second, self._refilled)
        return False

    def close(self) -> None:
        """Start nothing more."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refilled(self) -> None:
        self._timer = None
        self.pump()


class Poller:
    """What every source of one client shares."""

    def __init__(self, clock: Clock, background: Background) -> None:
        self.clock = clock
        self.background = background
        self.closed = False
        self.active: set[Source] = set()
        """The sources that somebody waits for."""
        self.unlimited = Cap(self, concurrency=8)


class Source:
    """One place where statuses come from. Subclasses ask (``probe``) and hear (``failed``)."""

    def __init__(self, poller: Poller, name: str, *, interval: float, cap: Cap | None = None) -> None:
        self.name = name
        self._poller = poller
        self._interval = interval
        self._cap = cap or poller.unlimited
        self._given: dict[float, int] = {}  # intervals that users gave → how many waiters
        self._default_waiters = 0
        self._since = poller.clock.now()  # what the next interval is counted from
        self._eager = EAGER
        self.failures = 0
        """How many probes in a row have failed."""
        self._timer: Timer | None = None
        self._due_at = 0.0
        self._probing = False

    async def probe(self) -> None:
        """Ask the server once and tell whom it concerns."""
        raise NotImplementedError

    def failed(self, error: Exception, *, transient: bool) -> None:
        """A probe met ``error``."""
        raise NotImplementedError

    def give_up(self, reason: str) -> None:
        """The client is closing; whoever waits must hear of it."""

    @property
    def wanted(self) -> bool:
        """Whether anybody is interested."""
        return bool(self._default_waiters or self._given)

    def want(self, interval: float | None) -> None:
        """Somebody waits, with an interval of their own (seconds) or the default one."""
        if interval is None:
            self._default_waiters += 1
        else:
            self._given[interval] = self._given.get(interval, 0) + 1
        self._poller.active.add(self)
        self._schedule()

    def unwant(self, interval: float | None) -> None:
        """Somebody no longer waits."""
        if interval is None:
            self._default_waiters -= 1
        else:
            left = self._given[interval] - 1
            if left:
                self._given[interval] = left
            else:
                del self._given[interval]
        if self.wanted:
            return
        self._poller.active.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def be_eager(self) -> None:
        """Something was just started: ask soon, then ever less often up to the interval."""
        self._since = self._poller.clock.now()
        self._eager = min(EAGER, self._interval)
        self._schedule()

    def ask_now(self) -> None:
        """What is known is too old to act upon: ask at once, unless the last probe failed."""
        if not self.failures:
            self._since = -math.inf
            self._schedule()

    def skipped(self) -> None:
        """Its turn came when nobody was interested any more."""
        self._probing = False

    async def run_probe(self, cap: Cap) -> None:
        """One probe, its consequences, and the next appointment."""
        self._since = self._poller.clock.now()
        try:
            await self.probe()
        except _TRANSIENT as error:
            self.failures += 1
            self.failed(error, transient=True)
        except Exception as error:  # noqa: BLE001  # whatever it is, the waiters must hear of it
            self.failed(error, transient=False)
        else:
            self.failures = 0
        finally:
            self._probing = False
            cap.release()
        self._eager = min(self._eager * _WIDEN, self._interval)
        self._schedule()

    def _schedule(self) -> None:
        if self._probing or self._poller.closed or not self.wanted:
            return
        wait = min(self._given, default=self._interval)
        if self._default_waiters:
            wait = min(wait, self._eager)
        if self.failures:
            wait = max(wait, min(_LONGEST_PAUSE, EAGER * 2.0 ** min(self.failures, 10)))
        due_at = max(self._since + wait, self._poller.clock.now())
        if self._timer is not None:
            if self._due_at <= due_at:
                return
            self._timer.cancel()
        self._due_at = due_at
        self._timer = self._poller.clock.call_at(due_at, self._fall_due)

    def _fall_due(self) -> None:
        self._timer = None
        if self._poller.closed:
            return
        self._probing = True
        self._cap.enqueue(self)
