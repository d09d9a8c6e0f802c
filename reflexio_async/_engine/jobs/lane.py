"""The queue in front of one slot: starts are sent one at a time, and none is lost.

A server runs one job per organisation and service, refuses the next, keeps only the latest outcome, and
counts refused starts against the rate limit (server-behaviour: Slot, Rate limits). So a start is sent
only when the slot is known to be free and the rate limit is open, and the next one only when the outcome of
the one before has been read.

A job goes through four steps:

    queued     it waits in the lane; nothing was sent
    starting   its start was sent and not answered; if the answer is lost, the status tells whether it began
    admitted   the server has accepted it; it runs in the slot
    ended      its outcome was read, or can no longer be learned
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from reflexio_async._engine.jobs.kinds import Dialect, StartRefused
from reflexio_async._engine.jobs.slot import SlotStatus, SlotStatusSource
from reflexio_async._engine.jobs.status import JobState
from reflexio_async._engine.jobs.waits import WaitingFor, WaitReason
from reflexio_async._engine.logs import fields
from reflexio_async._engine.loops import LOOP_ENDED
from reflexio_async._engine.observer import NOT_OBSERVED
from reflexio_async._engine.retry import is_away
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
    from collections.abc import Awaitable, Callable, Coroutine

    from reflexio_async._engine.jobs.kinds import Slot, SlotKind
    from reflexio_async._engine.jobs.poller import Poller
    from reflexio_async._engine.jobs.slot_job import SlotJob
    from reflexio_async._engine.retry import FailedPolls

logger = logging.getLogger("reflexio_async")

Finish: TypeAlias = "Callable[[Coroutine[Any, Any, None]], Awaitable[None]]"

_LONGEST_SLEEP = 3600.0  # seconds; a limit may be closed without a known end, so ask it again then
_LONGEST_BUSY_PAUSE = 30.0  # seconds between starts that a busy slot refuses while its status says "free"
_BETWEEN_EQUAL_STARTS = 1.1  # seconds; start times are whole seconds (server-behaviour: Status)
_SLOW_ANSWER = 3.0  # seconds without an answer, after which that is what a lane waits for
_VISIBLE_WITHIN = 2.0  # seconds after which the status shows an operation that has begun


class Lane:
    """The starts of one slot, on one event loop: queued, sent, and followed until they are admitted.

    ``earlier``: the lane of an event loop that has ended. What was learned there is used here.
    """

    def __init__(
        self,
        slot: Slot,
        source: SlotStatusSource,
        poller: Poller,
        *,
        max_attempts: int,
        earlier: Lane | None = None,
    ) -> None:
        self.poller = poller
        self.dialect: Dialect | None = None
        """How the server answers starts; None until it has answered one."""
        self._name = slot.service
        self._clock = poller.clock
        self._tasks = poller.tasks
        self._max_attempts = max_attempts
        self._queue: deque[SlotJob[Any]] = deque()
        self.slot = SlotStatus(slot, source, poller, self, queue=self._queue)
        self._starting: dict[SlotJob[Any], float] = {}
        """The jobs whose start was sent and is not answered, and when that began."""
        self._unresolved: set[SlotJob[Any]] = set()  # starting jobs whose answer was lost
        # The future that each caller awaits until its start is answered, or has to wait.
        self._callers: dict[SlotJob[Any], asyncio.Future[None]] = {}
        self._worker: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()  # the queue, a start or the slot's status
        self._busy_refusals = 0  # in a row, ten at most
        self._busy_until = self._clock.now()
        self._cut_off: list[str] = []
        """The starts that were cancelled because the event loop ended."""
        if earlier is not None:
            self.dialect = earlier.dialect
            self.slot.remember(earlier.slot)

    # For the manager

    async def submit(
        self,
        job: SlotJob[Any],
        timeout: float | None,
        *,
        fails_at_timeout: bool,
        finish: Finish | None = None,
    ) -> None:
        """Queue ``job``. Return when its start was answered, or at once when its start has to wait.

        Args:
            job: The job.
            timeout: Seconds after which to return in any case; None: there is no limit.
            fails_at_timeout: A start that was not sent by then fails.
            finish: Does in the caller's task what goes on when the caller is cancelled, without a timeout.
                None: that needs a task of its own.
        """
        ahead = len(self._queue) + len(self._starting)
        if self.dialect is not Dialect.SYNCHRONOUS:
            ahead += len(self.slot.running)
        if ahead >= self._width(job) or self._pause_before(job) > 0:
            self._enqueue(job)
            return
        # No status is asked for, so there is nothing to wait for.
        at_once = self.dialect is Dialect.SYNCHRONOUS and not self._queue
        answered: Awaitable[None]
        if at_once and finish is not None and job.observed.context is None:
            self._starting[job] = self._clock.now()
            answered = finish(self._start(job, None))
        else:
            answered = self._callers[job] = asyncio.get_running_loop().create_future()
            if at_once:
                self._launch(job)
            else:
                self._enqueue(job)
        try:
            if timeout is None:
                await answered
            else:
                async with self._clock.timeout(timeout):
                    await answered
        except TimeoutError:
            if fails_at_timeout and job in self._queue:
                self._queue.remove(job)
                message = (
                    f"{job.description}: its start was not sent, because the server did not answer the "
                    f"status request before it within {timeout:g} s"
                )
                job.fail_to_start(APITimeout(message))
        except asyncio.CancelledError:
            # The caller has no handle with which to withdraw the start later. A start that was sent goes on.
            job.outcome_read = self.withdraw(
                job, "the call that started it was cancelled before anything was sent"
            )
            raise
        finally:
            self._callers.pop(job, None)

    def recover(self, job: SlotJob[Any], sent_at: float) -> None:
        """Take over a start that another process has sent, or was about to send, at ``sent_at``.

        The status tells whether the server began it. If it did not, it is sent.
        """
        self.slot.forget()  # the poll that decides must be a new one
        self._launch(job, sent_at)

    def drop(self, job: SlotJob[Any]) -> None:
        """Forget ``job``, unless its start is under way: another process goes on with it."""
        if not self.is_starting(job):
            job.observed.job_left()
            job.observed = NOT_OBSERVED
        self.withdraw(job, "another process goes on with it")
        self.slot.running.pop(job, None)

    async def cancel(self, job: SlotJob[Any]) -> None:
        """Withdraw a queued start, or ask the server to stop the operation if it is still this job's."""
        if self.withdraw(job, "it was cancelled before its start was sent"):
            return
        if job in self._starting and job not in self.slot.running:
            job.cancel_requested = True
            return
        await self.slot.poll()
        # The call takes no id: it stops the operation that has the slot now (server-behaviour: Cancel).
        if job in self.slot.running:
            await self.slot.cancel_running()

    def withdraw(self, job: SlotJob[Any], reason: str) -> bool:
        """End ``job`` if it is still queued; returns whether it was."""
        if job not in self._queue:
            return False
        self._queue.remove(job)
        job.withdraw(reason)
        self._release_caller(job)
        self._changed.set()
        return True

    def is_queued(self, job: SlotJob[Any]) -> bool:
        """Whether the start of ``job`` waits to be sent."""
        return job in self._queue

    def next_start(self) -> SlotJob[Any] | None:
        """The job whose start is sent next, if nothing holds it back now."""
        if not self._queue or self._starting or not self.slot.known_free:
            return None
        job = self._queue[0]
        return None if self._pause_before(job) > 0 else job

    def is_starting(self, job: SlotJob[Any]) -> bool:
        """Whether the start of ``job`` was sent and is not answered."""
        return job in self._starting

    def waiting(self) -> list[SlotJob[Any]]:
        """The jobs that are not admitted."""
        return [*self._queue, *self._starting]

    @property
    def busy(self) -> bool:
        """Whether starts are queued or under way."""
        return bool(self._queue or self._starting)

    @property
    def waiting_for(self) -> WaitingFor | None:  # noqa: PLR0911  # a table
        """Why the next start is not sent at this moment, or else what runs; None: nothing is to be sent."""
        if not (self.busy or self.slot.running):
            return None
        clock, slot = self._clock, self.slot
        now, epoch = clock.now(), clock.time()
        away = slot.availability.unreachable_for
        if away is not None:
            next_try = max(self.poller.due_in(slot), self._busy_until - now)
            return WaitingFor(WaitReason.SERVER_AWAY, since=epoch - away, seconds=next_try)
        if self.dialect is Dialect.SYNCHRONOUS:
            running = list(self._starting.values())
        elif (asked_at := self._asked_at) is not None and now - asked_at > _SLOW_ANSWER:
            return WaitingFor(WaitReason.ANSWER, since=epoch - (now - asked_at))
        else:
            running = [slot.started_at] * len(slot.running)
        if self._queue:
            if not running and slot.latest is not None and slot.latest.status.state is JobState.RUNNING:
                return WaitingFor(WaitReason.SLOT_TAKEN, since=slot.latest.started_at)
            waits = self._queue[0].waits_for
            if waits is not None and waits[0] is WaitReason.SLOT_TAKEN:  # its status says "free" all the same
                return WaitingFor(WaitReason.SLOT_TAKEN, since=epoch - (now - waits[1]))
            start = self._queue[0].start
            if start is not None and start.limiter.opens_in() > 0:
                return start.limiter.waiting_for()
        if not running:
            return None
        return WaitingFor(WaitReason.RUNNING, since=epoch - (now - min(running)), jobs=len(running))

    @property
    def _asked_at(self) -> float | None:
        """When the oldest request was sent that has no answer yet; None: there is none."""
        asked = [*self._starting.values(), *([self.slot.polled_at] if self.slot.polling else [])]
        return min(asked, default=None)

    async def drained(self) -> None:
        """Wait until every queued start has been sent and answered."""
        while self.busy:
            await self._change()

    def unanswered(self) -> list[str]:
        """The names of the starts that were not sent, or not answered."""
        starting = [
            f"{job.description} (sent, not answered)"
            for job in self._starting
            if not job.done and job.row is None
        ]
        queued = [job.description for job in self._queue if job.row is None]  # what has a row is not lost
        return [*self._cut_off, *queued, *starting]

    def abandon(self, reason: str, *, closed: bool) -> None:
        """End every job that was not admitted.

        ``closed``: because the client is closed. Otherwise its event loop has ended.
        """
        while self._queue:
            job = self._queue.popleft()
            if closed:
                job.withdraw(reason)
            else:
                job.cut_off(reason, sent=False)
            self._release_caller(job)
        for job in self._starting:
            if closed:
                job.lose(f"{reason} while its start was being answered; it may have begun")
            else:
                job.cut_off(reason, sent=True)
            self._release_caller(job)
        if closed:
            for job in self.slot.running:
                job.observed.job_left()
            self._changed.set()

    # For the slot's status

    def status_observed(self) -> None:
        """A poll was answered."""
        self._changed.set()

    def status_failed(self, failed: FailedPolls) -> bool:
        """A poll failed. End the starts that wait no longer for the status; return whether others wait."""
        reason = failed.description(self._clock.now())
        for job in self._unresolved:
            if job.gives_up(failed):
                job.lose(f"its start got no answer, and the status cannot be asked: {reason}")
        waiting = [job for job in self._unresolved if not job.done]
        for job in [job for job in self._queue if job.gives_up(failed)]:
            self._fail_unsent(job, failed.error or RuntimeError(), reason)
        if self.slot.availability.has_answered:
            self._release_callers()
        self._changed.set()
        return bool(self._queue or waiting)

    def _fail_unsent(self, job: SlotJob[Any], error: Exception, reason: str) -> None:
        self._queue.remove(job)
        job.fail_unsent(error, reason)
        self._release_caller(job)

    # Callers of starts

    def _release_caller(self, job: SlotJob[Any]) -> None:
        """Let ``submit`` return to the caller that started ``job``."""
        answered = self._callers.pop(job, None)
        if answered is not None and not answered.done() and not answered.get_loop().is_closed():
            answered.set_result(None)

    def _release_callers(self) -> None:
        for job in list(self._callers):
            self._release_caller(job)

    # Queued

    def _enqueue(self, job: SlotJob[Any]) -> None:
        self._queue.append(job)
        self._wake_worker()

    def _return_to_queue(self, job: SlotJob[Any]) -> None:
        """Nothing was admitted: the start of ``job`` is the next to be sent."""
        if job.cancel_requested:
            job.withdraw("it was cancelled before it was admitted")
            return
        self._queue.appendleft(job)
        self._wake_worker()

    def _wake_worker(self) -> None:
        if self._worker is None or self._worker.done():
            self._worker = self._tasks.spawn(self._work(), name=f"lane {self._name}", detached=True)
            self._worker.add_done_callback(self._worker_ended)
        self._changed.set()

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        # Without the worker no start is sent. The jobs that run are followed all the same.
        reason = error if isinstance(error, Exception) else RuntimeError(str(error))
        for job in list(self._queue):
            self._fail_unsent(job, reason, f"{type(reason).__name__}: {reason}")
        self._changed.set()

    async def _work(self) -> None:
        """Send the queued starts, each as soon as slot and rate limit allow it."""
        while self._queue or self._starting:
            if not self._queue or len(self._starting) >= self._width(self._queue[0]):
                await self._change()
                continue
            job = self._queue[0]
            if self.dialect is not Dialect.SYNCHRONOUS and not self.slot.known_free:
                if self.slot.taken:
                    self._release_callers()
                else:
                    self.slot.poll_now()
                self._note_wait_for_slot(job)
                await self._change(polling=True)
                continue
            pause = self._pause_before(job)
            if pause > 0:
                self._release_callers()
                if self._opens_in(job) > 0:
                    job.wait_for(WaitReason.RATE_LIMIT)
                await self._change(within=pause)
                continue
            self._queue.popleft()
            if job.waits_for is not None:
                job.wait_for(None)
            self._launch(job)

    def _note_wait_for_slot(self, job: SlotJob[Any]) -> None:
        """Record why ``job`` waits for the slot. While the status is not known, the reason stays."""
        if self.slot.running:
            job.wait_for(None)
        elif self.slot.failed.count:
            job.wait_for(WaitReason.SERVER_AWAY, self.slot.failed.since)
        elif self.slot.taken:
            job.wait_for(WaitReason.SLOT_TAKEN)

    async def _change(self, *, polling: bool = False, within: float | None = None) -> None:
        """Wait for a change of the queue, of a start or, ``polling``, of the slot's status.

        Waits for ``within`` seconds at most.
        """
        self._changed.clear()
        if polling:
            self.slot.subscribe(None)
        try:
            with suppress(TimeoutError):
                async with self._clock.timeout(within):
                    await self._changed.wait()
        finally:
            if polling:
                self.slot.unsubscribe(None)

    def _width(self, job: SlotJob[Any]) -> int:
        """How many starts may be under way at once, that of ``job`` included."""
        if self.dialect is not Dialect.SYNCHRONOUS or job.start is None:
            return 1
        return job.start.width

    def _opens_in(self, job: SlotJob[Any]) -> float:
        """Seconds until the rate limit allows the start of ``job``."""
        return 0.0 if job.start is None else job.start.limiter.opens_in()

    def _pause_before(self, job: SlotJob[Any]) -> float:
        """Seconds to wait before the start of ``job``."""
        now = self._clock.now()
        pause = max(min(self._opens_in(job), _LONGEST_SLEEP), self._busy_until - now)
        latest = self.slot.latest
        if (
            self.dialect is Dialect.UNCORRELATED
            and latest is not None
            and job.slot_kind.matches(job.params, latest)
        ):
            # Two equal operations that begin within one second would look the same.
            pause = max(pause, self.slot.started_at + _BETWEEN_EQUAL_STARTS - now)
        return pause

    # Starting

    def _launch(self, job: SlotJob[Any], sent_at: float | None = None) -> None:
        """Send the start in its own task. Cancelling the caller does not cancel it."""
        self._starting[job] = self._clock.now()
        self._tasks.spawn(
            self._start(job, sent_at), name=f"start {job.kind.name}", context=job.observed.context
        )

    async def _start(self, job: SlotJob[Any], sent_at: float | None) -> None:
        """Send the start of ``job``, once, and take ``job`` to its next step.

        ``sent_at``: another process has sent it then, so find out whether it began; None: it was not sent.
        """
        try:
            if sent_at is None:
                job.attempts += 1
                job.before = self.slot.latest
                await self._send(job)
            else:
                await self._resolve(job, sent_at)
        except asyncio.CancelledError:
            if not job.done:  # the client was not closed, so the event loop ends
                self._cut_off.append(f"{job.description} (sent, not answered)")
                job.cut_off(LOOP_ENDED, sent=True)
            raise
        except Exception as error:  # noqa: BLE001  # any error belongs to the caller of the start
            job.fail_to_start(error)
        finally:
            self._starting.pop(job, None)
            self._unresolved.discard(job)
            self._release_caller(job)
            self._changed.set()

    async def _send(self, job: SlotJob[Any]) -> None:
        assert job.start is not None  # noqa: S101  # queued jobs have one
        try:
            answer = await job.start.send(job.start.request)
        except RateLimited as error:
            if error.__cause__ is not None and job.attempts >= self._max_attempts:
                raise error.__cause__ from None  # the error of the earlier attempts
            # Nothing was admitted. The limit is known now, so the lane waits until it opens.
            if self._opens_in(job) <= 0:  # no rate limit: the server is busy
                job.wait_for(WaitReason.SLOT_TAKEN)
                self._busy_until = self._clock.now() + (error.retry_after or self.slot.interval)
            self._return_to_queue(job)
        except RequestRefused as refusal:
            self._read_answer(job, refusal.response, refusal)
        except (APIConnectionError, APIStatusError, UnexpectedResponse) as error:
            if error.outcome_unknown:
                name = type(error).__name__
                logger.info(
                    "%s: a start got no answer (%s); asking for the status",
                    self._name,
                    name,
                    extra=fields("start_unanswered", error, service=self._name, kind=job.kind.name),
                )
                await self._resolve(job, self._clock.now(), error)
            elif not self._waits_for_server(job, error):
                raise
        else:
            self._read_answer(job, answer)

    def _read_answer(self, job: SlotJob[Any], answer: Any, refusal: RequestRefused | None = None) -> None:
        """Update ``job`` from the answer to its start.

        ``refusal`` is None when the client's option asks for refusals as results.
        """
        job.unsent_since = None
        kind = cast("SlotKind[Any]", job.kind)
        read = kind.read_start(answer)
        if isinstance(read, StartRefused):
            if read.busy:
                self._slot_was_taken(job)
            elif refusal is not None:
                job.fail_to_start(refusal)
            else:
                job.refuse(answer, read.message)
            return
        if kind.synchronous:
            self.slot.forget()  # the job has used the slot
        else:
            self.dialect = read.dialect
        if read.dialect is Dialect.SYNCHRONOUS:
            job.enter_slot(read.operation_id)
            job.admitted_at = self._starting.get(job, job.admitted_at)  # it ran while its start was answered
            job.complete(answer, read.message)
        else:
            self._admit(job, read.operation_id)

    def _waits_for_server(self, job: SlotJob[Any], error: ReflexioError) -> bool:
        """Queue ``job`` again, because its start did not reach the server; return whether it may wait."""
        if not (self.slot.availability.has_answered and is_away(error)):
            return False
        if job.unsent_since is None:
            job.unsent_since = self._clock.now()
        if job.outage_is_over(job.unsent_since):
            return False
        job.attempts -= 1
        job.wait_for(WaitReason.SERVER_AWAY)
        self._pause_starts()
        self._return_to_queue(job)
        self._release_caller(job)
        return True

    def _slot_was_taken(self, job: SlotJob[Any]) -> None:
        """Another client has the slot. The status may still say "free", so pause before the next start."""
        logger.info(
            "%s: another client has taken the slot; waiting for it",
            self._name,
            extra=fields("slot_taken", service=self._name),
        )
        job.wait_for(WaitReason.SLOT_TAKEN)
        self._pause_starts()
        self._return_to_queue(job)

    def _pause_starts(self) -> None:
        """Ask for the status before the next start, and send that later and later."""
        self.slot.forget()
        pause = min(self.slot.interval * 2.0**self._busy_refusals, _LONGEST_BUSY_PAUSE)
        self._busy_until = self._clock.now() + pause
        self._busy_refusals = min(self._busy_refusals + 1, 10)

    async def _resolve(self, job: SlotJob[Any], sent_by: float, error: ReflexioError | None = None) -> None:
        """Find out from the status whether the server began a start that got no answer.

        Args:
            job: The job.
            sent_by: When the request was sent at the latest.
            error: What came instead of the answer; None: the process that sent it has ended.
        """
        if self.dialect is Dialect.SYNCHRONOUS and error is None:
            job.lose("the process that sent its start has ended, and this server does not tell what ran")
            return
        self._unresolved.add(job)
        while not job.done:
            await self._change(polling=True)
            observed_at = self.slot.observed_at
            if observed_at is None or observed_at <= sent_by:
                continue
            operation = self.slot.latest
            if operation is not None and not operation.is_same(job.before):
                if job.slot_kind.matches(job.params, operation):
                    self._admit(job, operation.id or job.slot_kind.shared_id)
                    job.observe(operation, operation.status, observed_at)
                    if job.done:
                        self.slot.running.pop(job, None)
                else:
                    job.lose("its start got no answer and another operation has the slot")
                return
            if observed_at - sent_by < _VISIBLE_WITHIN:
                continue
            # The server claims the slot before it answers (server-behaviour: Admission), so this start never
            # arrived. But after a timeout the server may still begin it later.
            repeatable = self.dialect is Dialect.CORRELATED and not job.slot_kind.synchronous
            if error is None or (
                repeatable and not isinstance(error, APITimeout) and job.attempts < self._max_attempts
            ):
                logger.info(
                    "%s: the server never began it; sending it again",
                    self._name,
                    extra=fields("start_sent_again", service=self._name, kind=job.kind.name),
                )
                self._return_to_queue(job)
            else:
                job.fail_to_start(error)
            return

    # Admitted

    def _admit(self, job: SlotJob[Any], operation_id: str) -> None:
        self.slot.admit(job, operation_id)
        self._busy_refusals = 0
        if job.cancel_requested:
            self._tasks.spawn(self._cancel_admitted(job), name=f"cancel {job.kind.name}")

    async def _cancel_admitted(self, job: SlotJob[Any]) -> None:
        """Ask for a cancellation that was requested while the start was under way."""
        try:
            await self.cancel(job)
        except ReflexioError as error:
            job.report_not_cancelled(error)
