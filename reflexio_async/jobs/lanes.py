"""One lane per service: starts are admitted one at a time, and none is lost.

A server runs one generation per organisation and service, refuses the next, remembers only the latest
outcome, and counts refused starts against the rate limit. So a start is sent only when the slot is
known to be free and the limit is open, and the next one only when the outcome before it has been read.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from reflexio_async.errors import (
    APIConnectionError,
    APIStatusError,
    JobCancelled,
    JobFailed,
    JobLost,
    RateLimited,
    RequestRefused,
)
from reflexio_async.jobs import kinds
from reflexio_async.jobs.kinds import Dialect, SlotKind
from reflexio_async.jobs.poller import Source
from reflexio_async.jobs.record import Record
from reflexio_async.jobs.status import RUNNING, JobState, JobStatus
from reflexio_async.jobs.token import Token
from reflexio_async.models.enums import OperationStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from reflexio_async.jobs.poller import Poller
    from reflexio_async.jobs.record import Waiting
    from reflexio_async.models.operations import OperationStatusInfo

logger = logging.getLogger("reflexio_async")

_BUSY = "already in progress"
_FRESH = 1.0  # seconds for which an observation of the slot may be acted upon
_UNSEEN_GRACE = 30.0  # seconds an admitted operation may take to appear in the status
_LONGEST_NAP = 3600.0
_TELL_APART = 1.1
_LOST_START_GRACE = 2.0  # seconds after which a start without an answer would be visible in the status


class Quota(Protocol):
    """What a lane needs to know of the rate limit of its start."""

    def opens_in(self) -> float:
        """Seconds until a start may be sent."""
        ...


class Server(Protocol):
    """What a lane asks of the server."""

    url: str

    async def operation(self, service: str) -> OperationStatusInfo | None:
        """The latest operation of ``service``, or None when it never ran."""
        ...

    async def cancel(self, service: str) -> None:
        """Ask for the running operation of ``service`` to stop, whoever owns it."""
        ...


class SlotRecord(Record[Any]):
    """The record of a lane's job, with what its start and its recognition need."""

    __slots__ = ("answered", "before", "params", "quota", "seen_running", "send", "slot_kind")

    def __init__(
        self,
        kind: SlotKind[Any],
        lane: Lane,
        waiting: Waiting,
        *,
        params: Mapping[str, Any],
        send: Callable[[], Awaitable[Any]] | None = None,
        quota: Quota | None = None,
    ) -> None:
        super().__init__(kind, lane, waiting)
        self.slot_kind = kind
        self.params = params
        self.send = send
        self.quota = quota
        self.before: OperationStatusInfo | None = None  # what the slot showed before the start
        self.seen_running = False
        self.answered: asyncio.Future[None] | None = None  # the caller of the start waits for its answer

    def settle(self) -> None:
        """The start was answered, or has to wait: either way its caller gets the handle."""
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(None)


