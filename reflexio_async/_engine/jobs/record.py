"""What is known of one job and who waits for it; the inner side of a ``Job``."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from reflexio_async._engine.jobs.status import QUEUED, JobStatus
from reflexio_async.errors import ClientClosed, JobCancelled, JobTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.jobs.agenda import Agenda
    from reflexio_async._engine.jobs.kinds import JobKind
    from reflexio_async._engine.jobs.tokens import Token

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


class Feed(Protocol):
    """Where a job's statuses come from."""

    @property
    def url(self) -> str:
        """The server's address, by which tokens know theirs."""
        ...

    @property
    def agenda(self) -> Agenda:
        """Where its waiters' deadlines are noted."""
        ...

    @property
    def closed(self) -> bool:
        """Whether nobody will ask any more."""
        ...

    def want(self, record: Any, interval: float | None) -> None:
        """Somebody waits for the job, asking for this interval in seconds (None: the default)."""
        ...

    def unwant(self, record: Any, interval: float | None) -> None:
        """Somebody no longer waits."""
        ...

    async def refresh(self, record: Any) -> None:
        """Ask the server once, now."""
        ...

    async def cancel(self, record: Any) -> None:
        """Withdraw the job's start, or ask the server to stop it."""
        ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a client waits when a call does not say: seconds, or None for the kind's own default.

    ``report`` hears of failures that no caller ever saw.
    """

    clock: Clock
    interval: float | None
    timeout: float | None
    report: Callable[[str, BaseException], None]


class Until(Enum):
    """What a wait is for."""

    OUTCOME = "the result or the error"
    END = "the end, whatever it is"
    CHANGE = "any other status than the present one"


class Waiter(asyncio.Future[Any]):
    """One wait for a job, as long and as often as the defaults say.

    It is awaited as it is, without a coroutine in between, and noted in the agenda by a link alone, so that
    thousands may wait for long.
    """

    interval: float | None = None
    timeout: float | None = None
    until = Until.OUTCOME

    __slots__ = ("due", "following", "line", "previous", "record")

    def __init__(self, record: Record[Any]) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.record = record
        self.due = 0.0
        self.line: Any = None
        self.previous: Any = None
        self.following: Any = None

    def fall_due(self) -> None:
        """Its deadline has come."""
        self.record.time_out(self)

    def cancel(self, msg: Any | None = None) -> bool:
        """What asyncio calls when the task that waits is cancelled."""
        if super().cancel(msg):
            self.record.leave(self)
            return True
        if self.until is Until.OUTCOME:
            self.record.seen = max(self.record.seen - 1, 0)  # it could not look at how the job ended any more
        return False


class ParticularWaiter(Waiter):
    """One that was told how often (seconds), how long (seconds) or what for."""

    __slots__ = ("interval", "timeout", "until")

    def __init__(
        self, record: Record[Any], interval: float | None, timeout: float | None, until: Until
    ) -> None:
        super().__init__(record)
        self.interval = interval
        self.timeout = timeout
        self.until = until


class Record(Generic[T]):
    """The state of one job. Feeds write it (``admit``, ``update``, ``finish``), waiters read it."""

    attempts: int
    """How often its start was sent by this client."""

    __slots__ = (
        "_waiters",
        "admitted_at",
        "created_at",
        "ended_at",
        "error",
        "feed",
        "id",
        "kind",
        "last_probe_error",
        "result",
        "seen",
        "status",
        "waiting",
    )

    def __init__(self, kind: JobKind, feed: Feed, waiting: Waiting) -> None:
        self.kind = kind
        self.feed = feed
        self.waiting = waiting
        self.status = QUEUED
        self.id: str | None = None
        """The server's id; None before admission."""
        self.created_at = waiting.clock.now()
        self.admitted_at: float | None = None
        self.ended_at: float | None = None
        self.result: T | None = None
        self.error: BaseException | None = None
        self.seen = 0
        """How many callers have been told how it ended."""
        self.last_probe_error: Exception | None = None
        self._waiters: Waiter | dict[Waiter, None] | None = None  # nearly always one or none

    @property
    def described(self) -> str:
        """For messages: its kind, and what tells it from others."""
        return f"{self.kind.name} {self.id or ''}".rstrip()

    @property
    def token(self) -> Token | None:
        """By which it is found again; None before admission."""
        raise NotImplementedError

    @property
    def token_text(self) -> str | None:
        """The token as the user keeps it; None before admission."""
        token = self.token
        return None if token is None else token.to_text()

    @property
    def done(self) -> bool:
        """Whether the outcome is known."""
        return self.status.done

    @property
    def awaited(self) -> bool:
        """Whether anybody waits right now."""
        return self._waiters is not None

    def waiters(self) -> tuple[Waiter, ...]:
        """Those who wait right now."""
        if self._waiters is None:
            return ()
        return (self._waiters,) if isinstance(self._waiters, Waiter) else tuple(self._waiters)

    def admit(self, job_id: str, status: JobStatus) -> None:
        """The server has taken it."""
        self.id = job_id
        now = self.waiting.clock.now()
        self.admitted_at = self.created_at if now == self.created_at else now
        self.status = status
        for waiter in self.waiters():
            if waiter.line is None:
                self._set_deadline(waiter)  # default timeouts count from now
            self.feed.want(self, self.interval_of(waiter))
            if waiter.until is Until.CHANGE:
                self._wake(waiter)

    def update(self, status: JobStatus) -> None:
        """It is still going on."""
        if status is self.status or status == self.status:
            return
        self.status = status
        for waiter in self.waiters():
            if waiter.until is Until.CHANGE:
                self._wake(waiter)

    def finish(
        self, status: JobStatus, *, result: T | None = None, error: BaseException | None = None
    ) -> None:
        """It has ended, in a result or an error; only the first ending counts."""
        if self.done:
            return
        self.status, self.result = status, result
        self.error = None if error is None else untraced(error)
        self.ended_at = self.waiting.clock.now()
        for waiter in self.waiters():
            self._wake(waiter)

    def outcome(self) -> T:
        """The result, or the error raised, of a job that is done."""
        self.seen += 1
        if self.error is not None:
            raise _fresh(self.error)
        return self.result  # type: ignore[return-value]  # done without an error means a result

    def wait(self, interval: float | None, timeout: float | None, until: Until = Until.OUTCOME) -> Waiter:
        """A wait that has just begun, for a job that is not done; see ``Job.result`` for the numbers.

        Raises:
            ClientClosed: Nobody will ask for it any more.
        """
        if self.feed.closed:
            message = (
                f"{self.described}: the client it came from is closed; resume it by its token with another"
            )
            raise ClientClosed(message)
        waiter: Waiter
        if interval is None and timeout is None and until is Until.OUTCOME:
            waiter = Waiter(self)
        else:
            waiter = ParticularWaiter(self, interval, timeout, until)
        if self._waiters is None:
            self._waiters = waiter
        elif isinstance(self._waiters, Waiter):
            self._waiters = {self._waiters: None, waiter: None}
        else:
            self._waiters[waiter] = None
        # The server knows nothing yet of a job that is queued here; its admission tells every waiter.
        if timeout is not None or self.admitted_at is not None:
            self._set_deadline(waiter)  # by which the next question may be moved
        if self.admitted_at is not None:
            self.feed.want(self, self.interval_of(waiter))
        return waiter

    def interval_of(self, waiter: Waiter) -> float | None:
        """Seconds between the questions on behalf of ``waiter``; None for the kind's own."""
        return waiter.interval or self.waiting.interval

    def leave(self, waiter: Waiter) -> None:
        """``waiter`` no longer waits."""
        if isinstance(self._waiters, dict):
            del self._waiters[waiter]
        if self._waiters is waiter or not self._waiters:
            self._waiters = None
        self.feed.agenda.remove(waiter)
        if self.admitted_at is not None:
            self.feed.unwant(self, self.interval_of(waiter))

    def time_out(self, waiter: Waiter) -> None:
        """The deadline of ``waiter`` has come."""
        self.leave(waiter)
        if waiter.until is Until.OUTCOME:
            waiter.set_exception(self._timed_out(waiter.timeout or self._default_timeout))
        else:
            waiter.set_result(None)

    @property
    def _default_timeout(self) -> float:
        return self.waiting.timeout or self.kind.timeout

    def _set_deadline(self, waiter: Waiter) -> None:
        if waiter.until is not Until.CHANGE:
            length = waiter.timeout or self._default_timeout
            waiter.due = self.waiting.clock.now() + length
            self.feed.agenda.add(waiter, length)

    def _wake(self, waiter: Waiter) -> None:
        self.leave(waiter)
        if waiter.until is not Until.OUTCOME:
            waiter.set_result(None)
        elif self.error is None:
            waiter.set_result(self.result)
        else:
            # Each caller raises an object of its own: tracebacks grow with every raise.
            waiter.set_exception(_fresh(self.error))
            self.seen += 1

    def _timed_out(self, timeout: float) -> JobTimeout:
        token = self.token_text
        where = (
            "its start has not been sent"
            if token is None
            else "it goes on at the server; resume it by its token"
        )
        last = self.last_probe_error
        met = "" if last is None else f". The last status request met: {last}"
        message = f"{self.described} was still {self.status.state} after {timeout:g} s; {where}{met}"
        return JobTimeout(message, status=self.status, token=token, last_probe_error=last)

    def __del__(self) -> None:
        # What was withdrawn on purpose is no failure.
        withdrawn = self.id is None and isinstance(self.error, JobCancelled)
        if self.error is not None and not self.seen and not withdrawn:
            self.waiting.report(f"job {self.described}", self.error)


def untraced(error: E) -> E:
    """``error`` without the frames that it and its causes came through: they hold records and credentials."""
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is not None and one.__traceback__ is not None:
            one.__traceback__ = None
            left += [one.__cause__, one.__context__]
    return error


def _fresh(error: BaseException) -> BaseException:
    """The same error without what earlier raises left on it."""
    made = copy.copy(error)
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    return made
