"""The awaitable handle of a server-side job, and waiting for many of them."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from reflexio_async._engine.jobs.record import Until
from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async._engine.settings import positive_seconds
from reflexio_async.errors import InvalidRequest, JobCancelled

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from reflexio_async._engine.jobs.record import Record

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobTiming:
    """Seconds a job was queued here and has run at the server so far, and how often its start was sent."""

    queued: float
    running: float
    attempts: int


class Job(Generic[T]):
    """A job at the server: ``await`` it for its result, or drop it and it runs on.

    A waiter that is cancelled or times out disturbs neither other waiters nor the server's job; the
    result is kept, so awaiting again costs nothing.
    """

    __slots__ = ("__weakref__", "_record")

    def __init__(self, record: Record[T]) -> None:
        self._record = record

    @property
    def id(self) -> str | None:
        """The server's id; None before admission."""
        return self._record.id

    @property
    def kind(self) -> str:
        """What kind of job this is, such as ``profile_rerun``."""
        return self._record.kind.name

    @property
    def token(self) -> str | None:
        """Text for ``client.resume_job``, without secrets; None before admission."""
        return self._record.token_text

    @property
    def status(self) -> JobStatus:
        """The last snapshot, without I/O."""
        return self._record.status

    @property
    def timing(self) -> JobTiming:
        """How long it was queued and has run, without I/O."""
        record = self._record
        now = record.waiting.clock.now() if record.ended_at is None else record.ended_at
        admitted = now if record.admitted_at is None else record.admitted_at
        return JobTiming(admitted - record.created_at, now - admitted, record.attempts)

    def __await__(self) -> Generator[Any, Any, T]:
        record = self._record
        if record.done:
            return self.result().__await__()
        return record.wait(None, None).__await__()

    async def result(self, *, poll_interval: float | None = None, wait_timeout: float | None = None) -> T:
        """The result, waiting for it as long as it takes but at most the timeout.

        Args:
            poll_interval: Seconds between status requests on behalf of this waiter, never undercut.
                None: soon after the start, then less and less often up to the kind's own interval.
            wait_timeout: Seconds this call may take, queueing included. None: the kind's own timeout,
                counted from admission or from this call, whichever is later.

        Raises:
            JobTimeout: The wait ran out; the server goes on, and the error holds the resume token.
            JobFailed: The server reports failure.
            JobCancelled: It was cancelled.
            JobLost: The outcome can no longer be learned.
            ClientClosed: The client it came from was closed before this call.
            ReflexioError: Its start, or asking for its status, was refused or failed.
        """
        check_waiting(poll_interval, wait_timeout)
        record = self._record
        if not record.done:
            result: T = await record.wait(poll_interval, wait_timeout)
            return result
        return record.outcome()

    async def settled(self) -> JobStatus:
        """Wait like ``await job``, but return the last status instead of a result or an error."""
        if not self._record.done:
            await self._record.wait(None, None, Until.END)
        return self._record.status

    async def refresh(self) -> JobStatus:
        """Ask the server once and return what it says. A queued job is not known there yet."""
        if self._record.status.state is JobState.RUNNING:
            await self._record.feed.refresh(self._record)
        return self._record.status

    async def cancel(self) -> None:
        """Withdraw the start if it is still queued here, else ask the server to stop.

        Asking is all that can be done: whether it was cancelled is learned by waiting. A server looks
        at the request only between users, so a job of one user completes all the same.
        """
        if not self._record.done:
            await self._record.feed.cancel(self._record)

    def check_start(self) -> None:
        """Raise the error of a start that was answered with one."""
        record = self._record
        if record.error is not None and record.id is None and not isinstance(record.error, JobCancelled):
            record.outcome()

    def watch(self) -> JobWatch:
        """``async for status in job.watch()``: the present status, then every change, the final one last.

        It goes on for as long as the job does; bound it with ``asyncio.timeout`` if that is too long.
        """
        return JobWatch(self._record)

    def __repr__(self) -> str:
        return f"<Job {self.kind} {self.id or 'not admitted'} {self.status.state}>"


