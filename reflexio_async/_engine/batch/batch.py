"""A batch: the same call for many keys, with one outcome per key."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from reflexio_async._engine.batch.items import Given, Items
from reflexio_async._engine.batch.progress import BatchPlan, BatchProgress
from reflexio_async._engine.batch.report import BatchReport, Outcome, OutcomeState
from reflexio_async._engine.batch.work import Attempt, Work
from reflexio_async._engine.batch.worker import Worker, run_all
from reflexio_async._engine.jobs.record import with_message, without_traceback
from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async._engine.jobs.waits import WaitingFor, WaitReason
from reflexio_async._engine.logs import fields
from reflexio_async._engine.loops import LOOP_ENDED
from reflexio_async._engine.option_checks import is_asynchronous, positive_count, true_or_false
from reflexio_async._engine.retry import is_away
from reflexio_async.errors import (
    APIConnectionError,
    APIStatusError,
    BatchInterrupted,
    ClientClosed,
    InvalidRequest,
    JobCancelled,
    JobLost,
    JobTimeout,
    RequestRefused,
    UnexpectedResponse,
    Withdrawn,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
    from types import TracebackType

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.loops import LoopScope
    from reflexio_async._engine.tasks import TaskTracker

K = TypeVar("K")
T = TypeVar("T")
logger = logging.getLogger("reflexio_async")

_UNREAD_OUTCOMES = 1024  # a streamed batch pauses when so many outcomes were not read yet
_RECENT = 20  # jobs whose time at the server is an estimate for the others
_EXITS = (KeyboardInterrupt, SystemExit)


class _Exit(Exception):  # it ends the workers, and is no error
    """The caller's iterable has raised one of ``_EXITS``."""


