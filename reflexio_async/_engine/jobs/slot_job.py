"""One job that needs a slot: its start, and which of the server's operations it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, cast

from reflexio_async._engine.jobs.record import JobRecord, with_message
from reflexio_async._engine.jobs.status import RUNNING, JobState, JobStatus, redacted
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async._engine.jobs.waits import JobWait
from reflexio_async._engine.retry import Verdict
from reflexio_async.errors import ClientClosed, JobCancelled, JobFailed, JobLost, printable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping

    from reflexio_async._engine.availability import Availability
    from reflexio_async._engine.jobs.kinds import Operation, SlotKind
    from reflexio_async._engine.jobs.lane import Lane
    from reflexio_async._engine.jobs.manager import JobManager
    from reflexio_async._engine.jobs.waits import WaitingFor, WaitReason
    from reflexio_async._engine.retry import FailedPolls
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.wire import EncodedRequest
    from reflexio_async.errors import JobError

T = TypeVar("T")

# Seconds from admission in which the status must show the job. The server claims the slot before it answers
# the start (server-behaviour: Admission). The time is for a status that is behind. After it the job is lost.
_APPEARS_WITHIN = 30.0
_REMEMBERED = 1000  # outcomes
_SHORTEST_WAIT = 0.5  # seconds; of the waits that are kept
_MOST_WAITS = 100  # of one job
_NAMED = 5  # users that failed in a rerun of many, in a message


class Limiter(Protocol):
    """The rate limit of starts, as far as a lane uses it."""

    def opens_in(self) -> float:
        """Seconds until a start may be sent; 0 when it may be sent now."""
        ...

    def waiting_for(self) -> WaitingFor:
        """When it opens."""
        ...


class Start(NamedTuple):
    """The start of one job, as it will be sent.

    Attributes:
        request: The encoded request.
        send: Sends ``request``, and raises RateLimited instead of waiting for the rate limit. Takes a
            ``guard``, as ``Caller.send`` does.
        limiter: The rate limit of the start.
        width: How many starts may run at once on a server of the synchronous dialect; at least the client's
            ``concurrency``.
    """

    request: EncodedRequest
    send: Callable[..., Awaitable[Any]]
    limiter: Limiter
    width: int


class SlotJob(JobRecord[T]):
    """A job that occupies a slot while it runs.

    Attributes:
        params: The parameters of its request that the server's status repeats.
        start: Its start; None for a job that was resumed from a token.
        attempts: How often the start was sent.
        before: The slot's latest operation when the start was sent last.
        not_before: Start time of ``before``, in epoch seconds. A resumed job has no ``before``, only this.
        row: The id of its row in a store; None: it has none.
        seen: The status has shown this job.
        cancel_requested: It was cancelled while its start was under way.
        unsent_since: Since when its start cannot be sent, because the server is away; None: it can.
        waits_for: What it waits for now, and since when by the clock; None: nothing, or a job before it.
    """

    __slots__ = (
        "attempts",
        "before",
        "cancel_requested",
        "not_before",
        "params",
        "row",
        "seen",
        "start",
        "unsent_since",
        "waits_for",
    )

    def __init__(
        self,
        kind: SlotKind[T],
        jobs: JobManager,
        settings: Settings,
        *,
        params: Mapping[str, Any],
        start: Start | None = None,
        row: str | None = None,
    ) -> None:
        super().__init__(kind, jobs, settings)
        self.row = row
        self.params = params
        self.start = start
        self.attempts: int = 0
        self.before: Operation | None = None
        self.not_before: int | None = None
        self.seen = False
        self.cancel_requested = False
        self.unsent_since: float | None = None
        self.waits_for: tuple[WaitReason, float] | None = None

    @property
    def slot_kind(self) -> SlotKind[T]:
        """Its kind."""
        return cast("SlotKind[T]", self.kind)

    @property
    def _lane(self) -> Lane:
        return self._jobs.lane(self.slot_kind.slot)

    @property
    def token(self) -> Token | None:
        """The token by which it is found again; None before admission."""
        if self.id is None:
            return None
        url, params = self._lane.slot.url, dict(self.params)
        return Token(
            kind=self.kind.name,
            url=url,
            id=self.id,
            params=params,
            not_before=self.not_before,
            row=self.row,
        )

    @property
    def description(self) -> str:
        """The kind, the id and the parameters, for messages."""
        return describe(self.kind.name, self.id, self.params)

    @property
    def availability(self) -> Availability:
        """Whether its server answers."""
        return self._lane.slot.availability

    def subscribe(self, interval: float | None) -> None:
        """Poll the slot for one more waiter."""
        self._lane.slot.subscribe(interval)

    def unsubscribe(self, interval: float | None) -> None:
        """Undo one ``subscribe``."""
        self._lane.slot.unsubscribe(interval)

    async def refresh(self) -> None:
        """Poll the slot once, now, if it was admitted."""
        if self.admitted_at is not None:
            await self._lane.slot.poll()

    async def cancel(self) -> None:
        """Withdraw its start, or ask the server to stop it."""
        await self._lane.cancel(self)

    async def withdraw_start(self, reason: str) -> bool:
        """Withdraw its start if that is still queued here; returns whether it was."""
        return self._lane.withdraw(self, reason)

    def timeout_message(self, timeout: float) -> str:
        """How far it was after ``timeout`` seconds, for JobTimeout."""
        if self.id is not None:
            return super().timeout_message(timeout)
        if self.done:
            refused = "the server had not begun it" if self.attempts else "nothing was sent"
            start = f"its start was withdrawn, and {refused}"
        elif self._lane.is_starting(self):
            start = "its start was sent and is not answered; it may begin at the server"
        else:
            start = "its start has not been sent"
        return f"{self.description} was still queued after {timeout:g} s; {start}{self.last_poll}"

    def as_response(self, error: JobError) -> T | None:
        """What its start would have answered, had it waited and failed; with ``raise_on_refusal=False``."""
        if self._settings.raise_on_refusal or self.slot_kind.refusal is None:
            return None
        return self.slot_kind.refusal(self.id, error.status.error or str(error))

    # State changes

    def finish(
        self, status: JobStatus, *, result: T | None = None, error: BaseException | None = None
    ) -> None:
        """Store how it ended, and remember that for its token. Only the first call has an effect."""
        if self.ended_at is None:
            self.wait_for(None)
            self._jobs.outcomes.remember(self, status, result, error)
            super().finish(status, result=result, error=error)

    def wait_for(self, reason: WaitReason | None, since: float | None = None) -> None:
        """Record that it waits for ``reason`` from now on, or from ``since``; None: for nothing any more."""
        if (self.waits_for and self.waits_for[0]) is reason:
            return
        self.waits = self.waits_so_far()
        self.waits_for = None if reason is None else (reason, self.now() if since is None else since)

    def waits_so_far(self) -> tuple[JobWait, ...]:
        """What it has waited for, apart from the jobs before it. Very short waits are left out."""
        if self.waits_for is None or len(self.waits) >= _MOST_WAITS:
            return self.waits
        reason, began = self.waits_for
        now = self.now()
        if now - began < _SHORTEST_WAIT:
            return self.waits
        return (*self.waits, JobWait(reason, self.epoch(began), self.epoch(now)))

    def enter_slot(self, operation_id: str) -> None:
        """Record that the server accepted the start, under this id."""
        self.not_before = None if self.before is None else self.before.started_at
        self.admit(operation_id, RUNNING)

    def complete(self, answer: T, message: str | None) -> None:
        """End it with the answer to its start as the result."""
        self.finish(JobStatus(JobState.COMPLETED, progress=1.0, message=message), result=answer)

    def refuse(self, answer: T, message: str | None) -> None:
        """End it with a refusal of its start as the result, as the client's option asks."""
        self.finish(JobStatus(JobState.FAILED, message=message, error=message), result=answer)

    def fail_to_start(self, error: BaseException) -> None:
        """End it with ``error``: its start was refused, or could not be sent."""
        self.finish(JobStatus(JobState.FAILED, error=str(error)), error=error)

    def gives_up(self, failed: FailedPolls) -> bool:
        """Whether it waits no longer for the status, which it needs before its start is sent."""
        over = self.outage_is_over(failed.since)
        return (over and self.availability.has_answered) or self.verdict(failed) is not Verdict.ASK_AGAIN

    def outage_is_over(self, since: float) -> bool:
        """Whether its ``outage_timeout`` has passed since then, or since it was made."""
        return self.now() - max(since, self.created_at) >= self._settings.outage_timeout

    def fail_unsent(self, error: Exception, reason: str) -> None:
        """End it with the ``error`` of a status request. Its start was not sent."""
        message = f"{self.description}: not started: {reason}"
        self.fail_to_start(with_message(error, message, sent=False))

    def withdraw(self, reason: str) -> None:
        """End it: its start will not be sent."""
        status = JobStatus(JobState.CANCELLED, error=reason)
        self.finish(status, error=JobCancelled(f"{self.description}: {reason}", status=status))

    def cut_off(self, reason: str, *, sent: bool) -> None:
        """End it, because the event loop has ended. ``sent``: its start was sent and not answered."""
        when = (
            "while its start was being answered; it may have begun" if sent else "before its start was sent"
        )
        error = ClientClosed(f"{self.description}: {reason} {when}", outcome_unknown=sent)
        self.end_waits(reason)
        self.finish(JobStatus(JobState.LOST if sent else JobState.CANCELLED, error=reason), error=error)

    def lose(self, reason: str) -> None:
        """End it: its outcome can no longer be learned."""
        status = JobStatus(JobState.LOST, error=reason)
        message = f"{self.description}: outcome unknown: {reason}"
        self.finish(status, error=JobLost(message, status=status, token=self.token_text))

    def observe(self, operation: Operation, status: JobStatus, asked_at: float) -> None:
        """Update it from the slot's latest ``operation``, as a request sent at ``asked_at`` showed it.

        ``status`` is that of the operation.
        """
        if not self._is(operation):
            if not self._may_still_appear(operation, asked_at):
                self.lose("another operation took the slot before its outcome was read")
            return
        self.seen = True
        self.last_poll_error = None
        match status.state:
            case JobState.RUNNING:
                self.update(status)
            case JobState.COMPLETED:
                self.finish(status, result=self.slot_kind.result(operation))
            case JobState.FAILED:
                status = status.redacted(self._jobs.redact)
                users = redacted(dict(operation.failed_users), self._jobs.redact)
                message = f"{self.description}: {status.error or 'the server names no reason'}"
                others = [user for user in users if user not in self.params.values()]
                if others:
                    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
                    message += f" ({', '.join(others[:_NAMED])}{more})"
                failed = JobFailed(message, status=status, token=self.token_text, failed_users=users)
                self.finish(status, error=failed)
            case _:
                message = f"{self.description} was cancelled at the server"
                self.finish(status, error=JobCancelled(message, status=status, token=self.token_text))

    def _is(self, operation: Operation) -> bool:
        """Whether ``operation`` is this job."""
        if operation.id is not None:
            return operation.id == self.id
        if self.id is None or not self.slot_kind.matches(self.params, operation):
            return False
        if self.not_before is None or operation.started_at > self.not_before:
            return True
        # Start times are whole seconds. Within the same second it is this job if the slot has changed.
        return operation.started_at == self.not_before and not operation.is_same(self.before)

    def _may_still_appear(self, operation: Operation, asked_at: float) -> bool:
        """Whether the status may show this job later, though it shows ``operation`` now."""
        if self.seen or self.admitted_at is None:
            return False
        if asked_at < self.admitted_at:
            return True  # the request was sent before the start was answered
        unchanged = self.before is not None and operation.is_same(self.before)
        return unchanged and asked_at - self.admitted_at < _APPEARS_WITHIN


