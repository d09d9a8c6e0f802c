"""Jobs with a status route of their own, asked by their id: learning, aggregation, regeneration, traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from reflexio_async._engine.jobs.poller import FIRST_POLL_AFTER, DurationEstimator
from reflexio_async._engine.jobs.record import JobRecord, without_traceback
from reflexio_async._engine.jobs.status import RUNNING, JobState, JobStatus
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async._engine.retry import FailedPolls
from reflexio_async.errors import InvalidRequest, JobCancelled, JobFailed, JobLost, NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from reflexio_async._engine.availability import Availability
    from reflexio_async._engine.jobs.kinds import PolledKind, PollRate
    from reflexio_async._engine.jobs.manager import JobManager
    from reflexio_async._engine.jobs.record import Waiter
    from reflexio_async._engine.settings import Settings

T = TypeVar("T")

_NOT_SEEN_YET = NotFound(
    "404: the server does not know it, or does not know it yet", status=404, method="GET", path=""
)
# For each share, poll once at the age by which that share of earlier jobs had ended. Three, because every job
# is asked for by a request of its own.
_QUANTILES = (0.5, 0.8, 0.95)


class JobStatusSource(Protocol):
    """The service's status calls for jobs with a status route of their own."""

    @property
    def url(self) -> str:
        """The server's address, which is part of every token."""
        ...

    @property
    def availability(self) -> Availability:
        """Whether the server answers."""
        ...

    def status(self, kind: PolledKind[T], job_id: str) -> Awaitable[T]:
        """The answer of the job's status route."""
        ...

    async def stop(self, kind: PolledKind[Any], job_id: str) -> None:
        """Ask the server to stop the job."""
        ...


class PolledJobs(Generic[T]):
    """The parts that all polled jobs of one kind share.

    With ``adaptive`` it learns how long they take, and polls when an end is likely.
    """

    def __init__(
        self, kind: PolledKind[T], source: JobStatusSource, jobs: JobManager, *, adaptive: bool
    ) -> None:
        self.kind = kind
        self.source = source
        self.jobs = jobs
        self.durations = DurationEstimator(_QUANTILES) if adaptive else None


class PolledJob(JobRecord[T]):
    """One polled job: its record, and for the poller a source of its own."""

    attempts = 0  # its start is an ordinary call

    __slots__ = ("_failed", "_group", "_not_ended_at", "failures", "polled_at", "polling", "polls")

    def __init__(self, group: PolledJobs[T], job_id: str, settings: Settings) -> None:
        super().__init__(group.kind, group.jobs, settings)
        self._group = group
        self._failed: FailedPolls | None = None
        self.id = job_id
        self.status = RUNNING
        self.admitted_at = self.created_at
        self._not_ended_at = self.created_at  # when the last poll that found it running was sent
        # Written by the poller:
        self.polled_at = self.created_at
        self.polls = 0
        self.failures = 0
        self.polling = False

    @property
    def job_id(self) -> str:
        """The server's id."""
        return cast("str", self.id)

    @property
    def token(self) -> Token:
        """The token by which it is found again."""
        return Token(kind=self.kind.name, url=self._group.source.url, id=self.job_id)

    @property
    def availability(self) -> Availability:
        """Whether its server answers."""
        return self._group.source.availability

    def subscribe(self, interval: float | None) -> None:  # noqa: ARG002  # ``pause`` reads the intervals of its waiters
        """Poll for one more waiter."""
        self._jobs.poller.schedule(self)

    def unsubscribe(self, interval: float | None) -> None:  # noqa: ARG002  # as above
        """Undo one ``subscribe``."""
        if not self.has_waiters:
            self._jobs.poller.remove(self)

    async def refresh(self) -> None:
        """Ask the server for its status once, now."""
        await self.poll()

    async def cancel(self) -> None:
        """Ask the server to stop it, where that is possible."""
        if not self._group.kind.cancellable:
            message = f"a {self.kind.name} job cannot be cancelled"
            raise InvalidRequest(message)
        await self._group.source.stop(self._group.kind, self.job_id)

    def timeout_message(self, timeout: float) -> str:
        """How far it was after ``timeout`` seconds, for JobTimeout."""
        if self.last_poll_error is not _NOT_SEEN_YET:
            return super().timeout_message(timeout)
        reasons = self._group.kind.unknown_at_first
        return (
            f"the server did not show {self.description} within {timeout:g} s (404): {reasons}. "
            "Its token resumes the wait"
        )

    # For the poller

    @property
    def name(self) -> str:
        """For task names."""
        return self.kind.name

    @property
    def rate(self) -> PollRate:
        """How often its route may be asked."""
        return self._group.kind.rate

    @property
    def subscribed(self) -> bool:
        """Whether it has a waiter."""
        return self.has_waiters

    def pause(self, growing: float) -> float | None:
        """The shortest interval of all waiters; None when there is no waiter."""
        pauses = [waiter.interval or self._default_pause(waiter, growing) for waiter in self.waiters()]
        return min(pauses, default=None)

    def _default_pause(self, waiter: Waiter, growing: float) -> float:
        if self._group.durations is not None:
            age = self._group.durations.next_poll_age(self.polled_at - self.created_at)
            # The waiter cannot use a poll after its deadline.
            if age is not None and (waiter.deadline is None or self.created_at + age < waiter.deadline):
                return max(self.created_at + age - self.polled_at, FIRST_POLL_AFTER)
        return min(growing, self._group.kind.interval)

    async def poll(self) -> None:
        """Ask for the status once, and update the job from the answer."""
        group, asked_at = self._group, self.now()
        try:
            answer = await group.source.status(group.kind, self.job_id)
        except NotFound:
            if group.kind.unknown_at_first is None or self.status is not RUNNING:
                raise
            self.last_poll_error = _NOT_SEEN_YET
        else:
            self.last_poll_error = None
            self._observe(answer)
        self._failed = None
        if group.durations is not None:
            if self.done:
                began = self.created_at
                group.durations.add(at_least=self._not_ended_at - began, at_most=asked_at - began)
            else:
                self._not_ended_at = asked_at

    def _observe(self, answer: T) -> None:
        kind = self._group.kind
        status = kind.read(answer)
        match status.state:
            case JobState.RUNNING:
                self.update(status)
            case JobState.COMPLETED:
                self.finish(status, result=answer)
            case JobState.FAILED:
                status = status.redacted(self._jobs.redact)
                message = f"{kind.name} {self.job_id}: {status.error}"
                self.finish(status, error=JobFailed(message, status=status, token=self.token_text))
            case _:
                message = f"{kind.name} {self.job_id} was cancelled at the server"
                self.finish(status, error=JobCancelled(message, status=status, token=self.token_text))

    def poll_failed(self, error: Exception) -> None:
        """Note the error. One that will not pass ends the job."""
        if self._failed is None:
            self._failed = FailedPolls()
        self._failed.add(without_traceback(error), self.now())
        self.status_failed(self._failed)

    def give_up(self, reason: str, /, *, closed: bool) -> None:
        """End every wait. When the client is ``closed``, with JobLost."""
        if not closed:
            self.end_waits(reason)
            self.polling, self.polls, self.failures = False, 0, 0
            return
        message = f"{self.kind.name} {self.job_id}: {reason} while a caller waited; resume it by its token"
        status = JobStatus(JobState.LOST, error=reason)
        self.finish(status, error=JobLost(message, status=status, token=self.token_text))