class Lane(Source):
    """The starts and the latest operation of one service."""

    def __init__(
        self, poller: Poller, server: Server, service: str, *, width: int, outage: float, tries: int
    ) -> None:
        super().__init__(poller, service, interval=kinds.PROFILE_RERUN.interval)
        self._server = server
        self._service = service
        self.width = width
        self._outage = outage
        self._tries = tries
        self._reached = False  # whether this server has ever told its status
        self._clock = poller.clock
        self._background = poller.background
        self.dialect: Dialect | None = None
        self._queue: deque[SlotRecord] = deque()
        self._sending: set[SlotRecord] = set()
        self._resolving: set[SlotRecord] = set()  # sent, answer lost, not yet found in the status
        self._running: set[SlotRecord] = set()
        self._latest: OperationStatusInfo | None = None
        self._observed_at: float | None = None
        self._failing_since: float | None = None
        self._news = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._started_at = poller.clock.now()

    # Starting

    async def submit(self, job: SlotRecord) -> None:
        """Queue ``job``; returns when its start was answered, or at once when it has to wait its turn."""
        before_it = len(self._queue) + len(self._sending)
        if self.dialect is not Dialect.SYNCHRONOUS:
            before_it += len(self._running)
        self._queue.append(job)
        if not self._patient():
            self.failures = 0  # the server was given up; for a new start it is asked again at once
        if not self.busy:
            self._worker = self._background.spawn(self._work(), name=f"lane {self._service}")
            self._worker.add_done_callback(self._worker_ended)
        self._news.set()
        if before_it >= self._room() or (job.quota is not None and job.quota.opens_in() > 0):
            return
        job.answered = asyncio.get_running_loop().create_future()
        try:
            await job.answered
        except asyncio.CancelledError:
            # No handle was given out, so nobody could withdraw it later; once sent, it runs on.
            job.seen = self._withdraw(job, "the call that started it was cancelled before anything was sent")
            raise

    def adopt(self, job: SlotRecord, token: Token) -> None:
        """Go on with a job that was admitted earlier, here or in another process."""
        job.admit(token, RUNNING)
        self._running.add(job)

    @property
    def busy(self) -> bool:
        """Whether starts are queued or on their way."""
        return self._worker is not None and not self._worker.done()

    async def drained(self) -> None:
        """Wait until every queued start has been sent and answered."""
        if self._worker is not None and self.busy:
            await asyncio.wait([self._worker])

    def abandon(self, reason: str) -> list[str]:
        """Give up what was not sent or not answered, and whoever still waits; returns their names."""
        names: list[str] = []
        while self._queue:
            job = self._queue.popleft()
            names.append(self._describe(job))
            self._cancelled(job, reason)
        for job in list(self._sending):
            names.append(f"{self._describe(job)} (sent, not answered)")
            self._lost(job, f"{reason} while its start was being answered; it may have begun")
        for job in list(self._running):
            if job.awaited:
                self._lost(
                    job, f"{reason} while somebody waited; it goes on at the server, resume it by its token"
                )
        self._running.clear()
        return names

    async def _work(self) -> None:
        while self._queue or self._sending:
            if not self._queue or len(self._sending) >= self._room():
                await self._hear()
                continue
            job = self._queue[0]
            if self.dialect is not Dialect.SYNCHRONOUS and not self._slot_is_known_free():
                if self._running or self._latest_is_in_progress():
                    self._settle_all()
                else:
                    self.ask_now()
                await self._hear(polling=True)
                continue
            pause = self._pause_before(job)
            if pause > 0:
                self._settle_all()
                await self._hear(within=pause)
                continue
            self._queue.popleft()
            self._sending.add(job)
            if self._room() == 1:
                await self._start(job)
            else:
                self._background.spawn(self._start(job), name=f"start {job.kind.name}")

    def _room(self) -> int:
        return self.width if self.dialect is Dialect.SYNCHRONOUS else 1

    def _pause_before(self, job: SlotRecord) -> float:
        """Seconds for which ``job`` must not be started yet."""
        pause = 0.0 if job.quota is None else min(job.quota.opens_in(), _LONGEST_NAP)
        latest = self._latest if self.dialect is Dialect.UNCORRELATED else None
        if latest is not None and job.slot_kind.asked_for(job.params, latest):
            # Start times are whole seconds: two equal operations within one would look the same.
            pause = max(pause, self._started_at + _TELL_APART - self._clock.now())
        return pause

    async def _hear(self, *, polling: bool = False, within: float | None = None) -> None:
        """Wait for news of the queue, of a start or, ``polling``, of the slot; at most ``within`` seconds."""
        self._news.clear()
        timer = None if within is None else self._clock.call_at(self._clock.now() + within, self._news.set)
        if polling:
            self.want(None)
        try:
            await self._news.wait()
        finally:
            if polling:
                self.unwant(None)
            if timer is not None:
                timer.cancel()

    def _slot_is_known_free(self) -> bool:
        fresh = self._observed_at is not None and self._clock.now() - self._observed_at <= _FRESH
        return fresh and not self._running and not self._latest_is_in_progress()

    def _latest_is_in_progress(self) -> bool:
        return self._latest is not None and self._latest.status == OperationStatus.IN_PROGRESS

    def _settle_all(self) -> None:
        for job in self._queue:
            job.settle()

    async def _start(self, job: SlotRecord) -> None:
        job.attempts += 1
        try:
            await self._send(job, self._latest)
        except asyncio.CancelledError:
            self._lost(job, "the client was closed while its start was being answered; it may have begun")
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to the caller of the start
            self._failed_to_start(job, error)
        finally:
            self._sending.discard(job)
            self._resolving.discard(job)
            self._news.set()

    async def _send(self, job: SlotRecord, before: OperationStatusInfo | None) -> None:
        assert job.send is not None  # noqa: S101  # queued jobs have one
        try:
            answer = await job.send()
        except RateLimited as error:
            # Nothing was admitted. The limit is known now, so the lane waits for it to open.
            self._requeue(job)
            if job.quota is not None and job.quota.opens_in() <= 0:
                await self._clock.sleep(error.retry_after or _FRESH)
        except RequestRefused as refusal:
            self._refused(job, refusal.response, refusal)
        except (APIConnectionError, APIStatusError) as error:
            if not error.outcome_unknown:
                raise
            await self._resolve(job, before, error)
        else:
            self._answered(job, before, answer)

    def _refused(self, job: SlotRecord, answer: Any, refusal: RequestRefused | None) -> None:
        text = answer.msg or ""
        if _BUSY in text:
            logger.info("%s: the slot was taken by someone else; waiting for it", self._service)
            self._observed_at = None
            self._requeue(job)
        elif refusal is not None:
            self._failed_to_start(job, refusal)
        else:
            # A client with raise_on_refusal=False wants it as an answer.
            job.finish(JobStatus(JobState.FAILED, message=text, error=text), result=answer)
            job.settle()

    def _answered(self, job: SlotRecord, before: OperationStatusInfo | None, answer: Any) -> None:
        if not answer.success:
            self._refused(job, answer, None)
            return
        kind = job.slot_kind
        dialect = kind.dialect_of(answer)
        if kind.mode is None:
            self.dialect = dialect
        if dialect is Dialect.SYNCHRONOUS:
            self._observed_at = None if kind.mode is not None else self._observed_at
            operation = getattr(answer, "operation_id", kind.constant_id)
            job.admit(self._token(job, operation, before), RUNNING)
            job.finish(JobStatus(JobState.COMPLETED, progress=1.0, message=answer.msg), result=answer)
            job.settle()
        else:
            self._admitted(job, answer.operation_id, before)

    def _admitted(self, job: SlotRecord, operation_id: str, before: OperationStatusInfo | None) -> None:
        job.before = before
        job.admit(self._token(job, operation_id, before), RUNNING)
        self._running.add(job)
        self._started_at = self._clock.now()
        job.settle()
        self.be_eager()

    def _token(self, job: SlotRecord, operation_id: str, before: OperationStatusInfo | None) -> Token:
        not_before = None if before is None else before.started_at
        return Token(
            kind=job.kind.name,
            url=self._server.url,
            id=operation_id,
            params=dict(job.params),
            not_before=not_before,
        )

    def _requeue(self, job: SlotRecord) -> None:
        self._queue.appendleft(job)
        job.settle()

    async def _resolve(
        self, job: SlotRecord, before: OperationStatusInfo | None, error: APIConnectionError | APIStatusError
    ) -> None:
        """The start got no answer: ask the status whether it began."""
        began = self._clock.now()
        logger.info(
            "%s: a start got no answer (%s); asking for the status", self._service, type(error).__name__
        )
        self._resolving.add(job)
        while not job.done:
            await self._hear(polling=True)
            if self._observed_at is None or self._observed_at <= began:
                continue
            info = self._latest
            if info is not None and not _same_operation(info, before):
                if job.slot_kind.asked_for(job.params, info):
                    self._admitted(job, info.operation_id or job.slot_kind.constant_id, before)
                    self._hear_of(job, info)
                else:
                    self._lost(job, "its start got no answer and another operation has the slot")
                return
            if self._observed_at - began >= _LOST_START_GRACE:
                if self.dialect is Dialect.CORRELATED and job.slot_kind.mode is None:
                    # The server claims the slot before it answers, so this start never arrived.
                    logger.info("%s: the server never began it; sending it again", self._service)
                    self._requeue(job)
                else:
                    self._failed_to_start(job, error)
                return

    # Hearing

    async def probe(self) -> None:
        """Read the slot and pass it on to the jobs that run in it."""
        info = await self._server.operation(self._service)
        self._latest = info
        self._observed_at = self._clock.now()
        self._failing_since = None
        self._reached = True
        for job in list(self._running):
            if info is not None:
                self._hear_of(job, info)
            else:
                self._lost(job, "the server no longer knows of any operation")
        self._news.set()

    def failed(self, error: Exception, *, transient: bool) -> None:
        """Outlast what may pass; else nothing can be started or learned any more."""
        for job in self._running:
            job.last_probe_error = error
        if self._failing_since is None:
            self._failing_since = self._clock.now()
        if transient and self._patient():
            if self._reached:
                self._settle_all()
            return
        # Without the status no start may be sent; a transient failure leaves the waiters their own timeouts.
        for job in list(self._resolving):
            self._lost(job, f"its start got no answer, and the status cannot be asked: {error}")
        if not transient:
            for job in self._running:
                job.finish(JobStatus(JobState.LOST, error=str(error)), error=error)
            self._running.clear()
        while self._queue:
            self._failed_to_start(self._queue.popleft(), error)
        self._news.set()

    def _patient(self) -> bool:
        """Whether failing probes are still to be outlasted."""
        if self._failing_since is None:
            return True
        if self._reached:
            return self._clock.now() - self._failing_since < self._outage
        # A server that never answered is rather a wrong address than an outage.
        return self.failures < self._tries

    def _hear_of(self, job: SlotRecord, info: OperationStatusInfo) -> None:
        """What the slot's operation ``info`` means for ``job``."""
        if not self._is_ours(job, info):
            if self._may_still_appear(job, info):
                return
            self._lost(job, "another operation took the slot before its outcome was read")
            return
        job.seen_running = True
        status = kinds.operation_status(info)
        match status.state:
            case JobState.COMPLETED:
                self._running.discard(job)
                job.finish(status, result=job.slot_kind.result(info))
            case JobState.FAILED:
                self._running.discard(job)
                message = f"{job.kind.name} {job.id}: {status.error or 'the server names no reason'}"
                error = JobFailed(
                    message, status=status, token=_text(job), failed_users=kinds.failed_users(info)
                )
                job.finish(status, error=error)
            case JobState.CANCELLED:
                self._running.discard(job)
                error_ = JobCancelled(
                    f"{job.kind.name} {job.id} was cancelled at the server", status=status, token=_text(job)
                )
                job.finish(status, error=error_)
            case _:
                job.update(status)

    def _is_ours(self, job: SlotRecord, info: OperationStatusInfo) -> bool:
        if info.operation_id is not None:
            return info.operation_id == job.id
        token = job.token
        assert token is not None  # noqa: S101  # only admitted jobs run
        if not job.slot_kind.asked_for(job.params, info):
            return False
        if token.not_before is None or info.started_at > token.not_before:
            return True
        # Whole seconds: a start within the second of the one before it is newer when the slot changed.
        return info.started_at == token.not_before and not _same_operation(info, job.before)

    def _may_still_appear(self, job: SlotRecord, info: OperationStatusInfo) -> bool:
        if job.seen_running or job.admitted_at is None:
            return False
        stale = job.before is not None and _same_operation(info, job.before)
        return stale and self._clock.now() - job.admitted_at < _UNSEEN_GRACE

    # Ending

    async def refresh(self) -> None:
        """Ask for the status once, now."""
        await self.probe()

    async def cancel_job(self, job: SlotRecord) -> None:
        """Withdraw a queued start, or ask the server to stop the operation if it is still this job's."""
        if self._withdraw(job, "it was cancelled before its start was sent"):
            return
        await self.probe()
        # The server's cancel takes no id: it would hit whoever owns the slot by now.
        if job in self._running:
            await self._server.cancel(self._service)

    def _withdraw(self, job: SlotRecord, reason: str) -> bool:
        if job not in self._queue:
            return False
        self._queue.remove(job)
        self._cancelled(job, reason)
        self._news.set()
        return True

    def _cancelled(self, job: SlotRecord, reason: str) -> None:
        status = JobStatus(JobState.CANCELLED, error=reason)
        job.finish(status, error=JobCancelled(f"{self._describe(job)}: {reason}", status=status))
        job.settle()

    def _lost(self, job: SlotRecord, reason: str) -> None:
        self._running.discard(job)
        status = JobStatus(JobState.LOST, error=reason)
        error = JobLost(f"{self._describe(job)}: outcome unknown: {reason}", status=status, token=_text(job))
        job.finish(status, error=error)
        job.settle()

    def _failed_to_start(self, job: SlotRecord, error: BaseException) -> None:
        job.finish(JobStatus(JobState.FAILED, error=str(error)), error=error)
        job.settle()

    def _describe(self, job: SlotRecord) -> str:
        wanted = ", ".join(f"{name}={value}" for name, value in job.params.items() if value is not None)
        return f"{job.kind.name} {job.id or ''}({wanted})"

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed(error if isinstance(error, Exception) else RuntimeError(str(error)), transient=False)


def _text(job: SlotRecord) -> str | None:
    return None if job.token is None else job.token.to_text()


def _same_operation(one: OperationStatusInfo, other: OperationStatusInfo | None) -> bool:
    if other is None:
        return False
    if one.operation_id is not None or other.operation_id is not None:
        return one.operation_id == other.operation_id
    return one.started_at == other.started_at and one.request_params == other.request_params
