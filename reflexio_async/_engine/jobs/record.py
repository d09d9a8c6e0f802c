"""The state of one job and the coroutines that wait for it; a ``Job`` is the user's handle of it."""

from __future__ import annotations

import asyncio
import copy
import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from reflexio_async._engine.jobs.status import QUEUED, JobState, JobStatus
from reflexio_async._engine.logs import fields
from reflexio_async._engine.observer import NOT_OBSERVED
from reflexio_async._engine.retry import FailedPolls, Verdict
from reflexio_async.errors import (
    APIConnectionError,
    APIStatusError,
    ClientClosed,
    JobCancelled,
    JobLost,
    JobTimeout,
    UnexpectedResponse,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from reflexio_async._engine.availability import Availability
    from reflexio_async._engine.clock import Timer
    from reflexio_async._engine.jobs.kinds import JobKind
    from reflexio_async._engine.jobs.manager import JobManager
    from reflexio_async._engine.jobs.tokens import Token
    from reflexio_async._engine.jobs.waits import JobWait
    from reflexio_async._engine.loops import LoopScope
    from reflexio_async._engine.settings import Settings
    from reflexio_async.errors import JobError, ReflexioError

logger = logging.getLogger("reflexio_async")

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


class Waiter:
    """One coroutine that waits for a job now.

    Attributes:
        interval: Seconds between status requests that it asks for; None: the kind's.
        timeout: Seconds it waits; None: the default. With ``for_change`` there is no timeout.
        for_change: It waits for the next change of the status, not for the end.
        deadline: When it stops waiting, by the clock; None until the timeout has begun.
    """

    __slots__ = ("deadline", "for_change", "future", "interval", "timeout", "timer")

    def __init__(self, interval: float | None, timeout: float | None, *, for_change: bool) -> None:
        self.interval = interval
        self.timeout = timeout
        self.for_change = for_change
        self.deadline: float | None = None
        self.timer: Timer | None = None
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        """Resume the coroutine."""
        if not self.future.done():
            self.future.set_result(None)

    def end(self, error: Exception) -> None:
        """Raise ``error`` in the coroutine. A loop that is closed never resumes it."""
        if not self.future.done() and not self.future.get_loop().is_closed():
            self.future.set_exception(error)


class Follower(Waiter):
    """Follows a job, from ``add_follower`` to its end.

    Args:
        changed: Called at every change. Its result is whether there is nothing more to follow: then the
            future is done.
    """

    __slots__ = ("_changed",)

    def __init__(self, changed: Callable[[], bool]) -> None:
        super().__init__(None, None, for_change=True)
        self._changed = changed

    def wake(self) -> None:
        """Pass on a change."""
        if self._changed():
            super().wake()

    def end(self, error: Exception) -> None:  # noqa: ARG002  # for other waiters
        """Pass on that there may be nothing more to follow."""
        if not self.future.get_loop().is_closed():
            self.wake()


class JobRecord(ABC, Generic[T]):
    """The state of one job.

    A lane or a poll writes it: ``admit``, ``update``, ``finish``. Waiters read it. The subclasses know where
    its status comes from.
    """

    attempts: int
    """How often its start was sent by this client."""

    __slots__ = (
        "_jobs",
        "_settings",
        "_waiters",
        "admitted_at",
        "created_at",
        "ended_at",
        "error",
        "id",
        "kind",
        "last_poll_error",
        "observed",
        "outcome_read",
        "result",
        "status",
        "waits",
    )

    def __init__(self, kind: JobKind, jobs: JobManager, settings: Settings) -> None:
        self.kind = kind
        self.status = QUEUED
        self.id: str | None = None
        """The server's id; None before admission."""
        self.created_at = jobs.clock.now()
        self.admitted_at: float | None = None
        self.ended_at: float | None = None
        self.result: T | None = None
        self.error: BaseException | None = None
        self.outcome_read = False
        """Whether a caller has received the outcome."""
        self.last_poll_error: Exception | None = None
        """The error of the last status request, or None."""
        self.waits: tuple[JobWait, ...] = ()
        """What it waited for, apart from the jobs before it, until the last of these waits ended."""
        self.observed = NOT_OBSERVED
        self._jobs = jobs
        self._settings = settings
        self._waiters: dict[Waiter, None] = {}

    # For the subclasses to implement

    @property
    @abstractmethod
    def token(self) -> Token | None:
        """The token by which it is found again; None before admission."""

    @property
    @abstractmethod
    def availability(self) -> Availability:
        """Whether its server answers."""

    @abstractmethod
    def subscribe(self, interval: float | None) -> None:
        """Poll its status for one more waiter, every ``interval`` seconds (None: the kind's interval)."""

    @abstractmethod
    def unsubscribe(self, interval: float | None) -> None:
        """Undo one ``subscribe`` with the same interval."""

    @abstractmethod
    async def refresh(self) -> None:
        """Ask the server for its status once, now."""

    @abstractmethod
    async def cancel(self) -> None:
        """Withdraw its start, or ask the server to stop it."""

    async def withdraw_start(self, reason: str) -> bool:  # noqa: ARG002  # the subclasses use it
        """Withdraw its start if that was not sent; returns whether it was withdrawn."""
        return False

    @property
    def description(self) -> str:
        """The kind and the id, for messages."""
        return f"{self.kind.name} {self.id or ''}".rstrip()

    # Reading

    @property
    def token_text(self) -> str | None:
        """The token as the user keeps it; None before admission."""
        token = self.token
        return None if token is None else token.to_text()

    @property
    def done(self) -> bool:
        """Whether it has ended, as far as is known here."""
        return self.ended_at is not None

    @property
    def has_waiters(self) -> bool:
        """Whether it has waiters now."""
        return bool(self._waiters)

    def now(self) -> float:
        """The clock's ``now()``."""
        return self._jobs.clock.now()

    def waits_so_far(self) -> tuple[JobWait, ...]:
        """What it has waited for, apart from the jobs before it."""
        return self.waits

    def epoch(self, time: float) -> float:
        """The epoch seconds of a time of the clock's ``now``."""
        clock = self._jobs.clock
        return clock.time() - (clock.now() - time)

    def check_loop(self) -> None:
        """Raise ConfigurationError where another event loop is running than the one of the client."""
        self._jobs.loops.check()

    def loop_scope(self) -> LoopScope:
        """What belongs to the event loop of the client."""
        return self._jobs.loops.scope

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a background task of the client."""
        return self._jobs.tasks.spawn(work, name=name)

    async def wait(
        self, *, interval: float | None = None, timeout: float | None = None, for_change: bool = False
    ) -> None:
        """Return when it has ended or the timeout is over. ``outcome`` raises JobTimeout in the second case.

        Args:
            interval: Seconds between status requests; None: the client's own, else the kind's.
            timeout: Seconds from now; None: the client's own, else the kind's, counted from admission or
                from now, whichever is later.
            for_change: Return when the status changes instead, without a timeout.

        Raises:
            ClientClosed: The client is closed, so its status is not asked for. Or the event loop ended.
            ConfigurationError: The client belongs to another event loop.
        """
        self._enter()
        if interval is None:
            interval = self._settings.poll_interval
        waiter = Waiter(interval, timeout, for_change=for_change)
        self._waiters[waiter] = None
        if timeout is not None:
            self._start_timer(waiter)
        if self.admitted_at is not None:
            self._subscribe(waiter)
        try:
            await waiter.future
        finally:
            self._remove(waiter)

    async def look(self) -> None:
        """Ask for the status once, if the server knows the job. JobTimeout shows an error that may pass."""
        self._enter()
        if self.admitted_at is not None:
            try:
                await self.refresh()
            except Exception as error:
                failed = FailedPolls()
                failed.add(error, self.now())
                if self.verdict(failed) is not Verdict.ASK_AGAIN:
                    raise
                self.last_poll_error = without_traceback(error)

    def _enter(self) -> None:
        if self._jobs.loops.closed:
            message = (
                f"{self.description}: the client it came from is closed; resume it by its token with another"
            )
            raise ClientClosed(message)
        self._jobs.loops.enter()

    def as_response(self, error: JobError) -> T | None:  # noqa: ARG002  # only reruns have such a response
        """The response that stands for ``error``, where there is one and the client wants it."""
        return None

    def outcome(self, timeout: float | None = None) -> T:
        """Return the result or raise the error; a job that has not ended raises JobTimeout.

        ``timeout`` is that of the wait before, in seconds.
        """
        if not self.done:
            raise self.timed_out(timeout)
        if self.error is not None:
            raise _copy_of_error(self.error)
        return cast("T", self.result)  # it has ended without an error

    # Writing

    def admit(self, job_id: str, status: JobStatus) -> None:
        """Record that the server accepted it, under this id."""
        self.id = job_id
        self.admitted_at = self.now()
        self.status = status
        for waiter in self._waiters:
            self._subscribe(waiter)
            if waiter.for_change:
                waiter.wake()

    def update(self, status: JobStatus) -> None:
        """Store a new status of a running job."""
        if status is self.status or status == self.status:
            return
        self.status = status
        for waiter in self._waiters:
            if waiter.for_change:
                waiter.wake()

    def finish(
        self, status: JobStatus, *, result: T | None = None, error: BaseException | None = None
    ) -> None:
        """Store how it ended: a result or an error. Only the first call has an effect."""
        if self.done:
            return
        self.status, self.result = status, result
        self.error = None if error is None else without_traceback(error)
        self.ended_at = self.now()
        if self.observed is not NOT_OBSERVED:
            self.observed.job_ended(self)
        for waiter in self.waiters():
            waiter.wake()
            self._remove(waiter)

    def status_failed(self, failed: FailedPolls) -> None:
        """Note that status requests have failed. End it if that will not pass."""
        error = self.last_poll_error = failed.error
        assert error is not None  # noqa: S101  # one has failed
        verdict = self.verdict(failed)
        if verdict is Verdict.ASK_AGAIN:
            return
        status = JobStatus(JobState.LOST, error=str(error))
        if verdict is Verdict.LOSE:
            message = f"{self.description}: outcome unknown: the server does not know it any more: {error}"
            lost = JobLost(message, status=status, token=self.token_text)
            lost.__cause__ = error
            self.finish(status, error=lost)
        else:
            self.finish(status, error=with_message(error, failed.description(self.now())))

    def verdict(self, failed: FailedPolls) -> Verdict:
        """What follows from ``failed`` status requests while it runs."""
        return failed.verdict(
            self.now(),
            has_answered=self.availability.has_answered,
            max_attempts=self._settings.retry.max_attempts,
            outage_timeout=self._settings.outage_timeout,
            began=self.created_at if self.admitted_at is None else self.admitted_at,
        )

    # Waiters

    def add_follower(self, follower: Follower) -> None:
        """Let ``follower`` know of every change, and poll for it from the admission on."""
        self._waiters[follower] = None
        if self.admitted_at is not None:
            self._subscribe(follower)

    def remove_follower(self, follower: Follower) -> None:
        """Undo ``add_follower``."""
        self._remove(follower)

    @property
    def _default_timeout(self) -> float:
        return self._settings.wait_timeout or self.kind.timeout

    def waiters(self) -> list[Waiter]:
        """The waiters."""
        return list(self._waiters)

    def end_waits(self, reason: str) -> None:
        """End every wait with ClientClosed. The job goes on at the server, and may be awaited again."""
        error = ClientClosed(
            f"{self.description}: {reason} while a caller waited; the job goes on at the server"
        )
        for waiter in self.waiters():
            waiter.end(error)
        self._waiters.clear()

    def fail_waits(self, error: Exception) -> None:
        """Raise ``error`` in every wait. The job has not ended, and may be awaited again."""
        for waiter in self.waiters():
            waiter.end(copy.copy(error))

    def _subscribe(self, waiter: Waiter) -> None:
        """Begin to poll for ``waiter``. Before its admission the server does not know the job."""
        if waiter.timer is None and not waiter.for_change:
            self._start_timer(waiter)  # default timeouts count from admission
        self.subscribe(waiter.interval)

    def _remove(self, waiter: Waiter) -> None:
        """Remove a waiter that was woken or cancelled."""
        if waiter not in self._waiters:
            return
        del self._waiters[waiter]
        if waiter.timer is not None:
            waiter.timer.cancel()
        if self.admitted_at is not None:
            self.unsubscribe(waiter.interval)

    def _start_timer(self, waiter: Waiter) -> None:
        waiter.deadline = self.now() + (waiter.timeout or self._default_timeout)
        waiter.timer = self._jobs.clock.call_at(waiter.deadline, waiter.wake)

    def timed_out(self, timeout: float | None) -> JobTimeout:
        """The error of a wait of ``timeout`` seconds (None: the default) that ended before the job."""
        message = self.timeout_message(self._default_timeout if timeout is None else timeout)
        last = self.last_poll_error
        return JobTimeout(message, status=self.status, token=self.token_text, last_poll_error=last)

    def timeout_message(self, timeout: float) -> str:
        """How far it was after ``timeout`` seconds, for JobTimeout."""
        return (
            f"{self.description} was still {self.status.state} after {timeout:g} s; "
            f"it goes on at the server; resume it by its token{self.last_poll}"
        )

    @property
    def last_poll(self) -> str:
        """The error of the last status request, as the end of a message."""
        return (
            ""
            if self.last_poll_error is None
            else f". The last status request failed with: {self.last_poll_error}"
        )

    def report_not_cancelled(self, error: ReflexioError) -> None:
        """Log that nobody could be asked to stop the job."""
        known = fields("job_not_cancelled", error, kind=self.kind.name)
        logger.warning("%s could not be cancelled: %s", self.description, error, extra=known)

    def __del__(self) -> None:
        # A start that was withdrawn on purpose is not reported, and one that was given up has been.
        withdrawn = self.id is None and isinstance(self.error, JobCancelled | ClientClosed)
        if self.error is not None and not self.outcome_read and not withdrawn:
            self._jobs.tasks.report(f"job {self.description}", self.error)


def without_traceback(error: E) -> E:
    """Remove the tracebacks of ``error`` and of its causes: their frames hold jobs and credentials."""
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is not None and link.__traceback__ is not None:
            link.__traceback__ = None
            chain += [link.__cause__, link.__context__]
    return error


def with_message(error: Exception, message: str, *, sent: bool = True) -> Exception:
    """A copy of ``error`` with another message.

    ``sent``: False for what was not sent. The outcome that may be unknown is that of another request, which
    had the error.
    """
    made = copy.copy(error)
    made.args = (printable(message),)
    if not sent and isinstance(made, APIConnectionError | APIStatusError | UnexpectedResponse):
        made.outcome_unknown = False
    return made


def _copy_of_error(error: BaseException) -> Any:
    """A copy of ``error`` for one caller: every raise adds to an error's traceback."""
    made = copy.copy(error)
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    return made
