"""Driving one lane of a store: its jobs are started one after another, by the process that has the lease.

A row goes through four states. Each is on the disk before the next step is taken:

    queued     nothing was sent
    starting   the start is about to be sent, or was sent
    admitted   the server has accepted it
    ended      the outcome is known, or can no longer be learned

The start of a row is sent by the lane of its slot in memory, as without a store. A process that finds a row
in ``starting`` asks the status whether the job began. So a start is admitted once, whichever process dies.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections import defaultdict, deque
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from reflexio_async._engine.jobs.kinds import Dialect, Operation
from reflexio_async._engine.jobs.record import Follower
from reflexio_async._engine.jobs.slot_job import SlotJob, Start
from reflexio_async._engine.jobs.waits import WaitingFor, WaitReason
from reflexio_async._engine.logs import fields
from reflexio_async._engine.retry import BELIEVED, Meaning, is_away, meaning_of
from reflexio_async.durable.accounts import is_refusal
from reflexio_async.durable.leases import hold
from reflexio_async.durable.outcomes import outcome_of
from reflexio_async.durable.row_writer import NextStart, RowWriter
from reflexio_async.durable.rows import LaneKey, RowState
from reflexio_async.errors import (
    ClientClosed,
    JobCancelled,
    JobError,
    JobLost,
    LeaseLost,
    ReflexioError,
    StoreError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async._engine.jobs.kinds import Slot
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.wire import EncodedRequest
    from reflexio_async.durable.job import StoredJob
    from reflexio_async.durable.jobs import DurableJobs
    from reflexio_async.durable.leases import HeldLease
    from reflexio_async.durable.rows import JobRow
    from reflexio_async.durable.watch import LoopJobs

logger = logging.getLogger("reflexio_async")

_AHEAD = 2  # rows in the lane in memory: the one that runs, and the next
_DRIVEN_ELSEWHERE = WaitingFor(
    WaitReason.OTHER_PROCESS,
    detail="another process drives these jobs; this one goes on when that is gone",
)
_READ_AHEAD = 50  # rows that are read at once
_ELSEWHERE = 1.0  # seconds between two tries to take a lease that another process has
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds, while the server is away
_SAME_TROUBLE = 60.0  # seconds between two pauses that are reported as one
_FOREVER = 1e9  # seconds; no outage ends a job of a store
_MOST_STARTS = 3  # of one job that the server has lost


def patient(settings: Settings) -> Settings:
    """The same settings, with which no outage ends a job."""
    forever = settings.outage_timeout == _FOREVER
    return settings if forever else settings.with_options(outage_timeout=_FOREVER)


class LaneDriver:
    """Drives the jobs of one slot, while this process has the lease of their lane.

    Args:
        durable: The jobs of the client.
        here: What they have on the event loop.
        slot: The slot.

    Attributes:
        tenure: Counts the leases that this process has had; None: it has none now.
        width: How many rows may run at once on a server of the synchronous dialect.
    """

    def __init__(self, durable: DurableJobs, here: LoopJobs, slot: Slot) -> None:
        self.tenure: int | None = None
        self.width = durable.settings.concurrency
        self._durable = durable
        self._here = here
        self._slot = slot
        self._name = slot.service
        self._clock = durable.clock
        self._lane = durable.manager.lane(slot)
        self._jobs: dict[str, SlotJob[Any]] = {}
        """By row, the jobs in the lane whose outcome is not on the disk."""
        self._rows = RowWriter(here, self._lane, durable.caller)
        self._tenures = 0
        self._ahead: deque[JobRow] = deque()
        """The rows that come next, as they were read."""
        self._waiting: dict[SlotJob[Any], None] = {}
        """The jobs whose start is sent when the outcomes before it are on the disk."""
        self._callers: dict[StoredJob[Any], asyncio.Future[None]] = {}
        """The callers that wait for the answer to a start."""
        self._failing: set[SlotJob[Any]] = set()
        """Those that could not be started, and that are tried again after a pause."""
        self._changed = asyncio.Event()  # a row was added, or has left the lane in memory
        self._again = False
        """Whether all rows are to be taken up again, those first that have begun."""
        self._draining = False
        self._left = False
        self._pause = _SHORTEST_PAUSE
        self._pausing = False
        self._refusals = 0
        """How often in a row the server has refused to tell the organisation."""
        self._waits: WaitingFor | None = None
        """Why it pauses, or paused last; and ``_waits_until`` when that is over."""
        self._waits_until = 0.0

    # For the jobs

    def added(self) -> None:
        """Look at the rows again: one was added."""
        self._changed.set()

    def job(self, row: str) -> SlotJob[Any] | None:
        """The job that drives a row; None: the row is not in the lane in memory."""
        return self._jobs.get(row)

    def read_again(self) -> None:
        """Forget the rows that were read ahead: some of them have changed."""
        self._ahead.clear()

    async def answered(self, job: StoredJob[Any], timeout: float | None) -> None:
        """Wait until the start of ``job`` is answered or has to wait, and ``timeout`` seconds at most."""
        self.width = max(self.width, 1 if job.start is None else job.start.width)
        self.added()
        if self._pausing:
            return
        answered = self._callers[job] = asyncio.get_running_loop().create_future()
        try:
            async with self._clock.timeout(timeout):
                await answered
        except TimeoutError:
            pass  # it stays in the store
        finally:
            self._callers.pop(job, None)

    def closed_for(self) -> float:
        """Seconds for which no start may be sent because of the rate limit; 0 while a job runs or starts."""
        starts = [job.start for job in self._jobs.values() if self._lane.is_queued(job)]
        if not starts or len(starts) < len(self._jobs):
            return 0.0
        waits = [0.0 if start is None else start.limiter.opens_in() for start in starts]
        return 0.0 if math.inf in waits else min(waits)

    @property
    def waiting_for(self) -> WaitingFor | None:
        """Why the next row is not started at this moment, or else what runs; None: nothing is to be sent."""
        waits, away = self._waits, self._durable.caller.availability.unreachable_for
        if waits is None or not self._pausing:
            return self._lane.waiting_for
        if waits.reason is WaitReason.OTHER_PROCESS:
            return waits
        seconds = max(0.0, self._waits_until - self._clock.now())
        if away is not None and waits.reason is WaitReason.SERVER_ERROR:
            return WaitingFor(WaitReason.SERVER_AWAY, since=self._clock.time() - away, seconds=seconds)
        return waits._replace(seconds=seconds)

    def _waiting_for_text(self) -> str | None:
        waits = self.waiting_for
        return None if waits is None else json.dumps({"reason": waits.reason, "since": waits.since})

    async def drained(self) -> None:
        """Begin nothing more, and wait until the starts that were sent are answered."""
        self._draining = True
        for job in list(self._jobs.values()):
            if not self._lane.is_starting(job):
                self._lane.drop(job)
        while self._rows.sent:
            self._rows.written.clear()
            await self._rows.written.wait()

    def leave(self) -> None:
        """Write nothing more: what the lane in memory reports from now on is its own end."""
        self._left = True
        self._release_all()

    # Having the lease

    async def run(self) -> None:
        """Drive the rows until none is left. Wait while another process does."""
        while True:
            self._changed.clear()
            try:
                if await self._is_idle():
                    return
            except ClientClosed:
                return
            except LeaseLost as error:
                logger.warning(
                    "%s; its rows are taken up again when it is free",
                    error,
                    extra=fields("lease_lost", error, service=self._name, store=self._durable.name),
                )
            except Exception as error:  # noqa: BLE001  # without the driver no job goes on
                if await self._failed(error):
                    return

    async def _is_idle(self) -> bool:
        """Drive the lane for a while. Return whether it has no rows."""
        store, durable = self._here.store, self._durable
        login = durable.accounts.login
        lane = LaneKey(durable.url, await durable.organisation(), self._name)
        self._refusals = 0
        rows = await store.open_jobs(lane, 1)
        if not rows:
            return not self._changed.is_set()
        async with hold(
            store,
            lane,
            durable.holder,
            self._clock,
            seconds=durable.lease_seconds,
            is_ours=lambda: durable.accounts.login == login,
            # The server needs time for a start that a process has sent just before it ended.
            at_once=rows[0].state is not RowState.STARTING,
        ) as held:
            if held is not None:
                self._pause = _SHORTEST_PAUSE
                await self._restore(held, rows[0])
                await self._drive(held)
        if held is None:
            await self._sleep(_ELSEWHERE, _DRIVEN_ELSEWHERE)
        return False

    async def _restore(self, held: HeldLease, first: JobRow) -> None:
        """Learn what earlier holders of the lease knew."""
        admitted: defaultdict[str, list[float]] = defaultdict(list)
        for kind, at in await self._here.store.admissions(held.lease.lane, self._clock.time() - BELIEVED):
            admitted[self._durable.endpoint(kind).path].append(at)
        # The process that has sent it may not have written the hit.
        self._rows.restore(held.lease, admitted, unsaved=int(first.state is RowState.STARTING))

    async def _failed(self, error: Exception) -> bool:
        """Wait, as the store or the server could not be asked. Return whether there is nothing to wait for.

        A refusal may pass once. If it repeats, those who wait for the jobs get it as an error. The jobs stay
        in the store.
        """
        self._refusals = self._refusals + 1 if is_refusal(error) else 0
        if self._refusals == 1:
            await self._clock.sleep(_SHORTEST_PAUSE)  # callers of starts wait for the second answer
            return False
        if self._refusals:
            for job in list(self._callers):  # its caller has no handle with which to wait for it
                await self._durable.end_queued(job, error)
            self._durable.fail_waits(self._slot.service, error)
            if not (await self._durable.stored())["stored_jobs"]:
                return True
        await self._wait(error)
        return False

    async def _wait(self, error: BaseException) -> None:
        logger.warning(
            "%s: the jobs in %s wait: %s",
            self._name,
            self._durable.name,
            error,
            extra=fields("jobs_wait", error, service=self._name, store=self._durable.name),
        )
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        reason = WaitReason.STORE if isinstance(error, StoreError) else WaitReason.SERVER_ERROR
        before, now = self._waits, self._clock.now()
        goes_on = before is not None and before.reason is reason and now - self._waits_until < _SAME_TROUBLE
        since = before.since if before is not None and goes_on else self._clock.time()
        await self._sleep(pause, WaitingFor(reason, since, detail=str(error)))

    async def _sleep(self, seconds: float, waits: WaitingFor) -> None:
        """Let callers of starts go on: what they have started waits."""
        self._release_all()
        self._pausing = True
        self._waits, self._waits_until = waits, self._clock.now() + seconds
        try:
            await self._clock.sleep(seconds)
        finally:
            self._pausing = False

    async def _drive(self, held: HeldLease) -> None:
        self._tenures += 1
        self.tenure = self._tenures
        held.waiting_for = self._waiting_for_text
        self._again = False
        self._ahead.clear()
        tasks: set[asyncio.Task[None]] = set()
        try:
            await self._take_rows(held, tasks)
        finally:
            held.end()  # a start that waits for an outcome before it must not be sent any more
            self.tenure = None
            self._durable.rows.again()
            with anyio.CancelScope(shield=True):
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            self._rows.write_admissions()
            # The next holder must give the server time for a start that is under way.
            held.give_back = not self._rows.sent
            held.limiter = self._rows.known()
            self._rows.sent.clear()

    async def _take_rows(self, held: HeldLease, tasks: set[asyncio.Task[None]]) -> None:
        """Keep as many tasks at work as there may be rows in the lane in memory, until no row is left."""
        while not self._again:
            self._changed.clear()
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                task.result()
            callers = list(self._callers)
            width = self.width if self._lane.dialect is Dialect.SYNCHRONOUS else _AHEAD
            if len(self._jobs) < width and not self._draining:
                if not self._ahead:
                    rows = await self._here.store.open_jobs(held.lease.lane, width + _READ_AHEAD)
                    self._ahead.extend(row for row in rows if row.id not in self._jobs)
                if not self._ahead and not self._jobs and not self._changed.is_set():
                    return
                while len(self._jobs) < width and (taken := self._take(held)) is not None:
                    task = self._durable.tasks.spawn(self._work(held, *taken), name=f"jobs of {self._name}")
                    tasks.add(task)
                    task.add_done_callback(lambda _: self._changed.set())
            for stored in callers:
                if stored.row not in self._jobs:
                    self._release(stored)
            await self._changed.wait()

    def _take(self, held: HeldLease) -> tuple[JobRow, SlotJob[Any]] | None:
        """The next of the rows that were read ahead, and its job."""
        if not self._ahead or self._draining or self._again or held.is_over:
            return None
        job = self._job_of(held, self._ahead[0])
        row = self._ahead.popleft()
        self._jobs[row.id] = job
        return row, job

    async def _work(self, held: HeldLease, row: JobRow, job: SlotJob[Any]) -> None:
        """Take a row to its end, and then those that follow, as long as some were read ahead."""
        taken: tuple[JobRow, SlotJob[Any]] | None = (row, job)
        while taken is not None:
            await self._run(held, *taken)
            taken = self._take(held)

    # One row

    def _job_of(self, held: HeldLease, row: JobRow) -> SlotJob[Any]:
        durable = self._durable
        kind, endpoint = durable.start_of(row.kind)
        stored = self._here.records.get(row.id)
        settings = durable.settings if stored is None else stored.settings
        start = None if stored is None else stored.start
        limiter = self._rows.limiter(endpoint.path)
        if start is None:
            # A refusal is reported as an error, whatever the options of this client are.
            strict = settings.with_options(raise_on_refusal=True)
            send = partial(
                durable.caller.send, endpoint, settings=strict, limit_wait=0.0, rate_limiter=limiter
            )
            start = Start(row.request, send, limiter, settings.concurrency)
        job = SlotJob(kind, durable.manager, patient(settings), params=row.params, row=row.id)
        job.start = start._replace(send=partial(self._send, held, job, start.send))
        job.attempts = row.attempts
        job.waits = row.waits
        job.before = Operation.from_dict(row.before)
        job.outcome_read = True  # a failure is for those who wait for the row
        age = max(0.0, self._clock.time() - row.created_at)
        job.observed = durable.tasks.observer.job(kind.name, start.request, age=age)
        return job

    async def _run(self, held: HeldLease, row: JobRow, job: SlotJob[Any]) -> None:
        """Take one row to its end."""
        try:
            if (stored := self._here.records.get(row.id)) is not None:
                stored.drive(job)
            del stored  # it is dropped when its caller drops it
            await self._begin(row, job)
            await self._follow(held, row, job)
            if not self._left:
                await self._end(held, row, job)
        except LeaseLost:
            held.lose()
        except Exception as error:  # noqa: BLE001  # the other rows go on
            await self._wait(error)
        finally:
            if (stored := self._here.records.get(row.id)) is not None:
                stored.drive(None)
                self._release(stored)
            self._lane.drop(job)
            self._jobs.pop(row.id, None)
            self._rows.forget_intent(row.id)
            self._rows.written.set()

    def _tell(self, row: str, job: SlotJob[Any]) -> None:
        """Pass on to the handle of the row, if there is one, what ``job`` has learned."""
        stored = self._here.records.get(row)
        if stored is not None:
            stored.follow(job)
            self._release(stored)

    async def _begin(self, row: JobRow, job: SlotJob[Any]) -> None:
        match row.state:
            case RowState.ADMITTED:
                assert row.operation_id is not None  # noqa: S101  # it is written with the state
                self._lane.slot.adopt(job, row.operation_id, row.not_before)
            case RowState.STARTING:
                age = max(0.0, self._clock.time() - (row.intent_at or 0.0))
                self._lane.recover(job, self._clock.now() - age)
            case _:
                await self._lane.submit(job, None, fails_at_timeout=False)

    async def _follow(self, held: HeldLease, row: JobRow, job: SlotJob[Any]) -> None:
        """Wait until ``job`` has ended, and write its admission."""
        is_written = row.state is RowState.ADMITTED

        def changed() -> bool:
            nonlocal is_written
            if job.done or self._left:
                return True
            self._tell(row.id, job)
            if job.id is not None and not is_written:
                is_written = True
                self._rows.admitted(held, job)
            return False

        follower = Follower(changed)
        job.add_follower(follower)
        try:
            if not changed():
                await follower.future
        finally:
            job.remove_follower(follower)

    async def _end(self, held: HeldLease, row: JobRow, job: SlotJob[Any]) -> None:
        """Write how ``job`` has ended; or leave its row, when that says nothing about the job."""
        error = job.error
        if self._draining and job.id is None and isinstance(error, JobCancelled):
            if self._rows.forget_intent(row.id):
                await self._write(held, job, state=RowState.QUEUED)
            return  # it was taken out of the lane
        if error is not None and self._may_pass(error, job):
            begun = job.id is not None or row.state is RowState.STARTING
            if not begun:
                self._failing.add(job)
            try:
                await self._wait(error)
            finally:
                self._failing.discard(job)
            # Nothing is started before the outcome of what has begun is known.
            self._again = self._again or begun
            self.read_again()
            return
        if self._was_lost_by_server(job) and job.attempts < _MOST_STARTS:
            message = "%s: the server has lost it. It is started again, so it may run twice"
            logger.warning(
                message,
                job.description,
                extra=fields("start_sent_again", service=self._name, kind=job.kind.name),
            )
            await self._write(held, job, state=RowState.QUEUED, operation_id=None, not_before=None)
            self.read_again()
            return
        outcome = outcome_of(job.status, job.result, error)
        ended_at = self._clock.time()
        await self._write(held, job, state=RowState.ENDED, ended_at=ended_at, outcome=outcome, before=None)
        self._tell(row.id, job)

    def _may_pass(self, error: BaseException, job: SlotJob[Any]) -> bool:
        """Whether ``error`` says nothing about the job itself, so that its row is tried again later."""
        if isinstance(error, StoreError | ClientClosed):
            return True
        if isinstance(error, JobError):
            # Before this server has answered, nothing can be known of a start that another process sent.
            return isinstance(error, JobLost) and not self._durable.caller.availability.has_answered
        if not isinstance(error, ReflexioError):
            return False
        if meaning_of(error) is Meaning.CREDENTIAL:
            return job.row not in self._here.records  # nobody here waits for it
        was_sent = job.id is None and getattr(error, "outcome_unknown", False)
        return is_away(error) and not was_sent

    def _was_lost_by_server(self, job: SlotJob[Any]) -> bool:
        return job.id is not None and isinstance(job.error, JobLost) and self._lane.slot.latest is None

    async def _send(
        self, held: HeldLease, job: SlotJob[Any], send: Callable[..., Any], request: EncodedRequest
    ) -> Any:
        """Send the start of ``job``, when the disk has it and every outcome before it."""
        assert job.row is not None  # noqa: S101  # jobs of a store have one
        self._waiting[job] = None
        try:
            while self._again or any(
                other.done and other not in self._failing for other in self._jobs.values()
            ):
                self._rows.written.clear()
                await self._rows.written.wait()
        finally:
            del self._waiting[job]
        held.check()
        if not await self._rows.write_intent(held, job):
            job.withdraw("it was cancelled before its start was sent")
            assert job.error is not None  # noqa: S101  # it was withdrawn
            raise job.error
        self._rows.sent.add(job.row)
        try:
            return await send(request, guard=held.check)
        except ReflexioError as error:
            if not getattr(error, "outcome_unknown", False):
                self._rows.sent.discard(job.row)
                if not isinstance(error, StoreError):
                    await self._rows.write_refusal(held, job)
            raise

    def _next_start(self) -> NextStart | None:
        """The job that is started as soon as the outcome before it is written; None: there is none."""
        if self._draining or self._again or self._lane.dialect is Dialect.SYNCHRONOUS:
            return None
        for job in self._waiting:
            return NextStart(job, job.attempts, job.before)
        following = self._lane.next_start()
        if following is None or following.row is None:  # not one of a store
            return None
        return NextStart(following, following.attempts + 1, self._lane.slot.latest)

    async def _write(self, held: HeldLease, job: SlotJob[Any], **values: Any) -> None:
        """Write the row of ``job``, however long the disk is full.

        An outcome is written together with the intent of the next start.
        """
        while True:
            start = self._next_start() if values["state"] is RowState.ENDED else None
            try:
                await self._rows.write(held, job, start, **values)
            except LeaseLost:
                raise
            except StoreError as error:
                await self._wait(error)
            else:
                return

    # Callers of starts

    def _release(self, job: StoredJob[Any]) -> None:
        """Let the call return that has started ``job``."""
        answered = self._callers.pop(job, None)
        if answered is not None and not answered.done() and not answered.get_loop().is_closed():
            answered.set_result(None)

    def _release_all(self) -> None:
        for job in list(self._callers):
            self._release(job)
