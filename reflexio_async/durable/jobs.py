"""The jobs of one client that has a store."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import uuid4

import anyio

from reflexio_async._engine.jobs.record import with_message
from reflexio_async._engine.jobs.slot_job import SlotJob, Start
from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async._engine.jobs.waits import WaitingFor, WaitReason
from reflexio_async.durable.accounts import Accounts
from reflexio_async.durable.job import StoredJob
from reflexio_async.durable.lane import LaneDriver
from reflexio_async.durable.opening import check_store, store_on
from reflexio_async.durable.outcomes import WITHDRAWN, outcome_of
from reflexio_async.durable.rows import NewJob
from reflexio_async.durable.store import LEASE_SECONDS
from reflexio_async.durable.watch import LoopJobs, RowWatch
from reflexio_async.errors import CLOSED, ClientClosed, InvalidRequest, JobCancelled, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from reflexio_async._engine.call import Caller
    from reflexio_async._engine.jobs.kinds import Slot, SlotKind
    from reflexio_async._engine.jobs.manager import JobManager
    from reflexio_async._engine.jobs.tokens import Token
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.wire import EncodedRequest, Endpoint
    from reflexio_async.durable.postgres import PostgresDatabase
    from reflexio_async.durable.rows import LaneKey
    from reflexio_async.durable.waker import Waker

T = TypeVar("T")
logger = logging.getLogger("reflexio_async")

_STEP = 0.5  # seconds between two looks of a worker whether to leave a lane
_WORTH_LEAVING = 2.0  # seconds for which the rate limit is closed
_NOT_HELD = 2.0  # seconds for which another process had the lease


class DurableJobs:
    """Starts jobs by putting them into a store, and drives the lanes of its organisation.

    Args:
        manager: The client's jobs without the store, whose lanes send the starts.
        caller: Makes the calls.
        settings: The settings of the client itself, not of a view.
        start_of: Returns the kind of a name, and the endpoint that starts such a job.
        ask_organisation: Asks the server for the organisation of the client's credential.

    Attributes:
        accounts: The client's accounts.
        rows: Reads the rows of its jobs.
        drives: Whether this process drives lanes. Otherwise workers must.
        holder: The name of this client in leases.
        lease_seconds: How long a lease lasts that is not renewed.
    """

    def __init__(
        self,
        manager: JobManager,
        caller: Caller,
        settings: Settings,
        *,
        start_of: Callable[[str], tuple[SlotKind[Any], Endpoint[Any]]],
        ask_organisation: Callable[[], Awaitable[str]],
    ) -> None:
        self.manager = manager
        self.caller = caller
        self.settings = settings
        self.start_of = start_of
        self.clock = manager.clock
        self.tasks = manager.tasks
        self.rows = RowWatch(self)
        self.url = settings.base_url
        self.name = f"the store {check_store(settings)}"
        self.holder = f"{os.getpid()}-{uuid4().hex[:12]}"
        self.lease_seconds = LEASE_SECONDS
        self.drives = not settings.has_workers
        self.accounts = Accounts(caller.credentials, self.url, ask_organisation)
        # The first to hear that the loop ends: then no outcome of that is written.
        self.tasks.loops.senders.insert(0, self)

    # Starting and finding jobs

    async def start(
        self,
        kind: SlotKind[T],
        settings: Settings,
        *,
        start: Start,
        params: Mapping[str, Any],
        timeout: float | None = None,
        fails_at_timeout: bool = False,  # noqa: ARG002  # it stays in the store
        row: str | None = None,
    ) -> StoredJob[T]:
        """Put a job into the store. Then wait as ``JobManager.start`` does, whose arguments these are.

        In the store, a start that was not sent by the timeout is sent later. If there is a row with the id
        ``row`` already, its job is returned.

        Raises:
            StoreError: Nothing was stored, and nothing is sent.
        """
        here = await self.open()
        job = self.record(kind, settings, row or uuid4().hex, params, start)
        try:
            await self._add(here, job, start.request)
            if row is not None:
                await self.rows.read([job])  # it may have been there already
            if job.id is not None or job.done:
                return job
            if self.drives:
                await self.driver(here, kind.slot).answered(job, timeout)
            else:
                await self.wake(kind.slot)
        except asyncio.CancelledError:
            if row is None:
                # The caller has no handle with which to withdraw the start later. Its row may be on the disk.
                with anyio.CancelScope(shield=True), suppress(StoreError):
                    reason = "the call that started it was cancelled before anything was sent"
                    await self.withdraw(job, reason)
            job.outcome_read = job.done
            raise
        return job

    async def _add(self, here: LoopJobs, job: StoredJob[Any], request: EncodedRequest) -> None:
        row = NewJob(
            id=job.row,
            account=await self.account(),
            url=self.url,
            service=job.slot_kind.slot.service,
            kind=job.kind.name,
            request=request,
            params=dict(job.params),
            created_at=self.clock.time(),
        )
        here.records[job.row] = here.unfinished[job.row] = job
        try:
            await here.store.add_jobs([row])
        except BaseException:
            here.unfinished.pop(job.row, None)
            raise

    async def account(self) -> str:
        """The name of the client's credential in rows. The store knows it."""
        here = await self.open()
        account = self.credential
        if here.account != account:
            await here.store.add_account(account, self.url, None)
            here.account = account
        return account

    def resume(self, token: Token, settings: Settings) -> StoredJob[Any]:
        """The job of ``token``, which names a row. This does no I/O.

        Raises:
            InvalidRequest: It belongs to another server, or its kind is not known.
        """
        loops = self.tasks.loops
        if loops.closed:
            raise ClientClosed(CLOSED)
        loops.check()
        if token.url != self.url:
            message = f"token: it belongs to {token.url}, this client speaks to {self.url}"
            raise InvalidRequest(message)
        assert token.row is not None  # noqa: S101  # the caller has checked it
        kind, _ = self.start_of(token.kind)
        job = self.record(kind, settings, token.row, token.params)
        if token.id:
            job.given = token
        return job

    def record(
        self,
        kind: SlotKind[T],
        settings: Settings,
        row: str,
        params: Mapping[str, Any],
        start: Start | None = None,
    ) -> StoredJob[T]:
        """The job of ``row``: the one that is there already, or a new one."""
        here = self.here
        job: StoredJob[Any] | None = here.records.get(row)
        if job is None:
            job = StoredJob(kind, self, settings, row=row, params=params, start=start)
            here.records[row] = job
            for driver, _ in here.drivers.values():
                driven = driver.job(row)
                if driven is not None:
                    job.drive(driven)
                    job.follow(driven)
        return job

    def endpoint(self, kind: str) -> Endpoint[Any]:
        """The endpoint that starts a job of the kind of this name."""
        return self.start_of(kind)[1]

    def ended(self, job: StoredJob[Any]) -> None:
        """Note that ``job`` has ended."""
        self.here.unfinished.pop(job.row, None)

    def waiting_for(self, slot: Slot) -> WaitingFor | None:
        """What the jobs of ``slot`` in the store wait for; None: nothing is to be sent."""
        here: LoopJobs | None = self.tasks.loops.scope.parts.get(self)
        if here is None:
            return None
        if not self.drives:
            detail = here.silence or "workers drive these jobs"
            return WaitingFor(WaitReason.OTHER_PROCESS, detail=detail)
        driver, _ = here.drivers.get(slot.service, (None, None))
        return None if driver is None else driver.waiting_for

    def fail_waits(self, service: str, error: Exception) -> None:
        """Raise ``error`` in the waits for queued jobs of ``service``. The jobs stay in the store."""
        for job in list(self.here.watched):
            is_queued = job.driven is None and job.status.state is JobState.QUEUED
            if is_queued and job.slot_kind.slot.service == service:
                message = f"{job.description}: not started, and kept in the store: {error}"
                job.fail_waits(with_message(error, message, sent=False))

    # At the server

    @contextmanager
    def at_server(self, job: StoredJob[T]) -> Generator[SlotJob[T]]:
        """``job``, which another process drives, as the server shows it."""
        lane = self.manager.lane(job.slot_kind.slot)
        shown = SlotJob(job.slot_kind, self.manager, job.settings, params=job.params, row=job.row)
        shown.outcome_read = True
        lane.slot.adopt(shown, job.id or "", job.not_before)
        try:
            yield shown
        finally:
            lane.drop(shown)

    def job_at_server(self, token: Token, settings: Settings) -> SlotJob[Any]:
        """The job of ``token``, as the server shows it."""
        kind, _ = self.start_of(token.kind)
        return cast("SlotJob[Any]", self.manager.resume(token.to_text(), settings, kind))

    # Cancelling

    async def cancel(self, job: StoredJob[Any]) -> None:
        """Withdraw the start of ``job``, or ask the server to stop it if the slot is still its own."""
        here = await self.open()
        while not await self.withdraw(job, "it was cancelled before its start was sent"):
            since = here.store.database.changes
            if job.driven is not None:
                await job.driven.cancel()
                return
            await self.rows.read([job])
            if job.done:
                return
            if job.id is not None:
                with self.at_server(job) as shown:
                    await shown.cancel()
                return
            # Another process waits for the answer to its start.
            await here.store.database.changed(1.0, since)

    async def withdraw(self, job: StoredJob[Any], reason: str) -> bool:
        """End ``job`` if its start was not sent. Return whether it is withdrawn."""
        if self.tasks.loops.closed:
            return False
        here = await self.open()
        error = job.cancellation(reason)
        outcome = {**outcome_of(error.status, None, error), WITHDRAWN: True}
        if not await here.store.withdraw([job.row], outcome, self.clock.time()):
            return False
        if job.driven is not None:
            await job.driven.withdraw_start(reason)
        job.finish(error.status, error=error)
        return True

    async def withdraw_batch(self, batch: str) -> None:
        """End the jobs of ``batch`` whose starts were not sent."""
        here = await self.open()
        reason = "the batch was stopped"
        status = JobStatus(JobState.CANCELLED, error=reason)
        error = JobCancelled(reason, status=status)
        outcome = {**outcome_of(status, None, error), WITHDRAWN: True}
        await here.store.withdraw_batch(batch, outcome, self.clock.time())
        for driver, _ in here.drivers.values():
            driver.read_again()
        watched = [job for job in here.watched if job.driven is None]
        if watched:
            await self.rows.read(watched, begun=True)

    async def end_queued(self, job: StoredJob[Any], error: Exception) -> None:
        """End ``job`` with ``error`` if its start was not sent."""
        here = await self.open()
        status = JobStatus(JobState.FAILED, error=str(error))
        if await here.store.withdraw([job.row], outcome_of(status, None, error), self.clock.time()):
            job.finish(status, error=error)

    # Driving

    @property
    def credential(self) -> str:
        """The name that rows have for the client's present credential."""
        return self.accounts.current()

    async def organisation(self) -> str:
        """The organisation of the client's credential, as the store or else the server says."""
        return await self.accounts.organisation((await self.open()).store)

    async def wake(self, slot: Slot) -> None:
        """Drive the lane of ``slot``: rows were added to it."""
        here = await self.open()
        if self.drives:
            self.driver(here, slot).added()
        else:
            await self.waker(here).wake(slot.service)

    def driver(self, here: LoopJobs, slot: Slot) -> LaneDriver:
        """The driver of the lane of ``slot``, at work."""
        driver, task = here.drivers.get(slot.service, (None, None))
        if driver is None or task is None or task.done():
            driver = driver or LaneDriver(self, here, slot)
            task = self.tasks.spawn(driver.run(), name=f"drive {slot.service}", detached=True)
            here.drivers[slot.service] = driver, task
        return driver

    async def drive(self, lane: LaneKey, seconds: float) -> float | None:
        """Drive ``lane``, which is the client's, for that many seconds, as a worker does.

        It ends earlier when nothing can be started because of a rate limit. When it is cancelled, it waits
        for the answers to the starts that were sent.

        Returns:
            The seconds until the lane should be driven again. None: it has no rows, or another process drives
            it.
        """
        here = await self.open()
        rows = await here.store.open_jobs(lane, 1)
        if not rows or lane.name in here.drivers:
            return None
        driver = self.driver(here, self.start_of(rows[0].kind)[0].slot)
        _, task = here.drivers[lane.name]
        now = held_at = self.clock.now()
        ends_at = now + seconds
        try:
            while not task.done() and now < ends_at:
                with suppress(TimeoutError):
                    async with self.clock.timeout(_STEP):
                        await asyncio.wait([task])
                now = self.clock.now()
                held_at = held_at if driver.tenure is None else now
                if now - held_at > _NOT_HELD:
                    return None
                closed_for = driver.closed_for()
                if closed_for > _WORTH_LEAVING:
                    return closed_for
            return None if task.done() else 0.0
        finally:
            here.drivers.pop(lane.name, None)
            await driver.drained()
            task.cancel()
            await asyncio.wait([task])

    def waker(self, here: LoopJobs) -> Waker:
        """What wakes the workers, and notices that there are none."""
        if here.waker is None:
            database = cast("PostgresDatabase", here.store.database)
            here.waker = database.waker(
                self.url, self.organisation, self.clock, self.tasks, refused=self.fail_waits
            )
        return here.waker

    # For the client's lifetime

    @property
    def here(self) -> LoopJobs:
        """What the jobs have on the client's event loop."""
        return self.tasks.loops.scope.part(self, LoopJobs)

    async def open(self) -> LoopJobs:
        """Open the store, and go on with what an earlier process has left.

        Raises:
            StoreError: It cannot be used. The message says why and what to do.
        """
        scope = self.tasks.loops.enter()
        here = scope.part(self, LoopJobs)
        if not here.is_open:
            here.store = await store_on(scope, self.settings)
            here.is_open = True
            if here.watch is None:
                here.watch = self.tasks.spawn(self.rows.run(here), name=f"watch {self.name}")
        return here

    async def stored(self) -> dict[str, int]:
        """How many jobs of the client's credential have not ended. None if the store was not used."""
        here = self.here
        if not here.is_open:
            return {}
        return {"stored_jobs": await here.store.count_open(self.url, self.credential)}

    @property
    def busy(self) -> bool:
        """Whether this process drives a lane."""
        return any(not task.done() for _, task in self.here.drivers.values())

    async def drained(self) -> None:
        """Begin nothing more here, wait for the answers to starts, and leave the lanes to others."""
        drivers = self.here.drivers
        while drivers:
            _, (driver, task) = drivers.popitem()
            await driver.drained()
            task.cancel()
            await asyncio.wait([task])

    def unanswered_starts(self) -> list[str]:
        """None: what was not sent stays in the store."""
        return []

    def running_tokens(self) -> list[str]:
        """None: the lanes in memory name them."""
        return []

    def leave_loop(self, reason: str) -> None:
        """End every wait. The rows stay in the store."""
        here = self.here
        for driver, _ in here.drivers.values():
            driver.leave()
        for job in list(here.watched):
            job.end_waits(reason)
