"""Shared polling: one status request per interval and source, however many callers wait for it."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reflexio_async._engine.clock import Clock, Timer
    from reflexio_async._engine.jobs.kinds import PollRate
    from reflexio_async._engine.tasks import TaskTracker

FIRST_POLL_AFTER: Final = 0.05  # seconds after the start
_GROWTH: Final = 1.5  # factor between one pause and the next
_MAX_STEPS: Final = 32  # the pause stops growing here; without a limit the float overflows

SHORTEST_INTERVAL: Final = (
    0.05  # seconds between status requests of a caller that asks for as many as possible
)

_FIRST_PAUSE_AFTER_FAILURE = 0.1  # seconds; doubled with every further failure
_LONGEST_PAUSE_AFTER_FAILURE = 10.0  # seconds

_SHORTEST_WAIT = 0.02  # seconds that a worker waits for the rate, so that it does not wake for every poll
_CATCH_UP = 0.1  # seconds; after a delay of up to this time, the missed polls are sent at once
_REMEMBERED_DURATIONS = 64  # of the latest jobs, for the estimate
_DURATIONS_TO_ESTIMATE = 8  # with fewer durations nothing is estimated
_STALE_ENTRIES = 64  # the heap is cleaned when it has this many more entries than 2 x the scheduled sources


class Pollable(Protocol):
    """What the poller polls: a slot, or one job with a status route of its own.

    The poller writes these attributes:
        polled_at: When it was last polled (or made), by the clock.
        polls: Polls since the back-off was last reset.
        failures: Polls that failed, in a row.
        polling: It is being polled, or waits for its turn under the rate.
    """

    polled_at: float
    polls: int
    failures: int
    polling: bool

    @property
    def name(self) -> str:
        """For task names."""
        ...

    @property
    def rate(self) -> PollRate:
        """How often its status route may be asked."""
        ...

    @property
    def subscribed(self) -> bool:
        """Whether its status has a waiter."""
        ...

    def pause(self, growing: float, /) -> float | None:
        """Seconds from ``polled_at`` to the next poll; None when there is no waiter.

        ``growing`` is the pause for waiters that give no interval: short at first, then longer and longer.
        """
        ...

    async def poll(self) -> None:
        """Send one status request and pass the answer on."""
        ...

    def poll_failed(self, error: Exception) -> None:
        """Handle the error of a poll. If a waiter is left, it is polled again."""
        ...

    def give_up(self, reason: str, /, *, closed: bool) -> None:
        """End every wait. ``closed``: the client is closed, so the jobs are lost to their waiters.

        Otherwise the event loop has ended. The jobs may be awaited again on another.
        """
        ...


class Poller:
    """Polls the sources of one client on one event loop when they are due.

    Due times are kept in a heap, with one timer for the first. An entry whose source has been scheduled anew
    or removed is stale: it stays in the heap and is skipped later.
    """

    def __init__(self, clock: Clock, tasks: TaskTracker) -> None:
        self.clock = clock
        self.tasks = tasks
        self.closed = False
        self._due: dict[Pollable, float] = {}
        self._heap: list[tuple[float, int, Pollable]] = []
        self._order = count()
        self._timer: Timer | None = None
        self._timer_due: float | None = None
        self._workers: dict[PollRate, _Workers] = {}

    @property
    def active(self) -> list[Pollable]:
        """The sources that have a waiter."""
        sources = [*self._due]
        for workers in self._workers.values():
            sources += workers.sources()
        return [source for source in sources if source.subscribed]

    def schedule(self, source: Pollable) -> None:
        """Set when ``source`` is polled next, from its ``pause()``."""
        if source.polling or self.closed:
            return
        pause = source.pause(FIRST_POLL_AFTER * _GROWTH ** min(source.polls, _MAX_STEPS))
        if pause is None:
            self.remove(source)
            return
        if source.failures:
            doublings = min(source.failures - 1, 10)
            pause = max(pause, min(_LONGEST_PAUSE_AFTER_FAILURE, _FIRST_PAUSE_AFTER_FAILURE * 2.0**doublings))
        due = max(source.polled_at + pause, self.clock.now())
        if self._due.get(source) != due:
            self._due[source] = due
            heapq.heappush(self._heap, (due, next(self._order), source))
            self._set_timer()

    def due_in(self, source: Pollable) -> float:
        """Seconds until ``source`` is polled next; 0 when it is being polled, or is not scheduled."""
        due = self._due.get(source)
        return 0.0 if due is None else max(0.0, due - self.clock.now())

    def remove(self, source: Pollable) -> None:
        """Do not poll ``source`` until it is scheduled again."""
        if self._due.pop(source, None) is not None:
            self._set_timer()

    def close(self) -> list[Pollable]:
        """Stop polling for good; returns the sources that have a waiter."""
        active = self.active
        self.closed = True
        self._due.clear()
        self._set_timer()
        return active

    async def poll(self, source: Pollable) -> None:
        """Poll ``source`` once, handle the outcome, and schedule the next poll."""
        source.polled_at = self.clock.now()
        try:
            await source.poll()
        except Exception as error:  # noqa: BLE001  # any error belongs to the waiters
            source.failures += 1
            source.poll_failed(error)
        else:
            source.failures = 0
        finally:
            source.polling = False
        source.polls += 1
        self.schedule(source)

    def _set_timer(self) -> None:
        """Set the timer for the first entry that is not stale."""
        heap, due_times = self._heap, self._due
        if len(heap) > 2 * len(due_times) + _STALE_ENTRIES:
            heap[:] = [entry for entry in heap if due_times.get(entry[2]) == entry[0]]
            heapq.heapify(heap)
        while heap and due_times.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        due = heap[0][0] if heap else None
        if due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else self.clock.call_at(due, self._on_timer)
        self._timer_due = due

    def _on_timer(self) -> None:
        self._timer = self._timer_due = None
        now = self.clock.now()
        while self._heap and self._heap[0][0] <= now:
            due, _, source = heapq.heappop(self._heap)
            if self._due.get(source) == due:
                del self._due[source]
                source.polling = True
                self._workers_for(source.rate).enqueue(source, due)
        self._set_timer()

    def _workers_for(self, rate: PollRate) -> _Workers:
        workers = self._workers.get(rate)
        if workers is None:
            workers = self._workers[rate] = _Workers(self, rate)
        return workers


class _Workers:
    """Polls the sources that are due, no more often than one rate allows.

    The rate is a token bucket: a poll takes one token.
    """

    def __init__(self, poller: Poller, rate: PollRate) -> None:
        self._poller = poller
        self._rate = rate
        self._most_tokens = max(float(rate.burst), (rate.per_second or 0.0) * _CATCH_UP)
        self._tokens = float(rate.burst)
        self._counted_at = poller.clock.now()
        self._queue: deque[tuple[Pollable, float]] = deque()
        """What is due, and since when."""
        self._being_polled: set[Pollable] = set()
        self._count = 0

    def enqueue(self, source: Pollable, due: float) -> None:
        """Poll ``source``, which was ``due`` then, as soon as the rate allows."""
        self._queue.append((source, due))
        if self._count < self._rate.concurrency:
            self._count += 1
            self._poller.tasks.spawn(self._work(), name=f"poll {source.name}", detached=True)

    def sources(self) -> Iterator[Pollable]:
        """The sources that wait for their turn or are being polled."""
        yield from [source for source, _ in self._queue]
        yield from self._being_polled

    async def _work(self) -> None:
        per_second = self._rate.per_second
        try:
            while self._queue:
                if per_second is not None and not self._take_token(per_second):
                    # Until one whole token is there. A shorter sleep may be too short to change
                    # a float of seconds.
                    await self._poller.clock.sleep(max(1.0 / per_second, _SHORTEST_WAIT))
                    continue
                source, due = self._queue.popleft()
                if not source.subscribed:
                    source.polling = False
                    continue
                self._being_polled.add(source)
                observer = self._poller.tasks.observer
                if observer.is_on:
                    observer.polled(source.name, self._poller.clock.now() - due)
                try:
                    await self._poller.poll(source)
                finally:
                    self._being_polled.discard(source)
        finally:
            self._count -= 1

    def _take_token(self, per_second: float) -> bool:
        now = self._poller.clock.now()
        self._tokens = min(self._most_tokens, self._tokens + (now - self._counted_at) * per_second)
        self._counted_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class DurationEstimator:
    """Estimates when to poll a job, from the durations of earlier jobs (in seconds).

    ``quantiles``: for each share, poll once at the age by which that share of earlier jobs had ended.
    """

    def __init__(self, quantiles: Sequence[float]) -> None:
        self._quantiles = quantiles
        self._durations: deque[float] = deque(maxlen=_REMEMBERED_DURATIONS)
        self._poll_ages: list[float] = []

    def add(self, *, at_least: float, at_most: float) -> None:
        """Learn from a job that still ran at the age ``at_least`` and had ended at the age ``at_most``."""
        # The middle: ``at_most`` depends on our own polling, which uses this estimate.
        self._durations.append((at_least + at_most) / 2)
        if len(self._durations) >= _DURATIONS_TO_ESTIMATE:
            durations = sorted(self._durations)
            self._poll_ages = [durations[int(share * len(durations))] for share in self._quantiles]

    def next_poll_age(self, age: float) -> float | None:
        """The age at which to poll a job that still ran at ``age``; None: there is no estimate."""
        position = bisect_right(self._poll_ages, age)
        return self._poll_ages[position] if position < len(self._poll_ages) else None
