"""Jobs with a status route of their own, asked for by id: learning, aggregation, regeneration, traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from reflexio_async._engine.jobs.poller import EAGER, widening
from reflexio_async._engine.jobs.record import Record, untraced
from reflexio_async._engine.jobs.rhythm import Rhythm
from reflexio_async._engine.jobs.status import RUNNING, JobState, JobStatus
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async.errors import InvalidRequest, JobCancelled, JobFailed, JobLost, NotFound

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from reflexio_async._engine.jobs.agenda import Agenda
    from reflexio_async._engine.jobs.kinds import SingleKind
    from reflexio_async._engine.jobs.poller import Cap, Poller
    from reflexio_async._engine.jobs.record import Waiter, Waiting

T = TypeVar("T")

# One for all, since thousands may wait for what is not stored yet.
_ABSENT = NotFound(
    "404: the server does not know it, or does not know it yet", status=404, method="GET", path=""
)
_SHARES = (0.5, 0.8, 0.95)  # of the jobs before that have ended when the next is asked for


class SingleServer(Protocol):
    """What is asked of the server about such jobs."""

    @property
    def url(self) -> str:
        """The server's address, by which tokens know theirs."""
        ...

    def single(self, kind: SingleKind[T], job_id: str) -> Coroutine[Any, Any, T]:
        """The status of one job."""
        ...

    async def stop_single(self, kind: SingleKind[Any], job_id: str) -> None:
        """Ask for such a job to stop."""
        ...


class Singles(Generic[T]):
    """All such jobs of one kind: how they are asked for, and how often."""

    def __init__(
        self, kind: SingleKind[T], server: SingleServer, poller: Poller, cap: Cap, *, adaptive: bool
    ) -> None:
        self.kind = kind
        self.server = server
        self.poller = poller
        self.cap = cap
        self.agenda: Agenda = poller.agenda
        self.url = server.url
        self.rhythm = Rhythm(_SHARES) if adaptive else None

    @property
    def closed(self) -> bool:
        """Whether nobody will ask any more."""
        return self.poller.closed

    def want(self, record: SingleRecord[T], interval: float | None) -> None:  # noqa: ARG002  # it is on the waiter
        """Somebody waits: ask when the shortest interval says."""
        self.poller.schedule(record)

    def unwant(self, record: SingleRecord[T], interval: float | None) -> None:  # noqa: ARG002  # as above
        """Somebody no longer waits; the last one takes the appointment along."""
        if not record.awaited:
            self.agenda.remove(record)

    async def refresh(self, record: SingleRecord[T]) -> None:
        """Ask for the status once, now."""
        await record.probe()

    async def cancel(self, record: SingleRecord[T]) -> None:
        """Ask the server to stop it, where it can be."""
        if not self.kind.cancellable:
            message = f"a {self.kind.name} job cannot be cancelled"
            raise InvalidRequest(message)
        await self.server.stop_single(self.kind, record.job_id)


class SingleRecord(Record[T]):
    """One such job; to the poller, a source of its own."""

    attempts = 0  # its start is a call of its own

    __slots__ = (
        "asked",
        "asked_at",
        "failures",
        "following",
        "line",
        "not_ended_at",
        "previous",
        "probing",
    )

    def __init__(self, group: Singles[T], job_id: str, waiting: Waiting) -> None:
        super().__init__(group.kind, group, waiting)
        self.id = job_id
        self.status = RUNNING
        self.admitted_at = self.asked_at = self.created_at
        self.asked = 0
        self.failures = 0
        self.probing = False
        self.not_ended_at = self.created_at  # kept only where it is learned from
        self.line: Any = None
        self.previous: Any = None
        self.following: Any = None

    @property
    def group(self) -> Singles[T]:
        """All of its kind."""
        return cast("Singles[T]", self.feed)

    @property
    def job_id(self) -> str:
        """The server's id."""
        return cast("str", self.id)

    @property
    def token(self) -> Token:
        """By which it is found again."""
        return Token(kind=self.kind.name, url=self.feed.url, id=self.job_id)

    @property
    def due(self) -> float:
        """When it is to be asked next, while it stands in a line of the agenda."""
        due: float = self.asked_at + self.line.length
        return due

    @property
    def name(self) -> str:
        """For logs."""
        return self.kind.name

    @property
    def wanted(self) -> bool:
        """Whether anybody waits."""
        return self.awaited

    def pause(self) -> float | None:
        """The shortest interval that a waiter gave, or the default one."""
        shortest: float | None = None
        for waiter in self.waiters():
            interval = self.interval_of(waiter) or self._default_pause(waiter)
            if shortest is None or interval < shortest:
                shortest = interval
        return shortest

    def _default_pause(self, waiter: Waiter) -> float:
        rhythm = self.group.rhythm
        if rhythm is not None:
            moment = rhythm.next_moment(self.asked_at - self.created_at)
            # Somebody who waits for a short time only is to learn what there is to learn by then.
            if moment is not None and (waiter.line is None or self.created_at + moment < waiter.due):
                return max(self.created_at + moment - self.asked_at, EAGER)
        return min(widening(self.asked), self.kind.interval)

    async def probe(self) -> None:
        """Ask for the status and pass it on."""
        group, asked_at = self.group, self.group.poller.clock.now()
        try:
            answer = await group.server.single(group.kind, self.job_id)
        except NotFound:
            if not group.kind.appears_late or self.status is not RUNNING:
                raise
            self.last_probe_error = _ABSENT
        else:
            self.last_probe_error = None
            self._hear(answer)
        if group.rhythm is not None:
            if self.done:
                began = self.created_at
                group.rhythm.ended(after=self.not_ended_at - began, by=asked_at - began)
            else:
                self.not_ended_at = asked_at

    def _hear(self, answer: T) -> None:
        kind = self.group.kind
        status = kind.read(answer)
        if status.state is JobState.FAILED:
            message = f"{kind.name} {self.job_id}: {status.error}"
            self.finish(status, error=JobFailed(message, status=status, token=self.token_text))
        elif status.state is JobState.CANCELLED:
            message = f"{kind.name} {self.job_id} was cancelled at the server"
            self.finish(status, error=JobCancelled(message, status=status, token=self.token_text))
        elif status.done:
            self.finish(status, result=answer)
        else:
            self.update(status)

    def failed(self, error: Exception, *, transient: bool) -> None:
        """Remember the error, and end in it unless it may pass."""
        self.last_probe_error = untraced(error)
        if not transient:
            self.finish(JobStatus(JobState.LOST, error=str(error)), error=error)

    def give_up(self, reason: str) -> None:
        """Nobody will ask any more."""
        message = f"{self.kind.name} {self.job_id}: {reason} while somebody waited; resume it by its token"
        status = JobStatus(JobState.LOST, error=reason)
        self.finish(status, error=JobLost(message, status=status, token=self.token_text))

    def fall_due(self) -> None:
        """It is time to ask."""
        self.group.poller.fall_due(self, self.group.cap)
