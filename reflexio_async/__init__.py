"""The asyncio client for agent memory: publish, rerun, wait, and lose nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
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
    from reflexio_async.reflect.client import AsyncReflectClient
    from reflexio_async.reflect.context import TraceContext
    from reflexio_async.reflect.decorator import TraceResult, reflect_trace
    from reflexio_async.reflect.jobs import TraceJob
    from reflexio_async.routing.runtime import ServerQuirkWarning
    from reflexio_async.settings import RetryPolicy

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
    # By the file that holds them. Nothing is loaded before it is asked for: the pytest plugin, a module of
    # this package, is imported by every run of pytest wherever the package is installed.
    _LATE = {
        "api.lifetime": "DrainSummary",
        "batch.batch": "Batch BatchPlan BatchProgress",
        "batch.report": "BatchReport Outcome OutcomeState",
        "client": "AsyncReflexioClient",
        "core.background": "BackgroundCall",
        "core.clock": "Clock SystemClock",
        "errors": (
            "APIConnectionError APIStatusError APITimeout AuthenticationError BadRequest "
            "BatchInterrupted ClientClosed ConfigurationError Conflict InvalidRequest JobCancelled "
            "JobError JobFailed JobLost JobTimeout NotFound PayloadTooLarge PermissionDenied "
            "RateLimited ReflexioError RequestRefused ServerError UnexpectedResponse "
            "UnprocessableRequest Withdrawn "
        ),
        "events": "BackgroundErrorEvent RequestEvent RetryEvent",
        "jobs.job": "Job JobTiming as_completed gather_jobs",
        "jobs.status": "JobState JobStatus",
        "models.enums": "OperationStatus Status",
        "reflect.client": "AsyncReflectClient",
        "reflect.context": "TraceContext",
        "reflect.decorator": "TraceResult reflect_trace",
        "reflect.jobs": "TraceJob",
        "routing.runtime": "ServerQuirkWarning",
        "settings": "RetryPolicy",
    }
    _FILES = {name: file for file, names in _LATE.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        if name not in _FILES:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        from importlib import import_module  # noqa: PLC0415  # no name of ours

        value = getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
