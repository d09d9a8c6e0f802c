"""Reads the rows of jobs that have waiters, when another process may have changed them."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async._engine.logs import fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.durable.job import StoredJob
    from reflexio_async.durable.jobs import DurableJobs
    from reflexio_async.durable.lane import LaneDriver
    from reflexio_async.durable.store import Store
    from reflexio_async.durable.waker import Waker

logger = logging.getLogger("reflexio_async")

_BETWEEN_LOOKS = 0.05  # seconds
_LOOK = 5.0  # seconds between two looks for lanes that nobody drives, and for rows that are gone


class LoopJobs:
    """What the jobs of a client have on one event loop.

    Attributes:
        store: The store, when it is open.
        records: The handles of jobs that somebody holds, by row.
        unfinished: Those of the jobs that were started here and have not ended, by row.
        watched: Those that have waiters, with the number of waits.
        drivers: The drivers of lanes, by service, and their tasks.
        account: The account that was written last.
        watch: The task that follows what other processes do.
        not_driven: Set when a job has waiters that this process may not drive.
        look: The read that is about to begin, with the jobs that it reads.
        waker: What wakes the workers, if there are any.
        silence: That no worker was seen, if that is so.
    """

    store: Store

    def __init__(self) -> None:
        self.is_open = False
        self.records: WeakValueDictionary[str, StoredJob[Any]] = WeakValueDictionary()
        self.unfinished: dict[str, StoredJob[Any]] = {}
        self.watched: dict[StoredJob[Any], int] = {}
        self.drivers: dict[str, tuple[LaneDriver, asyncio.Task[None]]] = {}
        self.account: str | None = None
        self.watch: asyncio.Task[None] | None = None
        self.not_driven = asyncio.Event()
        self.look: tuple[list[StoredJob[Any]], asyncio.Task[None]] | None = None
        self.waker: Waker | None = None
        self.silence: str | None = None


class RowWatch:
    """Reads the rows of a client's jobs.

    The rows of a lane that this process drives are not read: its driver tells the jobs what happens.

    Args:
        durable: The jobs of the client.
    """

    def __init__(self, durable: DurableJobs) -> None:
        self._durable = durable
        self._clock = durable.clock

    async def read(self, jobs: Sequence[StoredJob[Any]], *, begun: bool = False) -> None:
        """Let ``jobs`` read their rows; ``begun``: those alone that are not queued."""
        here = await self._durable.open()
        tenures = {job.row: self._tenure(here, job) for job in jobs}
        found = {row.id: row for row in await here.store.progress([job.row for job in jobs], begun=begun)}
        for job in jobs:
            row = found.get(job.row)
            job.tenure = tenures[job.row]
            if job.driven is None and not (begun and row is None):
                job.read(row)
                if self._durable.drives and row is not None and not job.done:
                    self._durable.driver(here, job.slot_kind.slot)  # the process that drives it may be gone

    async def look(self, job: StoredJob[Any]) -> None:
        """Let ``job`` read its row. The jobs that look at the same time read together."""
        here = await self._durable.open()
        if here.look is None:
            jobs: list[StoredJob[Any]] = []
            reading = asyncio.get_running_loop().create_task(self._look(here, jobs))
            reading.add_done_callback(lambda task: task.cancelled() or task.exception())  # who looks gets it
            here.look = jobs, reading
        jobs, reading = here.look
        jobs.append(job)
        await asyncio.shield(reading)

    async def _look(self, here: LoopJobs, jobs: list[StoredJob[Any]]) -> None:
        await asyncio.sleep(0)
        here.look = None
        await self.read(jobs)

    def follows(self, job: StoredJob[Any]) -> bool:
        """Whether this process has driven the lane since it read the row of ``job``.

        Then what happens to it happens here. Only that another process has withdrawn it is learned later.
        """
        return self._follows(self._durable.here, job)

    def _follows(self, here: LoopJobs, job: StoredJob[Any]) -> bool:
        tenure = self._tenure(here, job)
        return tenure is not None and tenure == job.tenure

    def _tenure(self, here: LoopJobs, job: StoredJob[Any]) -> int | None:
        driver, _ = here.drivers.get(job.slot_kind.slot.service, (None, None))
        return None if driver is None else driver.tenure

    def again(self) -> None:
        """Follow what other processes do to the jobs that have waiters: a lane may be theirs now."""
        self._durable.here.not_driven.set()

    def watch(self, job: StoredJob[Any]) -> None:
        """Let ``job`` read its row whenever that may have changed, until ``unwatch``."""
        here = self._durable.here
        here.records.setdefault(job.row, job)  # after another event loop
        here.watched[job] = here.watched.get(job, 0) + 1
        if not self._follows(here, job):
            here.not_driven.set()

    def unwatch(self, job: StoredJob[Any]) -> None:
        """Undo one ``watch``."""
        watched = self._durable.here.watched
        watched[job] -= 1
        if not watched[job]:
            del watched[job]

    async def _report_silence(self, here: LoopJobs) -> None:
        """Say in the status of queued jobs that no worker is there to start them."""
        queued = [job for job in here.watched if job.status.state is JobState.QUEUED]
        if queued:
            message = here.silence = await self._durable.waker(here).silence()
            for job in queued:
                if message != job.status.message:
                    job.update(JobStatus(JobState.QUEUED, message=message))

    async def run(self, here: LoopJobs) -> None:
        """Follow the rows that others drive, and drive the lanes that nobody does."""
        next_look = self._clock.now()
        while True:
            try:
                since = here.store.database.changes
                is_due = self._clock.now() >= next_look
                if is_due:
                    next_look = self._clock.now() + _LOOK
                await self._read_watched(here, everything=is_due)
                if is_due and self._durable.drives:
                    await self._take_over(here)
                elif is_due:
                    await self._report_silence(here)
                await self._change(here, since)
            except Exception as error:  # noqa: BLE001  # those who wait would wait for ever
                logger.warning(
                    "%s cannot be read: %s: %s",
                    self._durable.name,
                    type(error).__name__,
                    error,
                    extra=fields("store_unreadable", error, store=self._durable.name),
                )
                await self._clock.sleep(_LOOK)

    async def _change(self, here: LoopJobs, since: int) -> None:
        """Wait until jobs that others drive may have changed, or until the next look is due."""
        if self._not_driven(here):
            await here.store.database.changed(_LOOK, since)
            await self._clock.sleep(_BETWEEN_LOOKS)  # so that many changes are one
            return
        here.not_driven.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):  # of real time, as above
                await here.not_driven.wait()

    async def _read_watched(self, here: LoopJobs, *, everything: bool) -> None:
        others = self._not_driven(here)
        own = [job for job in here.watched if job.driven is None and self._follows(here, job)]
        if others:
            await self.read(others, begun=not everything)
        if own and everything:
            await self.read(own, begun=True)  # another process may have withdrawn them

    def _not_driven(self, here: LoopJobs) -> list[StoredJob[Any]]:
        """The jobs with waiters that another process may drive, or have driven since they were read."""
        return [job for job in here.watched if job.driven is None and not self._follows(here, job)]

    async def _take_over(self, here: LoopJobs) -> None:
        org = await self._durable.accounts.known_organisation(here.store)
        if org is None:
            return
        for lane in await here.store.lanes(self._durable.url, org):
            for row in await here.store.open_jobs(lane, 1):
                self._durable.driver(here, self._durable.start_of(row.kind)[0].slot)
