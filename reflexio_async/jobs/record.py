"""What is known of one job and who waits for it; the inner side of a ``Job``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from reflexio_async.errors import JobCancelled, JobTimeout
from reflexio_async.jobs.status import QUEUED, JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async.core.clock import Clock
    from reflexio_async.jobs.kinds import JobKind
    from reflexio_async.jobs.token import Token

T = TypeVar("T")


class Feed(Protocol):
    """Where a job's statuses come from."""

    def want(self, interval: float | None) -> None:
        """Somebody waits, asking for this interval in seconds (None: the default)."""
        ...

    def unwant(self, interval: float | None) -> None:
        """Somebody no longer waits."""
        ...

    async def refresh(self) -> None:
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


class _Waiter:
    """One waiting task."""

    __slots__ = ("for_change", "future")

    def __init__(self, *, for_change: bool) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.for_change = for_change

    def wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class Record(Generic[T]):
    """The state of one job. Feeds write it (``admit``, ``update``, ``finish``), waiters read it."""

    __slots__ = (
        "__weakref__",
        "_waiters",
        "admitted_at",
        "attempts",
        "created_at",
        "ended_at",
        "error",
        "feed",
        "kind",
        "last_probe_error",
        "result",
        "seen",
        "status",
        "token",
        "waiting",
    )

    def __init__(self, kind: JobKind, feed: Feed, waiting: Waiting) -> None:
        self.kind = kind
        self.feed = feed
        self.waiting = waiting
        self.status = QUEUED
        self.token: Token | None = None
        self.created_at = waiting.clock.now()
        self.admitted_at: float | None = None
        self.ended_at: float | None = None
        self.attempts = 0
        """How often its start was sent."""
        self.result: T | None = None
        self.error: BaseException | None = None
        self.seen = False
        """Whether a caller has been told how it ended."""
        self.last_probe_error: Exception | None = None
        self._waiters: list[_Waiter] = []

    @property
    def id(self) -> str | None:
        """The server's id; None before admission."""
        return None if self.token is None else self.token.id

    @property
    def token_text(self) -> str | None:
        """The token as the user keeps it; None before admission."""
        return None if self.token is None else self.token.to_text()

    @property
    def done(self) -> bool:
        """Whether the outcome is known."""
        return self.status.done

    @property
    def awaited(self) -> bool:
        """Whether anybody waits right now."""
        return bool(self._waiters)

    def admit(self, token: Token, status: JobStatus) -> None:
        """The server has taken it."""
        self.token = token
        self.admitted_at = self.waiting.clock.now()
        self.status = status
        for waiter in self._waiters:
            waiter.wake()  # default timeouts count from now

    def update(self, status: JobStatus) -> None:
        """It is still going on."""
        if status == self.status:
            return
        self.status = status
        for waiter in self._waiters:
            if waiter.for_change:
                waiter.wake()

    def finish(
        self, status: JobStatus, *, result: T | None = None, error: BaseException | None = None
    ) -> None:
        """It has ended, in a result or an error; only the first ending counts."""
        if self.done:
            return
        self.status, self.result, self.error = status, result, error
        self.ended_at = self.waiting.clock.now()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.wake()

    def outcome(self) -> T:
        """The result, or the error raised, of a job that is done."""
        self.seen = True
        if self.error is not None:
            raise self.error.with_traceback(None)  # one object for every waiter: its traceback must not grow
        return self.result  # type: ignore[return-value]  # done without an error means a result

    async def wait(self, given_interval: float | None, given_timeout: float | None) -> None:
        """Return when it is done, or raise JobTimeout; see ``Job.result`` for the meaning of both."""
        clock = self.waiting.clock
        interval = given_interval or self.waiting.interval
        began = clock.now()
        while not self.done:
            timeout = deadline = None
            if given_timeout is not None:
                timeout, deadline = given_timeout, began + given_timeout
            elif self.admitted_at is not None:
                timeout = self.waiting.timeout or self.kind.timeout
                deadline = max(began, self.admitted_at) + timeout
            if not await self.happens(interval, deadline) and timeout is not None:
                raise self._timed_out(timeout)

    async def happens(
        self, interval: float | None, deadline: float | None = None, *, change: bool = False
    ) -> bool:
        """Wait for its admission or end (or any ``change``); False once ``deadline`` has come."""
        clock = self.waiting.clock
        if deadline is not None and clock.now() >= deadline:
            return False
        waiter = _Waiter(for_change=change)
        self._waiters.append(waiter)
        # The server knows nothing yet of a job that is queued here; its admission wakes every waiter.
        at_server = self.admitted_at is not None
        if at_server:
            self.feed.want(interval)
        timer = None if deadline is None else clock.call_at(deadline, waiter.wake)
        try:
            await waiter.future
        finally:
            if timer is not None:
                timer.cancel()
            if at_server:
                self.feed.unwant(interval)
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        return True

    def _timed_out(self, timeout: float) -> JobTimeout:
        token = self.token_text
        where = (
            "its start has not been sent"
            if token is None
            else "it goes on at the server; resume it by its token"
        )
        last = self.last_probe_error
        met = "" if last is None else f". The last status request met: {last}"
        name = f"{self.kind.name} {self.id or ''}".rstrip()
        message = f"{name} was still {self.status.state} after {timeout:g} s; {where}{met}"
        return JobTimeout(message, status=self.status, token=token, last_probe_error=last)

    def __del__(self) -> None:
        # What was withdrawn on purpose is no failure.
        withdrawn = self.token is None and isinstance(self.error, JobCancelled)
        if self.error is not None and not self.seen and not withdrawn:
            self.waiting.report(f"job {self.kind.name} {self.id or ''}".rstrip(), self.error)
