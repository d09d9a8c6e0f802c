"""The asyncio client for agent memory: publish, rerun, wait, and lose nothing."""

from __future__ import annotations

from reflexio_async.batch.batch import Batch, BatchPlan, BatchProgress
from reflexio_async.batch.report import BatchReport, Outcome, OutcomeState
from reflexio_async.client import AsyncReflexioClient, DrainSummary
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

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeout",
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
    "UnexpectedResponse",
    "UnprocessableRequest",
    "Withdrawn",
    "__version__",
    "as_completed",
    "gather_jobs",
]
