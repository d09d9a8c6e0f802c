"""A job of a store: its row is the truth, and this is what one process knows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from reflexio_async._engine.jobs.record import JobRecord
from reflexio_async._engine.jobs.slot_job import describe
from reflexio_async._engine.jobs.status import RUNNING, JobState, JobStatus
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async.durable.outcomes import finish
from reflexio_async.durable.rows import RowState
from reflexio_async.errors import JobCancelled, JobError, JobLost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.availability import Availability
    from reflexio_async._engine.jobs.kinds import SlotKind
    from reflexio_async._engine.jobs.slot_job import SlotJob, Start
    from reflexio_async._engine.settings import Settings
    from reflexio_async.durable.jobs import DurableJobs
    from reflexio_async.durable.rows import JobProgress

T = TypeVar("T")


class StoredJob(JobRecord[T]):
    """A job of a store, for its waiters.

    One process drives it, by a ``SlotJob`` in the lane of its slot. There, ``follow`` takes over what that
    one learns. In the other processes, ``read`` takes it from the row.

    Attributes:
        row: The id of its row.
        slot_kind: Its kind.
        params: The parameters of its request that the server's status repeats.
        start: Its start, if it was made in this process; else the row has what is needed for one.
        attempts: How often the start was sent.
        not_before: As in its token.
        driven: The job in the lane, while this process drives it. For a job that is not in the store, the job
            at the server.
        given: The token that it was found by, if that names the server's operation.
        tenure: The tenure of its lane's driver in which its row was read last; None: of no one here.
        is_read: Its row was read for the next wait.
    """

    __slots__ = (
        "__weakref__",
        "_durable",
        "_is_stored",
        "attempts",
        "driven",
        "given",
        "is_read",
        "not_before",
        "params",
        "row",
        "slot_kind",
        "start",
        "tenure",
    )

    def __init__(
        self,
        kind: SlotKind[T],
        durable: DurableJobs,
        settings: Settings,
        *,
        row: str,
        params: Mapping[str, Any],
        start: Start | None = None,
    ) -> None:
        super().__init__(kind, durable.manager, settings)
        self.slot_kind = kind
        self.row = row
        self.params = params
        self.start = start
        self.attempts: int = 0
        self.not_before: int | None = None
        self.driven: SlotJob[T] | None = None
        self.given: Token | None = None
        self.is_read = False
        self._is_stored = True
        self.tenure: int | None = None
        self._durable = durable

    @property
    def settings(self) -> Settings:
        """The settings of the client, or of the view, that made it."""
        return self._settings

    @property
    def token(self) -> Token:
        """The token by which every process with the store finds it, also before its admission."""
        return Token(
            kind=self.kind.name,
            url=self._durable.url,
            id=self.id or "",
            params=dict(self.params),
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
        return self._durable.caller.availability

    # Waiting

    async def wait(
        self, *, interval: float | None = None, timeout: float | None = None, for_change: bool = False
    ) -> None:
        """Wait as every job does; and read its row, where another process drives it."""
        status = self.status
        self._enter()
        is_read, self.is_read = self.is_read, False
        if not is_read and not self._durable.rows.follows(self):
            await self._look()
        if self.done or (for_change and self.status is not status):
            return
        if self._is_stored:
            self._durable.rows.watch(self)
            try:
                await super().wait(interval=interval, timeout=timeout, for_change=for_change)
            finally:
                self._durable.rows.unwatch(self)
        if not self._is_stored and self.driven is not None and not self.done:
            await self.driven.wait(interval=interval, timeout=timeout, for_change=for_change)
            self.follow(self.driven)
        if self.driven is not None:
            self.last_poll_error = self.driven.last_poll_error

    async def look(self) -> None:
        """Read its row."""
        await self._look()

    async def _look(self) -> None:
        self._enter()
        if self.driven is None:
            await self._durable.rows.look(self)

    async def refresh(self) -> None:
        """Read its row, and ask the server once if the job runs there."""
        await self._look()
        if (driven := self.driven) is not None:
            await driven.refresh()
            if self.driven is driven:
                self.follow(driven)
            else:  # meanwhile it has ended, or another process drives it
                await self._look()
        elif self.status.state is JobState.RUNNING:
            with self._durable.at_server(self) as job:
                await job.refresh()
                if not job.done:  # how it ended is for the process that drives it
                    self.update(job.status)

    def subscribe(self, interval: float | None) -> None:
        """Poll its slot for one more waiter, if this process drives it."""
        if self.driven is not None:
            self.driven.subscribe(interval)

    def unsubscribe(self, interval: float | None) -> None:
        """Undo one ``subscribe``."""
        if self.driven is not None:
            self.driven.unsubscribe(interval)

    def timeout_message(self, timeout: float) -> str:
        """How far it was after ``timeout`` seconds, for JobTimeout."""
        if self.id is not None:
            return super().timeout_message(timeout)
        waits = "its start waits in the store; its token resumes the wait"
        start = "its start was withdrawn, and nothing was sent" if self.done else waits
        return f"{self.description} was still queued after {timeout:g} s; {start}"

    def as_response(self, error: JobError) -> T | None:
        """What its start would have answered, had it waited and failed; with ``raise_on_refusal=False``."""
        if self._settings.raise_on_refusal or self.slot_kind.refusal is None:
            return None
        return self.slot_kind.refusal(self.id, error.status.error or str(error))

    # Cancelling

    async def cancel(self) -> None:
        """Withdraw its start, or ask the server to stop it if the slot is still its own."""
        self._enter()
        await self._durable.cancel(self)

    async def withdraw_start(self, reason: str) -> bool:
        """Withdraw its start if that was not sent; returns whether it was withdrawn."""
        return await self._durable.withdraw(self, reason)

    def cancellation(self, reason: str) -> JobCancelled:
        """The error that it ends with when its start is withdrawn."""
        status = JobStatus(JobState.CANCELLED, error=reason)
        return JobCancelled(f"{self.description}: {reason}", status=status, token=self.token_text)

    # State changes

    def finish(
        self, status: JobStatus, *, result: T | None = None, error: BaseException | None = None
    ) -> None:
        """Store how it ended. Only the first call has an effect."""
        super().finish(status, result=result, error=error)
        self._durable.ended(self)

    def drive(self, job: SlotJob[T] | None) -> None:
        """This process drives it by ``job`` from now on; None: no longer."""
        # Its waiters poll the slot from its admission on.
        waiters = [] if self.admitted_at is None else self.waiters()
        for waiter in waiters:
            self.unsubscribe(waiter.interval)
        self.driven = job
        for waiter in waiters:
            self.subscribe(waiter.interval)

    def follow(self, job: SlotJob[T]) -> None:
        """Take over what ``job``, which drives it in this process, has learned."""
        self.attempts = job.attempts
        self.waits = job.waits
        self.last_poll_error = job.last_poll_error
        if job.id is not None and job.id != self.id:
            self._admitted(job.id, job.not_before, job.status)
        if job.done:
            self.finish(job.status, result=job.result, error=job.error)
        else:
            self.update(job.status)

    def read(self, row: JobProgress | None) -> None:
        """Take over what its row says; None: the store does not have it."""
        if row is None and (token := self.token if self.id is not None else self.given) is not None:
            # It was pruned, or is in another store. The server may know it all the same.
            self._is_stored = False
            self.driven = self._durable.job_at_server(token, self.settings)
            self.follow(self.driven)
            for waiter in self.waiters():
                waiter.wake()
            return
        if row is None:
            status = JobStatus(JobState.LOST, error="the store does not have it")
            message = f"{self.description}: {self._durable.name} does not have it; it may have been pruned"
            self.finish(status, error=JobLost(message, status=status, token=self.token_text))
            return
        if self.done:
            return
        self.attempts = row.attempts
        self.waits = row.waits
        self.created_at = self._at(row.created_at)
        if row.operation_id is not None and row.operation_id != self.id:
            self._admitted(row.operation_id, row.not_before, RUNNING)
        if row.admitted_at is not None:
            self.admitted_at = self._at(row.admitted_at)
        if row.state is RowState.ENDED and row.outcome is not None:
            finish(self, row.outcome, self._durable.endpoint(row.kind).read)
            if row.ended_at is not None:
                self.ended_at = self._at(row.ended_at)

    def _at(self, epoch: float) -> float:
        """The time of ``epoch`` seconds by the clock's ``now``."""
        return self.now() - (self._jobs.clock.time() - epoch)

    def _admitted(self, operation_id: str, not_before: int | None, status: JobStatus) -> None:
        self.not_before = not_before
        if self.admitted_at is None:
            self.admit(operation_id, status)
        else:  # the server had lost it, and it was started again
            self.id = operation_id
