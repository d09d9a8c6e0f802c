"""The awaitable handle of a server-side job, and waiting for many of them."""

from __future__ import annotations

import asyncio
import inspect
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, NoReturn, Self, TypeVar, cast, overload

from reflexio_async._engine.jobs.poller import SHORTEST_INTERVAL
from reflexio_async._engine.option_checks import positive_seconds, true_or_false
from reflexio_async.errors import (
    ClientClosed,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    JobTimeout,
    ReflexioError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterable

    from reflexio_async._engine.jobs.record import JobRecord
    from reflexio_async._engine.jobs.status import JobStatus
    from reflexio_async._engine.jobs.waits import JobWait
    from reflexio_async._engine.models import Polling

T = TypeVar("T")
logger = logging.getLogger("reflexio_async")

_MOMENT = 0.001  # seconds


class JobTiming(NamedTuple):
    """How long a job has taken so far, in seconds, and how often its start was sent.

    Attributes:
        queued: Seconds of waiting here to be sent.
        running: Seconds since the server accepted it.
        attempts: How often its start was sent.
        ended_at: When its end was seen, in epoch seconds; None: it has not ended.
        waits: What it waited for, apart from the jobs before it.
    """

    queued: float
    running: float
    attempts: int
    ended_at: float | None
    waits: tuple[JobWait, ...]


class Job(Generic[T]):
    """A job at the server: ``await`` it for its result. The server goes on with it if you drop the handle.

    A waiter that is cancelled or times out does not affect other waiters or the job. The result is kept, so
    awaiting again sends nothing.
    """

    __slots__ = ("__weakref__", "_record")

    def __init__(self, record: JobRecord[T]) -> None:
        self._record = record

    @property
    def id(self) -> str | None:
        """The server's id; None before admission."""
        return self._record.id

    @property
    def job_id(self) -> str | None:
        """The same as ``id``, under the official client's name of it in a regeneration."""
        return self.id

    @property
    def operation_id(self) -> str | None:
        """The same as ``id``, under the official client's name of it in a rerun or an aggregation."""
        return self.id

    @property
    def total(self) -> int | None:
        """How many users or sessions it goes over, as far as the server has said."""
        status = self._record.status
        total: int | None = status.raw.get("total", status.total_users)
        return total

    @property
    def kind(self) -> str:
        """The name of its kind, such as ``profile_rerun``."""
        return self._record.kind.name

    @property
    def token(self) -> str | None:
        """Text for ``client.job``, without secrets; None before admission, unless the client has a store."""
        return self._record.token_text

    @property
    def status(self) -> JobStatus:
        """The last snapshot, without I/O."""
        return self._record.status

    @property
    def timing(self) -> JobTiming:
        """How long it was queued and has run, without I/O."""
        record = self._record
        now = record.now() if record.ended_at is None else record.ended_at
        admitted = now if record.admitted_at is None else record.admitted_at
        ended_at = None if record.ended_at is None else record.epoch(record.ended_at)
        queued, running = admitted - record.created_at, now - admitted
        return JobTiming(queued, running, record.attempts, ended_at, record.waits_so_far())

    def __await__(self) -> Generator[Any, Any, T]:
        return self.result().__await__()

    async def result(self, *, poll_interval: float | None = None, wait_timeout: float | None = None) -> T:
        """Wait for the result, at most until the timeout.

        Args:
            poll_interval: Seconds between status requests for this waiter. The client does not send them more
                often for it. None: soon after the start, then less and less often up to the kind's own
                interval. 0: every 0.05 seconds, as often as is allowed.
            wait_timeout: Seconds this call may take, queueing included. None: the kind's own timeout,
                counted from admission or from this call, whichever is later. 0: ask for the status once.

        Raises:
            JobTimeout: The wait ran out; the server goes on, and the error holds the resume token.
            JobFailed: The server reports failure.
            JobCancelled: It was cancelled.
            JobLost: The outcome can no longer be learned.
            ClientClosed: The client it came from was closed before this call, or the event loop ended.
            ConfigurationError: The client belongs to another event loop, which is still open.
            ReflexioError: Its start, or asking for its status, was refused or failed.
        """
        check_waiting(poll_interval, wait_timeout, zero=True)
        record = self._record
        if record.done:
            record.check_loop()
        elif wait_timeout == 0:
            await record.look()
        else:
            interval = SHORTEST_INTERVAL if poll_interval == 0 else poll_interval
            await record.wait(interval=interval, timeout=wait_timeout)
        record.outcome_read = record.done
        return record.outcome(wait_timeout)

    async def result_within(self, wait_timeout: float | None, *, poll_interval: float | None) -> T:
        """Wait like ``result``; ``wait_timeout`` counts from the beginning of the call that made the job."""
        left = wait_timeout
        if wait_timeout:
            left = max(wait_timeout - (self._record.now() - self._record.created_at), _MOMENT)
        try:
            return await self.result(poll_interval=poll_interval, wait_timeout=left)
        except JobTimeout:
            raise self._record.timed_out(wait_timeout) from None

    async def wait_in_call(self, request: Polling) -> T:
        """The result, for a call with ``wait_for_response=True`` and the options of ``request``.

        When the wait ends early, a start that is still queued is withdrawn: its caller has no handle, and it
        would be sent later. Where the client does not want refusals raised, a rerun that failed is a response
        that says so.
        """
        scope, task = self._record.loop_scope(), cast("asyncio.Task[Any]", asyncio.current_task())
        scope.job_calls[task] = self.kind  # the client waits for it when it is closed
        try:
            return await self.result_within(request.wait_timeout, poll_interval=request.poll_interval)
        except asyncio.CancelledError:
            await self._record.withdraw_start("the call that started it was cancelled")
            raise
        except JobTimeout:
            if await self._record.withdraw_start("the call that started it timed out"):
                raise self._record.timed_out(request.wait_timeout) from None
            raise
        except (JobFailed, JobCancelled) as error:
            response = self._record.as_response(error)
            if response is None:
                raise
            return response
        finally:
            del scope.job_calls[task]
            scope.ended()

    async def admitted(self) -> None:
        """Wait until the server has accepted the start, from when on every process can resume the ``token``.

        Returns at once if it was accepted before. A caller that is cancelled withdraws nothing. A job of a
        store can be resumed before, too.

        Raises:
            ReflexioError: The start was refused, could not be sent, or was withdrawn (``JobCancelled``).
        """
        record = self._record
        record.check_loop()
        while record.id is None and not record.done:
            await record.wait(for_change=True)
        if record.id is None and record.error is not None:
            record.outcome_read = True
            record.outcome()

    async def settled(self) -> JobStatus:
        """Wait like ``await job``, but return the last status instead of a result or an error."""
        self._record.check_loop()
        if not self._record.done:
            await self._record.wait()
        return self._record.status

    async def refresh(self) -> JobStatus:
        """Ask the server once and return the new status.

        For a queued job nothing is sent, because the server does not know it. In a store, its row is read.
        """
        self._record.check_loop()
        if not self._record.done:
            await self._record.refresh()
        return self._record.status

    async def cancel(self) -> None:
        """Withdraw the start if it is still queued here, else ask the server to stop the job.

        The server may finish it all the same: it looks at the request only between two users, so a job of
        one user always completes. Wait for the job to learn how it ended.
        """
        self._record.check_loop()
        if not self._record.done:
            await self._record.cancel()

    @asynccontextmanager
    async def linked(self) -> AsyncGenerator[Self]:
        """``async with job.linked():`` ties the job to the block.

        When an error or a cancellation ends the block, the job is cancelled as by ``cancel``: a start that
        was not sent is withdrawn, and the server is asked to stop the job if the slot is still its own. The
        block ends when that has been asked.
        """
        try:
            yield self
        except (Exception, asyncio.CancelledError):
            if not self._record.done:
                # In a task of its own: this one may be cancelled again.
                asked = self._record.spawn(self.cancel(), f"cancel {self.kind}")
                try:
                    await asyncio.shield(asked)
                except ReflexioError as error:
                    self._record.report_not_cancelled(error)
            raise

    def check_start(self) -> None:
        """Raise the error if the start was refused or failed."""
        record = self._record
        if record.error is not None and record.id is None and not isinstance(record.error, JobCancelled):
            record.outcome_read = True
            record.outcome()

    async def watch(self) -> AsyncGenerator[JobStatus]:
        """``async for status in job.watch()``: the present status, then every change, the final one last.

        The server is asked only while the next status is awaited. There is no timeout; use
        ``asyncio.timeout`` for one.
        """
        record = self._record
        record.check_loop()
        status = record.status
        while not status.done:
            yield status
            while record.status is status:
                await record.wait(for_change=True)
            status = record.status
        record.outcome_read = True
        yield status

    def __reduce__(self) -> NoReturn:
        # For pickle, copy.copy and copy.deepcopy.
        message = (
            f"a {type(self).__name__} cannot be copied or pickled: it belongs to its client. Keep its "
            "job.token, and make the job of it where it is needed: client.job(token)"
        )
        raise TypeError(message)

    def __repr__(self) -> str:
        return f"<Job {self.kind} {self.id or 'not admitted'} {self.status.state}>"


def check_waiting(poll_interval: float | None, wait_timeout: float | None, *, zero: bool = False) -> None:
    """Raise InvalidRequest unless both are None or a finite, positive number of seconds.

    ``zero``: zero is allowed too.
    """
    if poll_interval is not None:
        positive_seconds("poll_interval", poll_interval, zero=zero)
    if wait_timeout is not None:
        positive_seconds("wait_timeout", wait_timeout, zero=zero)


def as_completed(jobs: Iterable[Job[T]]) -> AsyncGenerator[Job[T]]:
    """Yield each job as it ends, whatever its outcome; for ``async for``.

    Awaiting a job that was yielded returns its result or raises its error at once. Only a job that was
    yielded because its default timeout ran out waits again.
    """
    return _as_completed(_checked(jobs, "as_completed"))


async def _as_completed(jobs: list[Job[T]]) -> AsyncGenerator[Job[T]]:
    ended: asyncio.Queue[Job[T]] = asyncio.Queue()

    async def wait_for(job: Job[T]) -> None:
        with suppress(ClientClosed):  # awaiting the job raises it again
            await job.settled()
        ended.put_nowait(job)

    tasks = [asyncio.create_task(wait_for(job)) for job in jobs]
    try:
        for _ in jobs:
            yield await ended.get()
    finally:
        for task in tasks:
            task.cancel()


@overload
async def gather_jobs(jobs: Iterable[Job[T]], *, return_exceptions: Literal[False] = False) -> list[T]: ...
@overload
async def gather_jobs(jobs: Iterable[Job[T]], *, return_exceptions: bool) -> list[T | BaseException]: ...
async def gather_jobs(jobs: Iterable[Job[T]], *, return_exceptions: bool = False) -> list[Any]:
    """Wait for all ``jobs``; returns the results in the same order.

    The first error is raised, unless ``return_exceptions`` puts errors in the places of results. The jobs
    themselves go on either way.

    Raises:
        InvalidRequest: ``jobs`` are not jobs. Starts that were not awaited are closed, so nothing is sent.
    """
    true_or_false("return_exceptions", return_exceptions)
    records = [job._record for job in _checked(jobs, "gather_jobs")]  # noqa: SLF001  # of this file

    async def outcome_of(record: JobRecord[T]) -> T:
        if not record.done:
            await record.wait()
        return record.outcome()

    tasks = [asyncio.create_task(outcome_of(record)) for record in records]
    results_delivered = True
    try:
        return await asyncio.gather(*tasks, return_exceptions=return_exceptions)
    except asyncio.CancelledError:
        results_delivered = False
        raise
    finally:
        for record in records:
            record.outcome_read = record.outcome_read or (results_delivered and record.done)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _checked(jobs: Iterable[Job[T]], name: str) -> list[Job[T]]:
    try:
        checked = list(jobs)
    except TypeError:
        message = f"{name} takes an iterable of jobs, not {type(jobs).__name__}"
        raise InvalidRequest(message) from None
    for job in checked:
        if isinstance(job, Job):
            job._record.check_loop()  # noqa: SLF001  # of this file
        else:
            for start in checked:
                if inspect.iscoroutine(start):
                    start.close()  # else Python warns that it was never awaited
            message = (
                f"{name} takes jobs, not {type(job).__name__}; await each start first, which returns its job"
            )
            raise InvalidRequest(message)
    return checked