class Batch(Generic[K, T]):
    """Many calls at once: ``await`` it for a BatchReport, or stream its outcomes.

    Streaming is ``async with batch: async for outcome in batch: ...``. Leaving the ``async with`` block early
    withdraws what was not started. ``run`` is the same as ``await``, as a coroutine function.

    Raises:
        RuntimeError: It was run before, or it is streamed outside ``async with``.
        BatchInterrupted: The caller's iterable raised an error. The outcomes so far are in its ``report``.
            KeyboardInterrupt and SystemExit are raised as they are, at once. The log names what was under
            way.
        ClientClosed: The client was closed.
    """

    def __init__(self, work: Work[K, T], given: Given, clock: Clock, tasks: TaskTracker) -> None:
        positive_count("concurrency", work.width)
        true_or_false("fail_fast", work.fail_fast)
        hook = work.on_progress
        if hook is not None and (not callable(hook) or is_asynchronous(hook)):
            message = f"on_progress must be a plain function of one BatchProgress, not {hook!r:.40}"
            raise InvalidRequest(message)
        self._work = work
        self._clock = clock
        self._tasks = tasks
        self._items: Items[Any] = Items(work.name, given, work.check, work.key)
        self._attempts: dict[K, Attempt[T]] = {}
        self._counts: Counter[OutcomeState] = Counter()
        self._running_times: deque[float] = deque(maxlen=_RECENT)
        """Seconds that the latest jobs ran."""
        self._began: float | None = None
        self._used = False
        self._stopped = asyncio.Event()
        """Set when nothing more may be started."""
        self._server_away: BaseException | None = None
        """Why the rest is not started."""
        self._on_progress = work.on_progress
        self._source_error: BaseException | None = None
        self._report: BatchReport[K, T] = BatchReport(
            self._retry, name=work.name, batch_id=self.id, server=work.availability.url
        )
        self._unread: asyncio.Queue[Outcome[K, T] | None] | None = None
        self._runner: asyncio.Task[None] | None = None
        self._scope: LoopScope  # from its beginning

    @property
    def plan(self) -> BatchPlan:
        """An estimate before the start."""
        self._used = True
        return BatchPlan.of(self._items.total, self._work.per_minute)

    @property
    def progress(self) -> BatchProgress:
        """How far the batch is now, without I/O."""
        done = sum(self._counts.values())
        seconds = 0.0 if self._began is None else self._clock.now() - self._began
        total = self._items.total
        eta = None
        waiting_for = self._waiting_for()
        if total is not None and total > done:
            # A known limit decides: the first window is faster than the average.
            eta = self._work.rate_limiter.seconds_for(total - done)
            if self._work.lane_waits_for is not None and self._running_times:
                # Slow jobs decide, where one runs at a time. In a store, some had ended before this run.
                mean = sum(self._running_times) / len(self._running_times)
                at_once = 1 if waiting_for is None else max(1, waiting_for.jobs)
                eta = max(eta or 0.0, (total - done) * mean / at_once)
            elif eta is None and done:
                eta = (total - done) * seconds / done
        counts = {state.value: count for state, count in self._counts.items()}
        is_away = waiting_for is not None and waiting_for.reason is WaitReason.SERVER_AWAY
        if is_away or self._stopped.is_set():
            eta = None
        return BatchProgress(total, done, len(self._attempts), counts, seconds, eta, waiting_for)

    def _waiting_for(self) -> WaitingFor | None:
        if not self._attempts:
            return None
        if self._work.lane_waits_for is not None:
            return self._work.lane_waits_for()
        unreachable, limiter = self._work.availability.unreachable_for, self._work.rate_limiter
        if unreachable is not None:
            return WaitingFor(WaitReason.SERVER_AWAY, since=self._clock.time() - unreachable)
        if limiter.opens_in() > 0:
            return limiter.waiting_for()
        return WaitingFor(WaitReason.RUNNING, jobs=len(self._attempts))

    @property
    def id(self) -> str | None:
        """The id with which it can be continued (``batch_id``); None without a store."""
        return None if self._work.stored is None else self._work.stored.id

    @property
    def upgrade(self) -> Any:
        """The answer of the promotion that ``upgrade=True`` asked for; None until it was made."""
        return self._report.upgrade

    def report_of(self, outcomes: Iterable[Outcome[K, T]]) -> BatchReport[K, T]:
        """The report of this batch, where it was streamed: with the ``outcomes`` that the caller has kept."""
        report, total = self._report, self._items.total
        report.outcomes, report.seconds = list(outcomes), self.progress.seconds
        report.interrupted = report.interrupted or (total is not None and len(report.outcomes) < total)
        return report

    def retry_failed(self) -> Self:
        """Let this batch of a store run those of its keys again that have not completed. Return it.

        It is called before the batch begins. Without a store, ``report.retry_failed()`` makes another batch.

        Raises:
            InvalidRequest: The client has no store.
        """
        if self._work.stored is None:
            message = "retry_failed: only a store remembers a batch; use retry_failed() of the report"
            raise InvalidRequest(message)
        self._work = replace(self._work, again=True)
        return self

    def stop(self) -> None:
        """Start nothing more. Queued starts are withdrawn; what runs at the server is still awaited.

        In a store they are withdrawn for all processes, and queued again when the batch is continued. An
        asynchronous iterable that waits for its next item is cancelled.
        """
        self._tasks.loops.check()
        if self._stopped.is_set():
            return
        self.start_nothing_more()
        if not self._tasks.loops.closed:
            self._tasks.spawn(self._withdraw(), name=f"withdraw {self._work.name}")

    async def _withdraw(self) -> None:
        jobs = [attempt.job for attempt in self._attempts.values() if attempt.job is not None]
        withdrawing = [job.cancel() for job in jobs if job.status.state is JobState.QUEUED]
        if self._work.stored is not None:
            withdrawing.append(self._work.stored.stop())
        for error in await asyncio.gather(*withdrawing, return_exceptions=True):
            if isinstance(error, Exception):
                self._tasks.report(f"withdrawing {self._work.name}", error)

    def __del__(self) -> None:
        # Like Python's warning for a coroutine that was never awaited. No error if only ``plan`` was read.
        if getattr(self, "_began", 0.0) is None and not self._used:
            logger.error(
                "A batch of %s was dropped, and nothing was sent. Await it, stream it with `async with`, "
                "or give its coroutine function `run` to a background task: add_task(batch.run)",
                self._work.name,
                extra=fields("batch_dropped", batch=self._work.name),
            )

    def __await__(self) -> Generator[Any, Any, BatchReport[K, T]]:
        return self.run().__await__()

    async def __aenter__(self) -> Self:
        self._begin()
        self._unread = asyncio.Queue(_UNREAD_OUTCOMES)
        self._runner = self._tasks.spawn(self._stream(self._unread), name=self._work.name)
        self._runner.add_done_callback(self._ended_on_loop)
        return self

    def __aiter__(self) -> AsyncIterator[Outcome[K, T]]:
        if self._unread is None:
            self._used = True
            message = "stream a batch inside 'async with batch:', or await it for its report"
            raise RuntimeError(message)
        return self

    async def __anext__(self) -> Outcome[K, T]:
        assert self._unread is not None  # noqa: S101  # __aiter__ has checked it
        assert self._runner is not None  # noqa: S101
        self._tasks.loops.check()
        if not self._runner.done() and self._runner.get_loop().is_closed():
            message = f"the batch of {self._work.name}: {LOOP_ENDED} while it was being read"
            raise ClientClosed(message)
        outcome = None if self._runner.done() and self._unread.empty() else await self._unread.get()
        if outcome is not None:
            return outcome
        if not self._unread.full():
            self._unread.put_nowait(None)  # for other readers of the same stream
        await asyncio.wait([self._runner])
        if self._runner.cancelled():
            message = "the client was closed while this batch was being read"
            raise ClientClosed(message)
        self._runner.result()
        self._raise_source_error()
        raise StopAsyncIteration

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None  # noqa: S101  # __aenter__ made it
        self._tasks.loops.check()
        if not self._runner.done() and self._runner.get_loop().is_closed():
            return
        self._runner.cancel()
        await asyncio.wait([self._runner])
        if (
            not self._runner.cancelled()
            and (failure := self._runner.exception()) is not None
            and failure is not error
        ):
            self._tasks.report(self._work.name, failure)

    async def run(self) -> BatchReport[K, T]:
        """Do the work for every key; the same as ``await batch``."""
        self._begin()
        try:
            return await self._whole()
        finally:
            self._ended_on_loop()

    async def _whole(self) -> BatchReport[K, T]:
        report = self._report
        await self._run(self._keep)
        report.seconds = self.progress.seconds
        if self._work.finish is not None and self._may_promote:
            try:
                report.upgrade = await self._work.finish()
            except Exception as error:  # noqa: BLE001  # the outcomes must reach the caller all the same
                report.upgrade_error = without_traceback(error)
        self._raise_source_error()
        return report

    async def _keep(self, outcome: Outcome[K, T]) -> None:
        self._report.outcomes.append(outcome)

    async def _stream(self, unread: asyncio.Queue[Outcome[K, T] | None]) -> None:
        try:
            await self._run(unread.put)
            if self._work.finish is not None and self._may_promote:
                self._report.upgrade = await self._work.finish()
        finally:
            if not unread.full():
                unread.put_nowait(None)

    def _begin(self) -> None:
        self._used = True
        if self._began is not None:
            message = "a batch runs once; report.retry_failed() makes another"
            raise RuntimeError(message)
        self._scope = self._tasks.loops.enter()
        self._scope.batches[self] = None
        self._work.availability.watchers.add(self._report_progress)
        self._began = self._clock.now()
        self._report.began_at = self._clock.time()
        self._report_progress()

    def _ended_on_loop(self, _: object = None) -> None:
        self._scope.batches.pop(self, None)
        self._work.availability.watchers.discard(self._report_progress)
        self._scope.ended()

    @property
    def description(self) -> str:
        """What it goes over, and how far it is, for messages."""
        total = "" if self._items.total is None else f" of {self._items.total}"
        return f"{self._work.name} ({sum(self._counts.values())}{total} done)"

    def start_nothing_more(self) -> None:
        """Leave the rest as not started, because the client is closed or its event loop has ended."""
        self._stopped.set()
        self._items.stop()

    async def _run(self, emit: Callable[[Outcome[K, T]], Awaitable[None]]) -> None:
        if self._work.stored is not None:
            await self._work.stored.begin(self._items.rest(), again=self._work.again)
        with self._tasks.observer.batch(self._work.name, self._counts):
            await self._run_items(emit)

    async def _run_items(self, emit: Callable[[Outcome[K, T]], Awaitable[None]]) -> None:
        width = min(self._work.width, self._items.total or self._work.width)
        workers = [Worker(self._tasks.loops) for _ in range(width)]
        for worker in workers:
            worker.task = asyncio.create_task(self._work_on(worker, emit), name=self._work.name)
        with suppress(_Exit):
            await run_all(workers)
        try:
            await self._items.aclose()
        except (Exception, *_EXITS) as error:  # noqa: BLE001  # the caller's own generator; the outcomes must reach the caller
            self._source_error = self._source_error or error
        for item in self._items.rest() or ():
            await self._ended(emit, self._not_started(item))
        self._report.limit = self._work.rate_limiter.limit
        # The rest of a collection that was stopped has outcomes.
        self._report.interrupted = self._source_error is not None or (
            self._stopped.is_set() and self._items.total is None
        )

    @property
    def _may_promote(self) -> bool:
        """Whether all that was asked for completed. A promotion is of the whole organisation."""
        return not self._report.interrupted and set(self._counts) == {OutcomeState.COMPLETED}

    async def _work_on(self, worker: Worker, emit: Callable[[Outcome[K, T]], Awaitable[None]]) -> None:
        worker.task = cast("asyncio.Task[None]", asyncio.current_task())  # an eager one is not returned yet
        while not self._stopped.is_set() and self._source_error is None:
            try:
                raw = await self._items.pull()
            except StopAsyncIteration:
                return
            except asyncio.CancelledError as error:
                if worker.task.cancelling():
                    raise
                # Of the caller's own iterable: nobody has cancelled this batch.
                self._source_error = error
                return
            except Exception as error:  # noqa: BLE001  # of the caller's own iterable; raised when the rest has ended
                self._source_error = error
                return
            except _EXITS as error:
                # It is for the caller. From this task it would end the event loop at once.
                self._source_error = error
                self._log_cut_short(error)
                raise _Exit from None
            await self._ended(emit, await self._outcome_of(raw, worker))

    async def _outcome_of(self, raw: Any, worker: Worker) -> Outcome[K, T]:
        try:
            item = self._items.checked(raw)
            key: K = self._work.key(item)
        except Exception as error:  # noqa: BLE001  # one bad key must not stop the others
            failed = without_traceback(error)
            return Outcome(raw, OutcomeState.FAILED, error=failed, ended_at=self._clock.time(), item=raw)
        if self._stopped.is_set():
            return self._not_started(item)
        if key in self._attempts:
            duplicate = InvalidRequest(f"{key!r} is already under way in this batch")
            now = self._clock.time()
            return Outcome(key, OutcomeState.FAILED, error=duplicate, ended_at=now, item=item)
        attempt = self._attempts[key] = Attempt(self._stopped, worker)
        error_: BaseException | None = None
        try:
            await self._work.process_item(item, attempt)
        except Exception as error:  # noqa: BLE001  # any error is this key's outcome
            # A traceback would keep the frames of the whole call, for every key that failed.
            error_ = without_traceback(error)
        finally:
            del self._attempts[key]
        job = attempt.job
        state = OutcomeState.COMPLETED if error_ is None else _state_of(error_)
        is_at_server = job is not None and job.id is not None
        if state is OutcomeState.CANCELLED and self._server_away is not None and not is_at_server:
            # It was withdrawn, because the batch has stopped.
            state, error_ = OutcomeState.NOT_STARTED, self._server_away
        elif error_ is not None and job is not None:
            if job.status.state is JobState.LOST:
                state = OutcomeState.LOST  # admitted, but asking for its status was refused
            elif state is OutcomeState.FAILED and not attempt.attempts:
                state = OutcomeState.NOT_STARTED
        return Outcome(
            key,
            state,
            result=attempt.result,
            error=error_,
            seconds_queued=attempt.seconds_queued,
            seconds_running=attempt.seconds_running,
            attempts=attempt.attempts,
            ended_at=self._clock.time() if attempt.ended_at is None else attempt.ended_at,
            waits=attempt.waits,
            token=None if job is None or error_ is None else job.token,
            item=item,
        )

    async def _ended(self, emit: Callable[[Outcome[K, T]], Awaitable[None]], outcome: Outcome[K, T]) -> None:
        self._counts[outcome.state] += 1
        if outcome.state is OutcomeState.COMPLETED:
            self._running_times.append(outcome.seconds_running)
        if self._tasks.observer.is_on:
            self._tasks.observer.batch_outcome(self._work.name, outcome.state)
        error = outcome.error
        if (
            isinstance(error, Exception)
            and not self._stopped.is_set()
            and self._ends_batch(outcome.state, error)
        ):
            logger.warning(
                "%s: the rest is not started: %s",
                self.description,
                error,
                extra=fields("batch_stopped", error, batch=self._work.name),
            )
            self._server_away = with_message(
                error, f"not started, as an earlier one met: {error}", sent=False
            )
            self.stop()
        if self._work.fail_fast and outcome.state is not OutcomeState.COMPLETED:
            self.stop()
        self._report_progress()
        await emit(outcome)

    def _ends_batch(self, state: OutcomeState, error: Exception) -> bool:
        """Whether the server is away, and has been for the ``outage_timeout``."""
        if state is OutcomeState.LOST:
            away = self._work.availability.unreachable_for
            return is_away(error) and away is not None and away >= self._work.outage_timeout
        return state is OutcomeState.NOT_STARTED

    def _not_started(self, item: Any) -> Outcome[K, T]:
        key, now = self._work.key(item), self._clock.time()
        if self._server_away is not None:
            return Outcome(key, OutcomeState.NOT_STARTED, error=self._server_away, ended_at=now, item=item)
        error = JobCancelled(
            f"{key}: not started, the batch was stopped", status=JobStatus(JobState.CANCELLED)
        )
        return Outcome(key, OutcomeState.CANCELLED, error=error, ended_at=now, item=item)

    def _report_progress(self) -> None:
        if self._on_progress is None:
            return
        try:
            self._on_progress(self.progress)
        except Exception:
            logger.exception(
                "on_progress failed; the batch goes on without it",
                extra=fields("hook_failed", call="on_progress"),
            )
            self._on_progress = None

    def _log_cut_short(self, reason: BaseException) -> None:
        """Name what is under way, because ``reason`` ends the batch before it ends."""
        tokens = {key: attempt.job and attempt.job.token for key, attempt in self._attempts.items()}
        if tokens:
            names = ", ".join(f"{key} ({token})" if token else str(key) for key, token in tokens.items())
            logger.warning(
                "%s: %s ended it; what was sent goes on at the server. Under way were: %s",
                self.description,
                type(reason).__name__,
                printable(names),
                extra=fields("batch_cut_short", reason, batch=self._work.name),
            )

    def _raise_source_error(self) -> None:
        if isinstance(self._source_error, _EXITS):
            raise self._source_error
        if self._source_error is not None:
            done = sum(self._counts.values())
            message = (
                f"the iterable {self._work.name} raised {self._source_error!r}; "
                f"the {done} items before it were finished: see error.report"
            )
            raise BatchInterrupted(message, report=self._report) from self._source_error

    def _retry(self, items: list[Any]) -> Batch[K, T]:
        return Batch(replace(self._work, again=True), items, self._clock, self._tasks)


def _state_of(error: BaseException) -> OutcomeState:
    match error:
        case JobTimeout():
            return OutcomeState.TIMED_OUT
        case JobCancelled() | Withdrawn() | ClientClosed(outcome_unknown=False):
            return OutcomeState.CANCELLED
        case JobLost() | ClientClosed() | RequestRefused(repeated=True):
            return OutcomeState.LOST
        case APIConnectionError() | APIStatusError() | UnexpectedResponse() if error.outcome_unknown:
            return OutcomeState.LOST
        case APIConnectionError() | APIStatusError() | UnexpectedResponse() if is_away(error):
            return OutcomeState.NOT_STARTED
        case _:
            return OutcomeState.FAILED
