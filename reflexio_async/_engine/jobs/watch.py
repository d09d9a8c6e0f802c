"""The slot of one service, watched: which operation holds it, and what that means for the jobs in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from reflexio_async._engine.jobs.poller import EAGER
from reflexio_async._engine.jobs.rhythm import Rhythm
from reflexio_async._engine.jobs.shared import SharedSource
from reflexio_async._engine.jobs.status import QUEUED, RUNNING

if TYPE_CHECKING:
    from reflexio_async._engine.jobs.kinds import Operation
    from reflexio_async._engine.jobs.poller import Poller
    from reflexio_async._engine.jobs.slot import SlotRecord
    from reflexio_async._engine.jobs.tokens import Token

_FRESH = 1.0  # seconds for which an observation of the slot may be acted upon
_SHARES = (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98)  # of the jobs before; asking a lane's status is free


class Server(Protocol):
    """What a lane asks of the server."""

    url: str

    async def operation(self, service: str) -> Operation | None:
        """The latest operation of ``service``, or None when it never ran."""
        ...

    async def cancel(self, service: str) -> None:
        """Ask for the running operation of ``service`` to stop, whoever owns it."""
        ...


class SlotWatch(SharedSource):
    """What is known of the slot; to the poller, one source of statuses for all jobs in it."""

    def __init__(self, poller: Poller, server: Server, service: str, *, outage: float, tries: int) -> None:
        super().__init__(poller, service, 1.0)
        self.url = server.url
        self._server = server
        self._service = service
        self._outage = outage
        self._tries = tries
        self._reached = False  # whether this server has ever told its status
        self._clock = poller.clock
        self._running: dict[SlotRecord, None] = {}
        self._latest: Operation | None = None
        self._status = QUEUED  # the same, in our words
        self._observed_at: float | None = None
        self._failing_since: float | None = None
        self._news = asyncio.Event()
        self._asking = asyncio.Lock()
        self._started_at = self._not_ended_at = poller.clock.now()
        self._rhythm = Rhythm(_SHARES)

    @property
    def starts_wait(self) -> bool:
        """Whether others wait for the slot."""
        raise NotImplementedError

    def adopt(self, job: SlotRecord, token: Token) -> None:
        """Go on with a job that was admitted earlier, here or in another process."""
        twin = next(reversed(self._running), None)
        if twin is not None and (twin.id, twin.params) == (token.id, job.params):
            # Thousands may wait for one operation: they share what they have in common.
            job.params, job.before = twin.params, twin.before
            job.not_before = twin.not_before
            job.admit(twin.id or token.id, RUNNING)
        else:
            job.not_before = token.not_before
            job.admit(token.id, RUNNING)
        self._running[job] = None

    def default_pause(self) -> float:
        """Soon after a start, then ever longer; at the likely moment while others wait for the slot."""
        if self.starts_wait and self._running:
            moment = self._rhythm.next_moment(self.asked_at - self._started_at)
            if moment is not None:
                return max(self._started_at + moment - self.asked_at, EAGER)
        return super().default_pause()

    async def probe(self) -> None:
        """Read the slot and pass it on to the jobs that run in it."""
        # One at a time, so that what is heard later was asked later.
        async with self._asking:
            asked_at = self._clock.now()
            info = await self._server.operation(self._service)
        self._latest = info
        self._observed_at = self._clock.now()
        self._failing_since = None
        self._reached = True
        if info is None:
            for job in list(self._running):
                job.lose("the server no longer knows of any operation")
        else:
            status = info.status
            if status == self._status:
                status = self._status  # so that thousands of jobs need not compare it
            self._status = status
            for job in list(self._running):
                job.hear(info, status, asked_at)
        ended = [job for job in self._running if job.done]
        for job in ended:
            del self._running[job]
        if ended:
            self._rhythm.ended(after=self._not_ended_at - self._started_at, by=asked_at - self._started_at)
        else:
            self._not_ended_at = asked_at
        self._news.set()

    def _slot_is_known_free(self) -> bool:
        fresh = self._observed_at is not None and self._clock.now() - self._observed_at <= _FRESH
        return fresh and not self._running and not self._latest_is_in_progress()

    def _latest_is_in_progress(self) -> bool:
        return self._latest is not None and not self._latest.status.done

    def _patient(self) -> bool:
        """Whether failing probes are still to be outlasted."""
        if self._failing_since is None:
            return True
        if self._reached:
            return self._clock.now() - self._failing_since < self._outage
        # A server that never answered is rather a wrong address than an outage.
        return self.failures < self._tries

    async def _hear(self, *, polling: bool = False, within: float | None = None) -> None:
        """Wait for news of the queue, of a start or, ``polling``, of the slot; at most ``within`` seconds."""
        self._news.clear()
        timer = None if within is None else self._clock.call_at(self._clock.now() + within, self._news.set)
        if polling:
            self.want(None, None)
        try:
            await self._news.wait()
        finally:
            if polling:
                self.unwant(None, None)
            if timer is not None:
                timer.cancel()
