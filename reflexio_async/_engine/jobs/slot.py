"""One generation in its service's slot: its start, and which of the server's operations it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from reflexio_async._engine.jobs.record import Record
from reflexio_async._engine.jobs.status import RUNNING, JobState, JobStatus
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async.errors import JobCancelled, JobFailed, JobLost

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping

    from reflexio_async._engine.jobs.kinds import Operation, SlotKind
    from reflexio_async._engine.jobs.record import Feed, Waiting
    from reflexio_async._engine.wire import EncodedRequest

_UNSEEN_GRACE = 30.0  # seconds an admitted operation may take to appear in the status


class Limiter(Protocol):
    """What a lane needs to know of the rate limit of its starts."""

    def opens_in(self) -> float:
        """Seconds until a start may be sent; 0 when it may be sent now."""
        ...


@dataclass(frozen=True, slots=True)
class Start:
    """The start of one job, as it will be sent.

    ``width`` is how many starts may run at once on a server of the synchronous dialect.
    """

    request: EncodedRequest
    send: Callable[[EncodedRequest], Awaitable[Any]]
    limiter: Limiter
    width: int


class SlotRecord(Record[Any]):
    """The record of a job that occupies a slot."""

    __slots__ = (
        "answered",
        "attempts",
        "before",
        "cancel_wanted",
        "not_before",
        "params",
        "seen_running",
        "start",
    )

    def __init__(
        self,
        kind: SlotKind[Any],
        lane: Feed,
        waiting: Waiting,
        *,
        params: Mapping[str, Any],
        start: Start | None = None,
    ) -> None:
        super().__init__(kind, lane, waiting)
        self.params = params  # what the server echoes of its request
        self.start = start
        self.attempts: int = 0
        self.before: Operation | None = None  # what the slot showed before the start
        self.not_before: int | None = None  # when that one had begun
        self.seen_running = False
        self.cancel_wanted = False  # while its start was under way
        self.answered: asyncio.Future[None] | None = None  # the caller of the start waits for its answer

    @property
    def slot_kind(self) -> SlotKind[Any]:
        """Its kind."""
        return cast("SlotKind[Any]", self.kind)

    @property
    def opens_in(self) -> float:
        """Seconds until its start may be sent, for all that is known of the rate limit."""
        return 0.0 if self.start is None else self.start.limiter.opens_in()

    @property
    def token(self) -> Token | None:
        """By which it is found again; None before admission."""
        if self.id is None:
            return None
        return Token(
            kind=self.kind.name,
            url=self.feed.url,
            id=self.id,
            params=dict(self.params),
            not_before=self.not_before,
        )

    def settle(self) -> None:
        """The start was answered, or has to wait: either way its caller gets the handle."""
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(None)

    def enter(self, operation_id: str, before: Operation | None) -> None:
        """The server has admitted it, as ``operation_id``, after the operation ``before``."""
        self.before = before
        self.not_before = None if before is None else before.started_at
        self.admit(operation_id, RUNNING)
        self.settle()

    def answer(self, answer: Any) -> None:
        """The answer to its start is its result."""
        if answer.success:
            status = JobStatus(JobState.COMPLETED, progress=1.0, message=answer.msg)
        else:
            status = JobStatus(JobState.FAILED, message=answer.msg, error=answer.msg)
        self.finish(status, result=answer)
        self.settle()

    def fail_to_start(self, error: BaseException) -> None:
        """Its start was refused, or could not be sent."""
        self.finish(JobStatus(JobState.FAILED, error=str(error)), error=error)
        self.settle()

    def withdraw(self, reason: str) -> None:
        """Its start will not be sent."""
        status = JobStatus(JobState.CANCELLED, error=reason)
        self.finish(status, error=JobCancelled(f"{self.described}: {reason}", status=status))
        self.settle()

    def lose(self, reason: str) -> None:
        """Its outcome can no longer be learned."""
        status = JobStatus(JobState.LOST, error=reason)
        message = f"{self.described}: outcome unknown: {reason}"
        self.finish(status, error=JobLost(message, status=status, token=self.token_text))
        self.settle()

    def hear(self, info: Operation, status: JobStatus, asked_at: float) -> None:
        """The slot showed ``info``, which is ``status`` in our words, when it was asked at ``asked_at``."""
        if not self._is(info):
            if not self._may_still_appear(info, asked_at):
                self.lose("another operation took the slot before its outcome was read")
            return
        self.seen_running = True
        self.last_probe_error = None
        if not status.done:
            self.update(status)
            return
        name = f"{self.kind.name} {self.id}"
        match status.state:
            case JobState.COMPLETED:
                self.finish(status, result=self.slot_kind.result(info))
            case JobState.FAILED:
                message = f"{name}: {status.error or 'the server names no reason'}"
                users = info.failed_users
                failed = JobFailed(message, status=status, token=self.token_text, failed_users=users)
                self.finish(status, error=failed)
            case _:
                message = f"{name} was cancelled at the server"
                self.finish(status, error=JobCancelled(message, status=status, token=self.token_text))

    @property
    def described(self) -> str:
        """For messages: the kind, the id and what was asked for."""
        wanted = ", ".join(f"{name}={value}" for name, value in self.params.items() if value is not None)
        return f"{self.kind.name} {self.id or ''}({wanted})"

    def _is(self, info: Operation) -> bool:
        if info.id is not None:
            return info.id == self.id
        if self.id is None or not self.slot_kind.matches(self.params, info):
            return False
        not_before = self.not_before
        if not_before is None or info.started_at > not_before:
            return True
        # Whole seconds: a start within the second of the one before it is newer when the slot changed.
        return info.started_at == not_before and not info.is_same(self.before)

    def _may_still_appear(self, info: Operation, asked_at: float) -> bool:
        if self.seen_running or self.admitted_at is None:
            return False
        if asked_at < self.admitted_at:
            return True  # asked before the start was answered: it says nothing of what came after
        stale = self.before is not None and info.is_same(self.before)
        return stale and asked_at - self.admitted_at < _UNSEEN_GRACE