class JobWatch:
    """The statuses of one job; the server is asked only while the next one is awaited."""

    def __init__(self, record: Record[Any]) -> None:
        self._record = record
        self._shown: JobStatus | None = None

    def __aiter__(self) -> JobWatch:
        return self

    async def __anext__(self) -> JobStatus:
        record = self._record
        if self._shown is not None and self._shown.done:
            raise StopAsyncIteration
        while record.status is self._shown:
            await record.wait(None, None, Until.CHANGE)
        self._shown = record.status
        if record.done:
            record.seen += 1
        return self._shown


def check_waiting(poll_interval: float | None, wait_timeout: float | None) -> None:
    """Both are finite, positive numbers of seconds or None, else InvalidRequest."""
    if poll_interval is not None:
        positive_seconds("poll_interval", poll_interval)
    if wait_timeout is not None:
        positive_seconds("wait_timeout", wait_timeout)


class as_completed(Generic[T]):  # noqa: N801  # named and used like asyncio.as_completed
    """``async for job in as_completed(jobs)``: each job as it ends, whatever its outcome.

    Awaiting a job that was yielded returns its result or raises its error at once; only one that was
    yielded because its default timeout ran out waits again.
    """

    def __init__(self, jobs: Iterable[Job[T]]) -> None:
        self._waiting: set[asyncio.Future[Any]] | None = None
        self._jobs = _checked(jobs, "as_completed")
        self._ended: deque[Job[T]] = deque()
        self._news = asyncio.Event()

    def __aiter__(self) -> as_completed[T]:
        return self

    async def __anext__(self) -> Job[T]:
        if self._waiting is None:
            self._waiting = set()
            for job in self._jobs:
                self._wait_for(job, self._waiting)
        while not self._ended:
            if not self._waiting:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._ended.popleft()

    def __del__(self) -> None:
        # A loop that was left early drops its iterator: nobody waits for the rest any more.
        for wait in tuple(self._waiting or ()):
            if not wait.get_loop().is_closed():
                wait.cancel()

    def _wait_for(self, job: Job[T], waiting: set[asyncio.Future[Any]]) -> None:
        # The callback must not hold the iterator, which is to be dropped when its loop is left.
        ended, news = self._ended, self._news

        def note(wait: asyncio.Future[Any]) -> None:
            if not wait.cancelled():
                wait.exception()  # the job's own, which whoever awaits the job is told
            waiting.discard(wait)
            ended.append(job)
            news.set()

        wait = _wait(job, Until.END)
        waiting.add(wait)
        wait.add_done_callback(note)


@overload
async def gather_jobs(jobs: Iterable[Job[T]], *, return_exceptions: Literal[False] = False) -> list[T]: ...
@overload
async def gather_jobs(jobs: Iterable[Job[T]], *, return_exceptions: bool) -> list[T | BaseException]: ...
async def gather_jobs(jobs: Iterable[Job[T]], *, return_exceptions: bool = False) -> list[Any]:
    """The results in the order of ``jobs``.

    The first error is raised, unless ``return_exceptions`` puts errors in the places of results. The
    jobs themselves go on either way.
    """
    waits = [_wait(job, Until.OUTCOME) for job in _checked(jobs, "gather_jobs")]
    try:
        return await asyncio.gather(*waits, return_exceptions=return_exceptions)
    finally:
        for wait in waits:
            if not wait.done():
                wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


def _wait(job: Job[Any], until: Until) -> asyncio.Future[Any]:
    record = job._record  # noqa: SLF001  # of this file
    if record.done or record.feed.closed:
        return asyncio.ensure_future(job.result() if until is Until.OUTCOME else job.settled())
    return record.wait(None, None, until)


def _checked(jobs: Iterable[Job[T]], name: str) -> list[Job[T]]:
    checked = list(jobs)
    for job in checked:
        if not isinstance(job, Job):
            message = (
                f"{name} takes jobs, not {type(job).__name__}; await each start first, which returns its job"
            )
            raise InvalidRequest(message)
    return checked
