"""What the engine reports about its work. The observer here does nothing; ``tracing.py`` has another.

The parts of a client reach its observer by their TaskTracker or their Caller.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from os import fspath
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Mapping
    from contextvars import Context
    from typing import Protocol

    from reflexio_async._engine.batch.report import OutcomeState
    from reflexio_async._engine.call import Call
    from reflexio_async._engine.jobs.manager import JobManager
    from reflexio_async._engine.jobs.record import JobRecord
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.wire import EncodedRequest, Endpoint

    class CountsCalls(Protocol):
        """An outbox, as far as an observer reads it."""

        @property
        def size(self) -> int | None:
            """How many calls wait; None: that is not known."""
            ...


T = TypeVar("T")


class BackgroundObserver:
    """Observes one background call, or one job."""

    __slots__ = ()

    context: Context | None = None
    """The context in which its requests are sent; None: that of the running task."""

    def ended(self, task: asyncio.Task[Any]) -> None:
        """The background call has ended."""

    def job_ended(self, job: JobRecord[Any]) -> None:
        """The outcome of the job is known."""

    def job_left(self) -> None:
        """The job goes on, and this client does not follow it any more."""


NOT_OBSERVED = BackgroundObserver()


class Observer:
    """Observes one client. This one does nothing."""

    is_on = False
    """Whether it does anything. What happens for every request is not reported to one that does not."""

    def run(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        """Run one call, with all its tries."""
        return call.run()

    def retried(self, endpoint: Endpoint[Any], reason: str) -> None:
        """A call will be tried again. ``reason`` is the name of the error's class."""

    def refused(self, endpoint: Endpoint[Any], reason: str) -> None:
        """The server has refused a call: by its rate limit, or by ``success: false``."""

    def waited(self, endpoint: Endpoint[Any], seconds: float) -> None:
        """A request has waited for the rate limit."""

    def polled(self, name: str, lag: float) -> None:
        """A status request is sent, ``lag`` seconds after it was due. ``name`` is that of its source."""

    def stamped(self, request: EncodedRequest) -> EncodedRequest:
        """``request`` with the name of the running trace, for what is sent later, maybe elsewhere."""
        return request

    def detached(self) -> Context | None:
        """The context of a task that works for many callers; None: that of the running task."""
        return None

    def job(
        self,
        kind: str,
        request: EncodedRequest | None = None,  # noqa: ARG002  # the subclass uses it
        *,
        age: float = 0.0,  # noqa: ARG002  # as above
    ) -> BackgroundObserver:
        """A job was made.

        Args:
            kind: The name of its kind.
            request: Its start, as ``stamped``; None: it is started by the running call.
            age: Seconds for which it has waited in a store.
        """
        del kind
        return NOT_OBSERVED

    def background(self, name: str) -> BackgroundObserver:
        """A background call begins."""
        del name
        return NOT_OBSERVED

    def batch(self, name: str, counts: Mapping[OutcomeState, int]) -> AbstractContextManager[object]:
        """A batch runs in this block. ``counts`` has its outcomes at the end."""
        del name, counts
        return nullcontext()

    def batch_outcome(self, name: str, outcome: OutcomeState) -> None:
        """One key of a batch has ended."""

    def accepting(self, call: str) -> AbstractContextManager[object]:
        """A call is accepted by the outbox in this block."""
        del call
        return nullcontext()

    def delivering(self, call: str, request: EncodedRequest) -> AbstractContextManager[object]:
        """A call of the outbox is delivered in this block."""
        del call, request
        return nullcontext()

    def set_aside(self, reason: str) -> None:
        """The call that is delivered in this block was set aside. ``reason`` names the error's class."""

    def watch_jobs(self, jobs: JobManager) -> None:
        """Count the jobs of ``jobs`` when metrics are read."""

    def watch_outbox(self, outbox: CountsCalls) -> None:
        """Count the calls in ``outbox`` when metrics are read."""


def observer_for(settings: Settings) -> Observer:
    """The observer of a client: OpenTelemetry's, if that is installed and the option ``tracing`` is on."""
    if settings.tracing:
        try:
            from reflexio_async._engine.tracing import Tracing  # noqa: PLC0415  # an extra
        except ImportError:
            pass
        else:
            is_file = settings.store is not None and not settings.has_workers
            return Tracing(fspath(settings.store) if is_file and settings.store is not None else None)
    return Observer()
