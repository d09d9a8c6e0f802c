"""The asyncio client for agent memory: publish, rerun, wait, and lose nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async.api.lifetime import DrainSummary
from reflexio_async.batch.batch import Batch, BatchPlan, BatchProgress
from reflexio_async.batch.report import BatchReport, Outcome, OutcomeState
from reflexio_async.client import AsyncReflexioClient
from reflexio_async.core.background import BackgroundCall
from reflexio_async.core.clock import Clock, SystemClock
from reflexio_async.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeout,
    AuthenticationError,
    BadRequest,
    BatchInterrupted,
    ClientClosed,
    ConfigurationError,
    Conflict,
    InvalidRequest,
    JobCancelled,
    JobError,
    JobFailed,
    JobLost,
    JobTimeout,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    ReflexioError,
    RequestRefused,
    ServerError,
    UnexpectedResponse,
    UnprocessableRequest,
    Withdrawn,
)
from reflexio_async.events import BackgroundErrorEvent, RequestEvent, RetryEvent
from reflexio_async.jobs.job import Job, JobTiming, as_completed, gather_jobs
from reflexio_async.jobs.status import JobState, JobStatus
from reflexio_async.models.enums import OperationStatus, Status
from reflexio_async.routing.runtime import ServerQuirkWarning
from reflexio_async.settings import RetryPolicy, __version__

if TYPE_CHECKING:
    from reflexio_async.reflect.client import AsyncReflectClient
    from reflexio_async.reflect.context import TraceContext
    from reflexio_async.reflect.decorator import TraceResult, reflect_trace
    from reflexio_async.reflect.jobs import TraceJob

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeout",
    "AsyncReflectClient",
    "AsyncReflexioClient",
    "AuthenticationError",
    "BackgroundCall",
    "BackgroundErrorEvent",
    "BadRequest",
    "Batch",
    "BatchInterrupted",
    "BatchPlan",
    "BatchProgress",
    "BatchReport",
    "ClientClosed",
    "Clock",
    "ConfigurationError",
    "Conflict",
    "DrainSummary",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "JobError",
    "JobFailed",
    "JobLost",
    "JobState",
    "JobStatus",
    "JobTimeout",
    "JobTiming",
    "NotFound",
    "OperationStatus",
    "Outcome",
    "OutcomeState",
    "PayloadTooLarge",
    "PermissionDenied",
    "RateLimited",
    "ReflexioError",
    "RequestEvent",
    "RequestRefused",
    "RetryEvent",
    "RetryPolicy",
    "ServerError",
    "ServerQuirkWarning",
    "Status",
    "SystemClock",
    "TraceContext",
    "TraceJob",
    "TraceResult",
    "UnexpectedResponse",
    "UnprocessableRequest",
    "Withdrawn",
    "__version__",
    "as_completed",
    "gather_jobs",
    "reflect_trace",
]

if not TYPE_CHECKING:  # else no name would be misspelt to a checker
    # Reflect's models are loaded with the first of these that is asked for.
    _LATE = {
        "AsyncReflectClient": "client",
        "TraceContext": "context",
        "TraceJob": "jobs",
        "TraceResult": "decorator",
        "reflect_trace": "decorator",
    }

    def __getattr__(name: str) -> object:
        if name not in _LATE:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        from importlib import import_module  # noqa: PLC0415  # rarely needed, and no name of ours

        value = getattr(import_module(f"{__name__}.reflect.{_LATE[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
