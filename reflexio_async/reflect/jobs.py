"""Traces as jobs: the handle, the two kinds of job, and the status source for the engine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast
from urllib.parse import quote, unquote

from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.jobs.kinds import PolledKind, PollRate
from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async._engine.settings import RetryPolicy
from reflexio_async._engine.wire import EncodedRequest, Endpoint, path_segment
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.models.traces import IngestStatus, ReviewStatus, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reflexio_async._engine.availability import Availability
    from reflexio_async._engine.call import Caller
    from reflexio_async._engine.jobs.record import JobRecord
    from reflexio_async._engine.settings import Settings

T = TypeVar("T")

PROJECT = "/v1/projects/{project_id}"
GET_TRACE = Endpoint("GET", PROJECT + "/traces/{trace_id}", Trace)

# The defaults of waiting for a trace, in seconds.
POLL_INTERVAL = 0.25
WAIT_TIMEOUT = 60.0

STORED = "trace"
REVIEWED = "reviewed_trace"

_STATUS_REQUEST_TIMEOUT = 30.0  # seconds of one status request
_MAX_CONCURRENT_POLLS = 32  # enough for 200 requests a second with responses in 0.16 s


class TraceJob(Job[Trace]):
    """The handle of a trace that was sent. ``await`` it for the Trace; the server needs no waiting.

    A trace without a review is done when it is stored. A trace with a review is done when it is reviewed.
    Then ``created_memory_id`` of the Trace names the memory that the server made of it.
    """

    __slots__ = ("_first_ingest_status",)

    def __init__(self, record: JobRecord[Trace], first_ingest_status: str = IngestStatus.QUEUED) -> None:
        super().__init__(record)
        self._first_ingest_status = first_ingest_status

    @property
    def id(self) -> str:
        """The id of the trace."""
        _, trace_id = split_job_id(self._record.id or "")
        return trace_id

    @property
    def trace_id(self) -> str:
        """The same as ``id``, under the official client's name of it."""
        return self.id

    @property
    def ingest_status(self) -> str:
        """The last known status of storing the trace: queued, processing, completed or failed."""
        return self._record.status.message or self._first_ingest_status


def job_id_of(project_id: str, trace_id: str) -> str:
    """The id of a trace in tokens and messages. Trace ids are unique within a project only."""
    return f"{quote(project_id, safe='')}/{trace_id}"


def split_job_id(job_id: str) -> tuple[str, str]:
    """The project and the trace id in a ``job_id``."""
    project, _, trace_id = job_id.partition("/")
    return unquote(project), trace_id


class TraceKinds(NamedTuple):
    """The two kinds of trace job: done when the trace is stored, and done when it is reviewed."""

    stored: PolledKind[Trace]
    reviewed: PolledKind[Trace]

    def by_name(self) -> Mapping[str, PolledKind[Any]]:
        """Both kinds, by name."""
        return {kind.name: kind for kind in self}


def trace_kinds(per_second: float) -> TraceKinds:
    """Make both kinds. Together they send at most ``per_second`` status requests a second."""
    concurrency = min(_MAX_CONCURRENT_POLLS, math.ceil(per_second))
    rate = PollRate("traces", per_second=per_second, concurrency=concurrency)

    def kind(name: str, read: Callable[[Trace], JobStatus]) -> PolledKind[Trace]:
        return PolledKind(
            name,
            interval=POLL_INTERVAL,
            timeout=WAIT_TIMEOUT,
            read=read,
            rate=rate,
            unknown_at_first="it is not stored yet, or its id or project is wrong",
        )

    return TraceKinds(kind(STORED, _stored), kind(REVIEWED, _reviewed))


def _stored(trace: Trace) -> JobStatus:
    return _status(trace, done=True)  # the server returns only traces that are stored


def _reviewed(trace: Trace) -> JobStatus:
    return _status(trace, done=trace.review_status == ReviewStatus.REVIEWED)


def _status(trace: Trace, *, done: bool) -> JobStatus:
    ingest = str(trace.ingest_status)
    if ingest == IngestStatus.FAILED:
        error = trace.last_ingest_error or "the server names no reason"
        return JobStatus(JobState.FAILED, message=ingest, error=error)
    return JobStatus(JobState.COMPLETED if done else JobState.RUNNING, message=ingest)


class TraceStatus:
    """The status source of a Reflect server. A status request is not retried, since polling repeats it."""

    def __init__(self, caller: Caller, settings: Settings) -> None:
        self.url = settings.base_url
        self._caller = caller
        self._settings = settings.with_options(
            retry=RetryPolicy(max_attempts=1), timeout=min(settings.timeout, _STATUS_REQUEST_TIMEOUT)
        )
        # One for all traces: if the server has a rate limit, it counts the requests for all of them.
        self._rate_limiter = caller.rate_limiter(GET_TRACE.path)

    @property
    def availability(self) -> Availability:
        """Whether the server answers."""
        return self._caller.availability

    async def status(self, kind: PolledKind[T], job_id: str) -> T:  # noqa: ARG002  # both kinds read a Trace
        """Return the trace."""
        project_id, _, trace_id = job_id.partition("/")  # the project is quoted already
        path = GET_TRACE.path.format(project_id=project_id, trace_id=path_segment("trace_id", trace_id))
        trace = await self._caller.send(
            GET_TRACE,
            EncodedRequest("GET", path, path, None, None),  # as ``encode`` makes it, at a tenth of its cost
            self._settings,
            limit_wait=0,
            rate_limiter=self._rate_limiter,
        )
        return cast("T", trace)

    async def stop(self, kind: PolledKind[Any], job_id: str) -> None:
        """Raise InvalidRequest, because a Reflect server cannot stop storing a trace."""
        message = f"{kind.name} {job_id} cannot be cancelled"
        raise InvalidRequest(message)
