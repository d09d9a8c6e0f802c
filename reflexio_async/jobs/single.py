"""Jobs with a status route of their own, asked for by id: learning, aggregation, regeneration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reflexio_async.errors import InvalidRequest, JobCancelled, JobFailed, JobLost
from reflexio_async.jobs.poller import Source
from reflexio_async.jobs.record import Record
from reflexio_async.jobs.status import JobState, JobStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async.jobs.kinds import SingleKind
    from reflexio_async.jobs.poller import Cap, Poller
    from reflexio_async.jobs.record import Waiting
    from reflexio_async.jobs.token import Token

T = TypeVar("T")


class SingleSource(Source, Generic[T]):
    """The status of one job."""

    def __init__(
        self,
        poller: Poller,
        kind: SingleKind[T],
        token: Token,
        waiting: Waiting,
        *,
        ask: Callable[[str], Awaitable[T]],
        stop: Callable[[str], Awaitable[None]],
        cap: Cap | None,
    ) -> None:
        super().__init__(poller, kind.name, interval=kind.interval, cap=cap)
        self._ask = ask
        self._stop = stop
        self._kind = kind
        self._id = token.id
        self.record: Record[T] = Record(kind, self, waiting)
        self.record.admit(token, JobStatus(JobState.RUNNING))

    async def probe(self) -> None:
        """Ask for the status and pass it on."""
        answer = await self._ask(self._id)
        status = self._kind.read(answer)
        record = self.record
        token = record.token_text
        if status.state is JobState.FAILED:
            message = f"{record.kind.name} {self._id}: {status.error}"
            record.finish(status, error=JobFailed(message, status=status, token=token))
        elif status.state is JobState.CANCELLED:
            message = f"{record.kind.name} {self._id} was cancelled at the server"
            record.finish(status, error=JobCancelled(message, status=status, token=token))
        elif status.done:
            record.finish(status, result=answer)
        else:
            record.update(status)

    def failed(self, error: Exception, *, transient: bool) -> None:
        """Remember the error, and end in it unless it may pass."""
        self.record.last_probe_error = error
        if not transient:
            self.record.finish(JobStatus(JobState.LOST, error=str(error)), error=error)

    def give_up(self, reason: str) -> None:
        """Nobody will ask any more."""
        message = (
            f"{self.record.kind.name} {self._id}: {reason} while somebody waited; resume it by its token"
        )
        status = JobStatus(JobState.LOST, error=reason)
        self.record.finish(status, error=JobLost(message, status=status, token=self.record.token_text))

    async def refresh(self) -> None:
        """Ask for the status once, now."""
        await self.probe()

    async def cancel(self, record: Record[Any]) -> None:  # noqa: ARG002  # its only one
        """Ask the server to stop it, where it can be."""
        if self._kind.cancellable:
            await self._stop(self._id)
            return
        message = f"a {self.record.kind.name} job cannot be cancelled"
        raise InvalidRequest(message)
