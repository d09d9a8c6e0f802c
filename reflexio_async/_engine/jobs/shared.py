"""A source of statuses that many jobs share."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from reflexio_async._engine.jobs.poller import widening

if TYPE_CHECKING:
    from reflexio_async._engine.jobs.poller import Poller
    from reflexio_async._engine.jobs.record import Record


class SharedSource:
    """Asked once for all who wait, as often as the most impatient wants; ``interval`` is in seconds."""

    def __init__(self, poller: Poller, name: str, interval: float) -> None:
        self.name = name
        self.interval = interval
        self.agenda = poller.agenda
        self.asked_at = poller.clock.now()
        self.asked = 0
        self.failures = 0
        self.probing = False
        self.line: Any = None
        self.previous: Any = None
        self.following: Any = None
        self._poller = poller
        self._wanted: Counter[float | None] = Counter()  # intervals that waiters gave; None: the default

    @property
    def due(self) -> float:
        """When it is to be asked next, while it stands in a line of the agenda."""
        due: float = self.asked_at + self.line.length
        return due

    @property
    def closed(self) -> bool:
        """Whether nobody will ask any more."""
        return self._poller.closed

    async def probe(self) -> None:
        """Ask the server once and tell whom it concerns."""
        raise NotImplementedError

    def failed(self, error: Exception, *, transient: bool) -> None:
        """A probe met ``error``."""
        raise NotImplementedError

    def give_up(self, reason: str) -> None:
        """The client is closing; whoever waits must hear of it."""

    async def refresh(self, record: Record[Any]) -> None:  # noqa: ARG002  # one status for all
        """Ask for the status once, now."""
        await self.probe()

    def want(self, record: Record[Any] | None, interval: float | None) -> None:  # noqa: ARG002  # as above
        """Somebody waits, with an interval of their own (seconds) or the default one."""
        self._wanted[interval] += 1
        if self._wanted[interval] == 1:
            self._poller.schedule(self)

    def unwant(self, record: Record[Any] | None, interval: float | None) -> None:  # noqa: ARG002  # as above
        """Somebody no longer waits."""
        self._wanted[interval] -= 1
        if not self._wanted[interval]:
            del self._wanted[interval]
            if not self._wanted:
                self.agenda.remove(self)

    @property
    def wanted(self) -> bool:
        """Whether anybody waits."""
        return bool(self._wanted)

    def pause(self) -> float | None:
        """The shortest interval that is wanted; by default soon after a start, then ever longer ones."""
        if not self._wanted:
            return None
        default = min(self.default_pause(), self.interval)
        return min(default if interval is None else interval for interval in self._wanted)

    def default_pause(self) -> float:
        """Seconds from ``asked_at`` to the next probe where nobody named any."""
        return widening(self.asked)

    def be_eager(self) -> None:
        """Something was just started: ask soon."""
        self.asked_at, self.asked = self._poller.clock.now(), 0
        self._poller.schedule(self)

    def ask_now(self) -> None:
        """What is known is too old to act upon: ask at once, unless the last probe failed."""
        if not self.failures:
            self.asked_at = -math.inf
            self._poller.schedule(self)

    def fall_due(self) -> None:
        """It is time to ask."""
        self._poller.fall_due(self, self._poller.unlimited)
