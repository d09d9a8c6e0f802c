"""The status of one slot: the server's latest operation in it, and our jobs that run there."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from reflexio_async._engine.jobs.kinds import UNLIMITED
from reflexio_async._engine.jobs.poller import FIRST_POLL_AFTER, DurationEstimator
from reflexio_async._engine.jobs.record import without_traceback
from reflexio_async._engine.jobs.status import QUEUED, JobState
from reflexio_async._engine.jobs.waits import WaitReason
from reflexio_async._engine.retry import FailedPolls, is_away

if TYPE_CHECKING:
    from collections.abc import Collection

    from reflexio_async._engine.availability import Availability
    from reflexio_async._engine.jobs.kinds import Operation, Slot
    from reflexio_async._engine.jobs.poller import Poller
    from reflexio_async._engine.jobs.slot_job import SlotJob

_POLL_RESULT_VALID_FOR = 1.0  # seconds; an older poll result is not used
# For each share, poll once at the age by which that share of earlier jobs had ended. There are many shares,
# because the next start waits for the end, and the status route has no rate limit
# (server-behaviour: Rate limits).
_QUANTILES = (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98)


class SlotStatusSource(Protocol):
    """The service's status calls for slots."""

    @property
    def url(self) -> str:
        """The server's address, which is part of every token."""
        ...

    @property
    def availability(self) -> Availability:
        """Whether the server answers."""
        ...

    async def operation(self, service: str) -> Operation | None:
        """The latest operation of ``service``; None when there never was one."""
        ...

    async def cancel(self, service: str) -> None:
        """Ask the server to stop the running operation of ``service``, no matter who started it."""
        ...


class SlotObserver(Protocol):
    """What SlotStatus calls on its lane."""

    def status_observed(self) -> None:
        """A poll was answered."""
        ...

    def status_failed(self, failed: FailedPolls) -> bool:
        """A poll failed. Return whether starts still wait for the status."""
        ...


