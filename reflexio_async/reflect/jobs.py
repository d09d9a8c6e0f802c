"""Traces as jobs: their kinds, their handle, and the status source that the engine asks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast
from urllib.parse import quote

from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.jobs.kinds import PolledKind, PollRate
from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async._engine.settings import RetryPolicy
from reflexio_async._engine.wire import EncodedRequest, Endpoint, path_segment
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.models import IngestStatus, ReviewStatus, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from reflexio_async._engine.call import Caller
    from reflexio_async._engine.jobs.record import JobRecord
    from reflexio_async._engine.settings import Settings

T = TypeVar("T")

PROJECT = "/v1/projects/{project_id}"
GET_TRACE = Endpoint("GET", PROJECT + "/traces/{trace_id}", Trace)

STORED = "trace"
REVIEWED = "reviewed_trace"

_TIMEOUT = 30.0  # seconds of one status request; the poller asks again anyway
_AT_ONCE = 32  # requests: 200 a second need so many where a response takes 0.16 s


class TraceJob(Job[Trace]):
    """A trace that was sent: ``await`` it for the Trace, or drop it and the server goes on.

    Sent without a review it is done when the trace is stored. With a review it is done when the trace is
    reviewed, and ``created_memory_id`` of the Trace names the memory that it became.
    """

    __slots__ = ("_submitted",)

    def __init__(self, record: JobRecord[Trace], submitted: str = IngestStatus.QUEUED) -> None:
        super().__init__(record)
        self._submitted = submitted

    @property
    def id(self) -> str:
        """The trace's id."""
        return trace_id_of(self._record.id or "")

    @property
    def ingest_status(self) -> str:
        """How far the server was at the last status: queued, processing, completed or failed."""
        return self._record.status.message or self._submitted


def job_id_of(project_id: str, trace_id: str) -> str:
    """The id of a trace in tokens and messages: trace ids are unique within a project only."""
    return f"{quote(project_id, safe='')}/{trace_id}"


def trace_id_of(job_id: str) -> str:
    """The trace's own id in ``job_id``."""
    return job_id.partition("/")[2]


class TraceKinds(NamedTuple):
    """The two kinds of trace job: done when the trace is stored, and done when it is reviewed."""

    stored: PolledKind[Trace]
    reviewed: PolledKind[Trace]

    def by_name(self) -> Mapping[str, PolledKind[Any]]:
        """Both, by name."""
        return {kind.name: kind for kind in self}


def trace_kinds(per_second: float) -> TraceKinds:
    """Both kinds; together they make at most ``per_second`` status requests a second."""
    rate = PollRate("traces", per_second=per_second, concurrency=min(_AT_ONCE, math.ceil(per_second)))

    def kind(name: str, read: Callable[[Trace], JobStatus]) -> PolledKind[Trace]:
        return PolledKind(name, interval=0.25, timeout=60.0, read=read, rate=rate, appears_late=True)

    return TraceKinds(kind(STORED, _stored), kind(REVIEWED, _reviewed))


def _stored(trace: Trace) -> JobStatus:
    # A trace that the server returns is stored.
    return _status(trace, done=True)


def _reviewed(trace: Trace) -> JobStatus:
    return _status(trace, done=trace.review_status == ReviewStatus.REVIEWED)


def _status(trace: Trace, *, done: bool) -> JobStatus:
    ingest = str(trace.ingest_status)
    if ingest == IngestStatus.FAILED:
        error = trace.last_ingest_error or "the server names no reason"
        return JobStatus(JobState.FAILED, message=ingest, error=error)
    return JobStatus(JobState.COMPLETED if done else JobState.RUNNING, message=ingest)


class TraceStatus:
    """The status source of a Reflect server. Each question is one try: polling is its own retry."""

    def __init__(self, caller: Caller, settings: Settings) -> None:
        self.url = settings.base_url
        self._caller = caller
        self._settings = settings.with_options(
            retry=RetryPolicy(max_attempts=1), timeout=min(settings.timeout, _TIMEOUT)
        )
        # One for the paths of all traces: they share a rate limit, if there is any.
        self._rate_limiter = caller.rate_limiter(GET_TRACE.path)

    def status(self, kind: PolledKind[T], job_id: str) -> Coroutine[Any, Any, T]:  # noqa: ARG002  # both kinds read a Trace
        """The trace."""
        project, _, trace_id = job_id.partition("/")
        path = f"/v1/projects/{project}/traces/{path_segment('trace_id', trace_id)}"
        trace = self._caller.send(
            GET_TRACE,
            EncodedRequest("GET", path, path, None, None),
            self._settings,
            limit_wait=0,
            rate_limiter=self._rate_limiter,
        )
        return cast("Coroutine[Any, Any, T]", trace)

    async def stop(self, kind: PolledKind[Any], job_id: str) -> None:
        """Reflect cannot stop taking a trace in."""
        message = f"{kind.name} {job_id} cannot be cancelled"
        raise InvalidRequest(message)
