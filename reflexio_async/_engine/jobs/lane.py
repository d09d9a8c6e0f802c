"""One lane per service: starts are admitted one at a time, and none is lost.

A server runs one generation per organisation and service, refuses the next, remembers only the latest
outcome, and counts refused starts against the rate limit. So a start is sent only when the slot is
known to be free and the limit is open, and the next one only when the outcome before it has been read.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from reflexio_async._engine.jobs.kinds import Dialect
from reflexio_async._engine.jobs.record import untraced
from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async._engine.jobs.watch import Server, SlotWatch
from reflexio_async.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeout,
    RateLimited,
    ReflexioError,
    RequestRefused,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from reflexio_async._engine.jobs.kinds import Operation
    from reflexio_async._engine.jobs.poller import Poller
    from reflexio_async._engine.jobs.slot import SlotRecord

logger = logging.getLogger("reflexio_async")

_BUSY = "already in progress"
_LONGEST_NAP = 3600.0
_LONGEST_REFUSAL = 30.0  # seconds between starts that meet a slot which is taken, whatever the status says
_TELL_APART = 1.1
_LOST_START_GRACE = 2.0  # seconds after which a start without an answer would be visible in the status


class Lane(SlotWatch):
    """The starts of one service, and its slot."""

    def __init__(self, poller: Poller, server: Server, service: str, *, outage: float, tries: int) -> None:
        super().__init__(poller, server, service, outage=outage, tries=tries)
        self._tasks = poller.tasks
        self.dialect: Dialect | None = None
        self._queue: deque[SlotRecord] = deque()
        self._unanswered: set[SlotRecord] = set()  # whose callers wait for the answer to their start
        self._sending: set[SlotRecord] = set()
        self._resolving: set[SlotRecord] = set()  # sent, answer lost, not yet found in the status
        self._worker: asyncio.Task[None] | None = None
        self._starts: set[asyncio.Task[None]] = set()
        self._refused_busy = 0  # how often in a row, ten at most
        self._refused_until = self._started_at

    @property
    def starts_wait(self) -> bool:
        """Whether others wait for the slot."""
        return bool(self._queue)

    # Starting

    async def submit(self, job: SlotRecord) -> None:
        """Queue ``job``; returns when its start was answered, or at once when it has to wait its turn."""
        before_it = len(self._queue) + len(self._sending)
        if self.dialect is not Dialect.SYNCHRONOUS:
            before_it += len(self._running)
        at_once = before_it < self._room(job) and job.opens_in <= 0
        if at_once and self.dialect is Dialect.SYNCHRONOUS and self._pause_before(job) <= 0:
            self._launch(job)
        else:
            self._enqueue(job)
        if not at_once:
            return
        job.answered = asyncio.get_running_loop().create_future()
        self._unanswered.add(job)
        try:
            await job.answered
        except asyncio.CancelledError:
            # No handle was given out, so nobody could withdraw it later; once sent, it runs on.
            job.seen = self._withdraw(job, "the call that started it was cancelled before anything was sent")
            raise
        finally:
            self._unanswered.discard(job)

    def _enqueue(self, job: SlotRecord) -> None:
        self._queue.append(job)
        if not self._patient():
            self.failures = 0  # the server was given up; for a new start it is asked again at once
        self._wake()

    def _wake(self) -> None:
        if self._worker is None or self._worker.done():
            self._worker = self._tasks.spawn(self._work(), name=f"lane {self._service}")
            self._worker.add_done_callback(self._worker_ended)
        self._news.set()

    def _launch(self, job: SlotRecord) -> None:
        """Send the start in a task of its own, which the caller's cancellation does not reach."""
        self._sending.add(job)
        start = self._tasks.spawn(self._start(job), name=f"start {job.kind.name}")
        self._starts.add(start)
        start.add_done_callback(self._starts.discard)

    @property
    def busy(self) -> bool:
        """Whether starts are queued or on their way."""
        return bool(self._starts) or (self._worker is not None and not self._worker.done())

    async def drained(self) -> None:
        """Wait until every queued start has been sent and answered."""
        while self.busy:
            await asyncio.wait([*self._starts, *([] if self._worker is None else [self._worker])])

    def abandon(self, reason: str) -> list[str]:
        """Give up what was not sent or not answered, and whoever still waits; returns their names."""
        names: list[str] = []
        while self._queue:
            job = self._queue.popleft()
            names.append(job.described)
            job.withdraw(reason)
        for job in list(self._sending):
            names.append(f"{job.described} (sent, not answered)")
            job.lose(f"{reason} while its start was being answered; it may have begun")
        for job in list(self._running):
            if job.awaited:
                job.lose(f"{reason} while somebody waited; it goes on at the server, resume it by its token")
        self._running.clear()
        return names

    async def _work(self) -> None:
        while self._queue or self._sending:
            if not self._queue or len(self._sending) >= self._room(self._queue[0]):
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
            if self._room(job) == 1:
                self._sending.add(job)
                await self._start(job)
            else:
                self._launch(job)

    def _room(self, job: SlotRecord) -> int:
        """How many starts may be on their way at once, this one included."""
        if self.dialect is not Dialect.SYNCHRONOUS or job.start is None:
            return 1
        return job.start.width

    def _pause_before(self, job: SlotRecord) -> float:
        """Seconds for which ``job`` must not be started yet."""
        pause = min(job.opens_in, _LONGEST_NAP)
        # A server that says "busy" while its status says "free" must not be hammered.
        pause = max(pause, self._refused_until - self._clock.now())
        latest = self._latest if self.dialect is Dialect.UNCORRELATED else None
        if latest is not None and job.slot_kind.matches(job.params, latest):
            # Start times are whole seconds: two equal operations within one would look the same.
            pause = max(pause, self._started_at + _TELL_APART - self._clock.now())
        return pause

    def _settle_all(self) -> None:
        for job in self._unanswered:
            job.settle()

    async def _start(self, job: SlotRecord) -> None:
        job.attempts += 1
        try:
            await self._send(job, self._latest)
        except asyncio.CancelledError:
            job.lose("the client was closed while its start was being answered; it may have begun")
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to the caller of the start
            job.fail_to_start(error)
        finally:
            self._sending.discard(job)
            self._resolving.discard(job)
            self._news.set()

    async def _send(self, job: SlotRecord, before: Operation | None) -> None:
        assert job.start is not None  # noqa: S101  # queued jobs have one
        try:
            answer = await job.start.send(job.start.request)
        except RateLimited as error:
            if error.__cause__ is not None and job.attempts >= self._tries:
                raise error.__cause__ from None  # what its tries met before the limit closed
            # Nothing was admitted. The limit is known now, so the lane waits for it to open.
            self._requeue(job)
            if job.opens_in <= 0:
                await self._clock.sleep(error.retry_after or self.interval)
        except RequestRefused as refusal:
            self._refused(job, refusal.response, refusal)
        except (APIConnectionError, APIStatusError, UnexpectedResponse) as error:
            if not error.outcome_unknown:
                raise
            await self._resolve(job, before, error)
        else:
            self._answered(job, before, answer)

    def _refused(self, job: SlotRecord, answer: Any, refusal: RequestRefused | None) -> None:
        if _BUSY in (answer.msg or ""):
            logger.info("%s: the slot was taken by someone else; waiting for it", self._service)
            self._observed_at = None
            pause = min(self.interval * 2.0**self._refused_busy, _LONGEST_REFUSAL)
            self._refused_until = self._clock.now() + pause
            self._refused_busy = min(self._refused_busy + 1, 10)
            self._requeue(job)
        elif refusal is not None:
            job.fail_to_start(refusal)
        else:
            job.answer(answer)  # a client with raise_on_refusal=False wants it as an answer

    def _answered(self, job: SlotRecord, before: Operation | None, answer: Any) -> None:
        if not answer.success:
            self._refused(job, answer, None)
            return
        kind = job.slot_kind
        dialect = kind.dialect_of(answer)
        if kind.mode is None:
            self.dialect = dialect
        else:
            self._observed_at = None  # it has used the slot
        operation = getattr(answer, "operation_id", kind.constant_id)
        if dialect is Dialect.SYNCHRONOUS:
            job.enter(operation, before)
            job.answer(answer)
        else:
            self._admitted(job, operation, before)

    def _admitted(self, job: SlotRecord, operation_id: str, before: Operation | None) -> None:
        job.enter(operation_id, before)
        self._running[job] = None
        self._started_at = self._not_ended_at = self._clock.now()
        self._refused_busy = 0
        self.be_eager()
        if job.cancel_wanted:
            self._tasks.spawn(self._cancel_late(job), name=f"cancel {job.kind.name}")

    async def _cancel_late(self, job: SlotRecord) -> None:
        try:
            await self.cancel(job)
        except ReflexioError as error:
            logger.warning("%s: it could not be cancelled: %s", job.described, error)

    def _requeue(self, job: SlotRecord) -> None:
        if job.cancel_wanted:
            job.withdraw("it was cancelled before it was admitted")
            return
        self._queue.appendleft(job)
        self._wake()
        job.settle()

    async def _resolve(self, job: SlotRecord, before: Operation | None, error: ReflexioError) -> None:
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
            if info is not None and not info.is_same(before):
                if job.slot_kind.matches(job.params, info):
                    self._admitted(job, info.id or job.slot_kind.constant_id, before)
                    job.hear(info, info.status, self._observed_at)
                    if job.done:
                        self._running.pop(job, None)
                else:
                    job.lose("its start got no answer and another operation has the slot")
                return
            if self._observed_at - began >= _LOST_START_GRACE:
                # After a timeout the server may still come to it.
                in_time = not isinstance(error, APITimeout)
                repeatable = in_time and self.dialect is Dialect.CORRELATED and job.slot_kind.mode is None
                if repeatable and job.attempts < self._tries:
                    # The server claims the slot before it answers, so this start never arrived.
                    logger.info("%s: the server never began it; sending it again", self._service)
                    self._requeue(job)
                else:
                    job.fail_to_start(error)
                return

    # Hearing

    def failed(self, error: Exception, *, transient: bool) -> None:
        """Outlast what may pass; else nothing can be started or learned any more."""
        untraced(error)
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
            job.lose(f"its start got no answer, and the status cannot be asked: {error}")
        if not transient:
            for job in self._running:
                job.finish(JobStatus(JobState.LOST, error=str(error)), error=error)
            self._running.clear()
        while self._queue:
            self._queue.popleft().fail_to_start(_of_a_status(error))
        self._news.set()

    # Ending

    async def cancel(self, record: SlotRecord) -> None:
        """Withdraw a queued start, or ask the server to stop the operation if it is still this job's."""
        if self._withdraw(record, "it was cancelled before its start was sent"):
            return
        if record in self._sending and record not in self._running:
            record.cancel_wanted = True
            return
        await self.probe()
        # The server's cancel takes no id: it would hit whoever owns the slot by now.
        if record in self._running:
            await self._server.cancel(self._service)

    def _withdraw(self, job: SlotRecord, reason: str) -> bool:
        if job not in self._queue:
            return False
        self._queue.remove(job)
        job.withdraw(reason)
        self._news.set()
        return True

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed(error if isinstance(error, Exception) else RuntimeError(str(error)), transient=False)


def _of_a_status(error: Exception) -> Exception:
    """``error`` for a job whose start was never sent: only asking for the status had an unknown outcome."""
    if not isinstance(error, APIConnectionError | APIStatusError):
        return error
    error = copy.copy(error)
    error.outcome_unknown = False
    return error