def describe(kind: str, job_id: str | None, params: Mapping[str, Any]) -> str:
    """The name of a job for messages: its kind, its id and the parameters that were given."""
    given = ", ".join(f"{name}={value}" for name, value in params.items() if value is not None)
    return printable(f"{kind} {job_id or ''}({given})")


class OutcomeMemory:
    """The last outcomes that one client has read. A slot's status shows the latest one alone."""

    def __init__(self) -> None:
        # Not the jobs: one that failed and is dropped is reported.
        self._outcomes: dict[Hashable, tuple[JobStatus, Any, BaseException | None]] = {}

    def remember(
        self, job: SlotJob[Any], status: JobStatus, result: Any, error: BaseException | None
    ) -> None:
        """Keep how ``job`` ended, if it was admitted and its outcome is known."""
        if job.id is None or status.state is JobState.LOST:
            return
        key = _identity(job.kind.name, job.id, job.params, job.not_before)
        self._outcomes.pop(key, None)  # the last one is the newest
        self._outcomes[key] = (status, result, error)
        if len(self._outcomes) > _REMEMBERED:
            del self._outcomes[next(iter(self._outcomes))]

    def recall(self, job: SlotJob[Any], token: Token) -> bool:
        """End ``job`` as the job of ``token`` ended; return whether that is known."""
        key = _identity(token.kind, token.id, token.params, token.not_before)
        outcome = self._outcomes.get(key)
        if outcome is None:
            return False
        status, result, error = outcome
        job.enter_slot(token.id)
        job.not_before = token.not_before
        job.outcome_read = True  # it is reported once, by the job itself
        job.finish(status, result=result, error=error)
        return True


def _identity(kind: str, job_id: str, params: Mapping[str, Any], not_before: int | None) -> Hashable:
    """What distinguishes a job from all others at its server."""
    return kind, job_id, str(params), not_before  # those of a user's token may be lists
