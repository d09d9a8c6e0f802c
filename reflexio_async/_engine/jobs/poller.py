"""Shared polling: one request per interval and status source, however many wait.

No task waits per job. A source is polled while somebody is interested in it; the probes of all sources
under one cap share its few workers.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from reflexio_async._engine.jobs.agenda import Agenda, Entry
from reflexio_async.errors import APIConnectionError, RateLimited, RequestRefused, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.tasks import TaskTracker

EAGER: Final = 0.05
"""Seconds until a job that was just started is first asked for."""
_WIDEN: Final = 1.5  # the factor by which the pauses grow after that
_WIDEST: Final = 32  # questions after which they are longer than any interval; some 1,700 would overflow

_LONGEST_PAUSE = 10.0  # between probes that fail
_FIRST_PAUSE = 0.1
_NAP = 0.02  # seconds: workers that wait for the rate do not wake for every single probe
_CATCH_UP = 0.1  # seconds: what was not asked while a nap took too long is made up for, up to so much
_TRANSIENT = (APIConnectionError, ServerError, RateLimited, RequestRefused)


def widening(asked: int) -> float:
    """Seconds to the next question, when so many were asked before: soon at first, then ever later."""
    return EAGER * _WIDEN ** min(asked, _WIDEST)


class Source(Entry, Protocol):
    """One place where statuses come from: a line of the agenda holds it until it is to be asked.

    It falls due when the length of its line has passed since ``asked_at``, when it was last asked (or began).
    ``asked`` is how often since somebody was last in a hurry, ``failures`` how often in a row in vain;
    ``probing`` says that it is being asked or is about to be.
    """

    asked_at: float
    asked: int
    failures: int
    probing: bool

    @property
    def name(self) -> str:
        """For logs."""
        ...

    @property
    def wanted(self) -> bool:
        """Whether anybody is interested."""
        ...

    def pause(self) -> float | None:
        """Seconds from ``asked_at`` to the next probe; None when nobody is interested."""
        ...

    async def probe(self) -> None:
        """Ask the server once and tell whom it concerns."""
        ...

    def failed(self, error: Exception, *, transient: bool) -> None:
        """A probe met ``error``."""
        ...

    def give_up(self, reason: str) -> None:
        """The client is closing; whoever waits must hear of it."""
        ...


class Cap:
    """At most ``concurrency`` probes at once and ``per_second``, for all its sources together.

    After a rest so many as ``burst`` may go beyond that.
    """

    def __init__(
        self, poller: Poller, *, concurrency: int, per_second: float | None = None, burst: int = 1
    ) -> None:
        self._poller = poller
        self._concurrency = concurrency
        self._per_second = per_second
        self._most = max(float(burst), (per_second or 0.0) * _CATCH_UP)
        self._tokens = float(burst)
        self._counted_at = poller.clock.now()
        self._due: deque[Source] = deque()
        self._probed: set[Source] = set()
        self._workers = 0

    def enqueue(self, source: Source) -> None:
        """Probe ``source`` as soon as the cap allows."""
        self._due.append(source)
        if self._workers < self._concurrency:
            self._workers += 1
            self._poller.tasks.spawn(self._work(), name=f"probe {source.name}")

    def sources(self) -> Iterator[Source]:
        """Those that wait for their turn or are being asked."""
        yield from self._due
        yield from self._probed

    async def _work(self) -> None:
        try:
            while self._due:
                if self._per_second is not None and not self._take_token(self._per_second):
                    # A whole token at least: waiting for a part could be too little to move the clock.
                    await self._poller.clock.sleep(max(1.0 / self._per_second, _NAP))
                    continue
                source = self._due.popleft()
                if not source.wanted:
                    source.probing = False
                    continue
                self._probed.add(source)
                try:
                    await self._poller.ask(source)
                finally:
                    self._probed.discard(source)
        finally:
            self._workers -= 1

    def _take_token(self, per_second: float) -> bool:
        now = self._poller.clock.now()
        self._tokens = min(self._most, self._tokens + (now - self._counted_at) * per_second)
        self._counted_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Poller:
    """What every source of one client shares."""

    def __init__(self, clock: Clock, tasks: TaskTracker) -> None:
        self.clock = clock
        self.tasks = tasks
        self.agenda = Agenda(clock)
        self.closed = False
        self.caps: list[Cap] = []
        self.unlimited = self.cap(concurrency=8)

    def cap(self, *, concurrency: int, per_second: float | None = None, burst: int = 1) -> Cap:
        """A new cap for some of the sources."""
        cap = Cap(self, concurrency=concurrency, per_second=per_second, burst=burst)
        self.caps.append(cap)
        return cap

    @property
    def active(self) -> list[Source]:
        """The sources that somebody waits for."""
        found: list[Source] = [entry for entry in self.agenda if hasattr(entry, "probing")]
        for cap in self.caps:
            found += cap.sources()
        return [source for source in found if source.wanted]

    def schedule(self, source: Source) -> None:
        """Note when ``source`` is to be asked next, in place of what was noted."""
        if source.probing or self.closed:
            return
        self.agenda.remove(source)
        pause = source.pause()
        if pause is None:
            return
        if source.failures:
            pause = max(pause, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(source.failures - 1, 10)))
        self.agenda.add(source, pause)

    def fall_due(self, source: Source, cap: Cap) -> None:
        """It is time to ask ``source``, as soon as ``cap`` allows."""
        if not self.closed:
            source.probing = True
            cap.enqueue(source)

    async def ask(self, source: Source) -> None:
        """One probe, its consequences, and the next appointment."""
        source.asked_at = self.clock.now()
        try:
            await source.probe()
        except _TRANSIENT as error:
            source.failures += 1
            source.failed(error, transient=True)
        except Exception as error:  # noqa: BLE001  # whatever it is, the waiters must hear of it
            source.failed(error, transient=False)
        else:
            source.failures = 0
        finally:
            source.probing = False
        source.asked += 1
        self.schedule(source)
