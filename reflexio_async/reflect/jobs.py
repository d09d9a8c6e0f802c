"""Traces as jobs: sending one, following it until it is stored or reviewed, finding it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote

from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.settings import RetryPolicy
from reflexio_async._engine.wire import Answer, EncodedRequest, Endpoint, model, path_segment
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.kinds import trace_kind
from reflexio_async.reflect.models import IngestStatus, Trace, TraceSubmission
from reflexio_async.reflect.rows import PROJECT, in_project, of_reflect

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from reflexio_async._engine.call import Caller
    from reflexio_async._engine.engine import Engine
    from reflexio_async._engine.jobs.kinds import PolledKind
    from reflexio_async._engine.jobs.record import JobRecord
    from reflexio_async._engine.settings import Settings
    from reflexio_async.reflect.requests import TraceCreate

T = TypeVar("T")

_TIMEOUT = 30.0  # seconds for one status call; the poller asks again anyway

CREATE_TRACE = of_reflect(Endpoint("POST", PROJECT + "/traces"))
GET_TRACE = of_reflect(Endpoint("GET", PROJECT + "/traces/{trace_id}", repeatable=True))
_SUBMISSION = model(TraceSubmission)
_TRACE = model(Trace)


class TraceJob(Job[Trace]):
    """A trace on its way: ``await`` it for the Trace, or drop it and the server goes on.

    Sent without a review it is done when the trace is stored; with one, when it is reviewed and
    ``created_memory_id`` tells the memory that it became.
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
        """How far the server was when it last said: queued, processing, completed or failed."""
        return self._record.status.message or self._submitted


def job_id_of(project_id: str, trace_id: str) -> str:
    """What a trace is called in tokens and messages: a project's own ids need not be unique elsewhere."""
    return f"{quote(project_id, safe='')}/{trace_id}"


def trace_id_of(job_id: str) -> str:
    """The trace's own id in ``job_id``."""
    return job_id.partition("/")[2]


def follow(engine: Engine, project_id: str, trace_id: str, *, reviewed: bool) -> TraceJob:
    """The job of a trace that was sent before."""
    kind = trace_kind(engine.settings, reviewed=reviewed)
    job_id = job_id_of(project_id, trace_id)
    return TraceJob(engine.jobs.follow(kind, job_id, engine.settings))


def resume(engine: Engine, token: str) -> TraceJob:
    """The job that ``token`` stands for."""
    record = engine.jobs.resume(token, engine.settings)
    if not trace_id_of(record.id or ""):
        message = "token: it names no trace"
        raise InvalidRequest(message)
    return TraceJob(record)


async def submit(
    engine: Engine,
    request: TraceCreate,
    *,
    limit_wait: float | None = None,
    withdrawn: asyncio.Event | None = None,
    on_attempt: Callable[[], None] | None = None,
) -> TraceJob:
    """Send a trace once; the options are those of ``Caller.send``."""
    settings = engine.settings
    request = in_project(request, settings)
    project_id = request.project_id or settings.project_id
    answer = await engine.caller.call(
        CREATE_TRACE,
        request,
        _SUBMISSION,
        settings,
        limit_wait=limit_wait,
        withdrawn=withdrawn,
        on_attempt=on_attempt,
    )
    kind = trace_kind(settings, reviewed=request.review is not None)
    record = engine.jobs.follow(kind, job_id_of(project_id, answer.trace_id), settings)
    return TraceJob(record, answer.ingest_status)


class TraceStatus:
    """The status calls for traces. Each is sent once, without retries: the poller asks again anyway."""

    def __init__(self, caller: Caller, settings: Settings) -> None:
        self.url = settings.base_url
        self._caller = caller
        self._settings = settings.with_options(
            retry=RetryPolicy(max_attempts=1), timeout=min(settings.timeout, _TIMEOUT)
        )
        self._rate_limiter = caller.rate_limiter(GET_TRACE.path)  # one for the paths of all traces

    def status(self, kind: PolledKind[T], job_id: str) -> Coroutine[Any, Any, T]:  # noqa: ARG002  # both ask alike
        """The trace."""
        project, _, trace_id = job_id.partition("/")
        path = f"/v1/projects/{project}/traces/{path_segment('trace_id', trace_id)}"
        encoded = EncodedRequest("GET", path, path, None, None)
        answer = cast("Answer[T]", _TRACE)  # every kind here is of traces
        return self._caller.send(
            GET_TRACE, encoded, answer, self._settings, limit_wait=0, rate_limiter=self._rate_limiter
        )

    async def stop(self, kind: PolledKind[Any], job_id: str) -> None:
        """Raise InvalidRequest: Reflect cannot stop taking in a trace."""
        message = f"{kind.name} {job_id} cannot be cancelled"
        raise InvalidRequest(message)