class SlotStatus:
    """The status of one slot: polled once for all jobs in it.

    Attributes:
        running: Our jobs that were admitted and have not ended, as far as is known.
        latest: The server's latest operation; None before the first poll, or when there never was one.
        observed_at: When the last poll was answered; None: there is no usable poll result.
        started_at: When the last of our jobs was admitted.
    """

    rate = UNLIMITED

    def __init__(
        self,
        slot: Slot,
        source: SlotStatusSource,
        poller: Poller,
        observer: SlotObserver,
        *,
        queue: Collection[SlotJob[Any]],
    ) -> None:
        self.name = slot.service
        self.url = source.url
        self.availability = source.availability
        self.interval = slot.poll_interval
        self._source = source
        self._poller = poller
        self._clock = poller.clock
        self._observer = observer
        self._queue = queue
        self._polling_lock = asyncio.Lock()
        self._subscriptions: Counter[float | None] = Counter()  # by interval; None: the slot's own
        # Written by the poller:
        self.polled_at = self._clock.now()
        self.polls = 0
        self.failures = 0
        self.polling = False
        # Results of polling:
        self.running: dict[SlotJob[Any], None] = {}
        self.latest: Operation | None = None
        self.observed_at: float | None = None
        self.started_at = self._not_ended_at = self._clock.now()
        self._status = QUEUED  # of the latest operation
        self.failed = FailedPolls()
        self._without_operation = 0  # answers in a row that show none, since the last admission
        self._durations = DurationEstimator(_QUANTILES)

    # Subscriptions

    def subscribe(self, interval: float | None) -> None:
        """Poll for one more waiter, every ``interval`` seconds (None: the slot's own interval)."""
        self._subscriptions[interval] += 1
        if self._subscriptions[interval] == 1:
            self._poller.schedule(self)

    def unsubscribe(self, interval: float | None) -> None:
        """Undo one ``subscribe`` with the same interval."""
        self._subscriptions[interval] -= 1
        if not self._subscriptions[interval]:
            del self._subscriptions[interval]
            if not self._subscriptions:
                self._poller.remove(self)

    @property
    def subscribed(self) -> bool:
        """Whether the status has a waiter."""
        return bool(self._subscriptions)

    def pause(self, growing: float) -> float | None:
        """The shortest interval of all waiters; None when there is no waiter."""
        if not self._subscriptions:
            return None
        default = growing
        if self._queue and self.running:
            # Starts wait for the end of a job: poll when the end is likely.
            age = self._durations.next_poll_age(self.polled_at - self.started_at)
            if age is not None:
                default = max(self.started_at + age - self.polled_at, FIRST_POLL_AFTER)
        default = min(default, self.interval)
        return min([default if interval is None else interval for interval in self._subscriptions])

    def poll_now(self) -> None:
        """Poll at once, unless the last poll failed."""
        if not self.failures:
            self.polled_at = -math.inf
            self._poller.schedule(self)

    # Polling

    async def poll(self) -> None:
        """Ask for the latest operation and pass it on to the jobs that run."""
        # One poll at a time, so that an old response cannot overwrite a newer one.
        async with self._polling_lock:
            asked_at = self._clock.now()
            operation = await self._source.operation(self.name)
        self.latest = operation
        self.observed_at = self._clock.now()
        if self.failed.count:
            self.failed = FailedPolls()
            for job in self.running:
                job.wait_for(None)
        ended = self._pass_on(operation, asked_at)
        if ended:
            self._durations.add(
                at_least=self._not_ended_at - self.started_at, at_most=asked_at - self.started_at
            )
        else:
            self._not_ended_at = asked_at
        self._observer.status_observed()

    def _pass_on(self, operation: Operation | None, asked_at: float) -> bool:
        """Update the running jobs from a poll; returns whether any of them has ended."""
        self._without_operation = 0 if operation is not None else self._without_operation + 1
        if self._without_operation == 1:
            return False  # one such answer may be a mistake
        if operation is not None and operation.status != self._status:
            # Keep the same object while the status is equal: comparing by identity is fast.
            self._status = operation.status
        ended = False
        for job in list(self.running):
            if operation is None:
                job.lose("the server no longer knows of any operation")
            else:
                job.observe(operation, self._status, asked_at)
            if job.done:
                del self.running[job]
                ended = True
        return ended

    def poll_failed(self, error: Exception) -> None:
        """Note the error. The jobs for which it will not pass end."""
        self.failed.add(without_traceback(error), self._clock.now())
        for job in list(self.running):
            if is_away(error):
                job.wait_for(WaitReason.SERVER_AWAY, self.failed.since)
            job.status_failed(self.failed)
            if job.done:
                del self.running[job]
        if not self._observer.status_failed(self.failed) and not self.running:
            self.failed = FailedPolls()  # for the next start the server is asked again, at once
            self.failures = 0

    def remember(self, earlier: SlotStatus) -> None:
        """Take over what was learned about the slot on an event loop that has ended."""
        self.running = earlier.running
        self.latest, self._status = earlier.latest, earlier._status
        self.started_at, self._not_ended_at = earlier.started_at, earlier._not_ended_at
        self._durations = earlier._durations

    def give_up(self, reason: str, /, *, closed: bool) -> None:
        """End every wait, because the client is ``closed`` or its loop has ended. The server goes on."""
        for job in self.running:
            if not closed:
                job.end_waits(reason)
            elif job.has_waiters:
                job.lose(f"{reason} while a caller waited; it goes on at the server, resume it by its token")
        if closed:
            self.running.clear()

    async def cancel_running(self) -> None:
        """Ask the server to stop the operation that runs now."""
        await self._source.cancel(self.name)

    # Changes by our jobs

    def admit(self, job: SlotJob[Any], operation_id: str) -> None:
        """Record that the server accepted the start of ``job``, and poll soon."""
        job.enter_slot(operation_id)
        self.running[job] = None
        self._without_operation = 0
        self.started_at = self._not_ended_at = self._clock.now()
        self.observed_at = None
        self.polled_at, self.polls = self._clock.now(), 0
        if self._subscriptions:
            self._poller.schedule(self)

    def adopt(self, job: SlotJob[Any], operation_id: str, not_before: int | None) -> None:
        """Follow a job that was admitted earlier, here or in another process."""
        job.enter_slot(operation_id)
        job.not_before = not_before
        self.running[job] = None

    def forget(self) -> None:
        """Forget the result of the last poll."""
        self.observed_at = None

    @property
    def known_free(self) -> bool:
        """Whether a usable poll result says that the slot is free."""
        usable = (
            self.observed_at is not None and self._clock.now() - self.observed_at <= _POLL_RESULT_VALID_FOR
        )
        return usable and not self.taken

    @property
    def taken(self) -> bool:
        """Whether an operation runs in the slot, ours or another's, as far as is known."""
        return bool(self.running) or (
            self.latest is not None and self.latest.status.state is JobState.RUNNING
        )
