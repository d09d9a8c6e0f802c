"""The asyncio client for agent memory: AsyncReflexioClient for Reflexio, AsyncReflectClient for Reflect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async._version import __version__

if TYPE_CHECKING:
    from reflexio_async._engine.batch.batch import Batch
    from reflexio_async._engine.batch.progress import BatchPlan, BatchProgress
    from reflexio_async._engine.batch.report import BatchReport, Outcome, OutcomeState
    from reflexio_async._engine.clock import Clock, SystemClock
    from reflexio_async._engine.drain_summary import DrainSummary
    from reflexio_async._engine.events import BackgroundErrorEvent, RequestEvent, RetryEvent
    from reflexio_async._engine.jobs.job import Job, JobTiming, as_completed, gather_jobs
    from reflexio_async._engine.jobs.status import JobState, JobStatus
    from reflexio_async._engine.jobs.waits import JobWait, WaitingFor, WaitReason
    from reflexio_async._engine.outbox_call import OutboxCall
    from reflexio_async._engine.settings import ClientOptions, RetryPolicy
    from reflexio_async._engine.tasks import BackgroundCall
    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.durable.entries import (
        AccountEntry,
        BatchEntry,
        CallEntry,
        JobEntry,
        LaneEntry,
        StoreStats,
    )
    from reflexio_async.durable.view import StoreView
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
        LeaseLost,
        NotFound,
        PayloadTooLarge,
        PermissionDenied,
        RateLimited,
        ReflexioError,
        RequestRefused,
        ServerError,
        StoreError,
        UnexpectedResponse,
        UnprocessableRequest,
        Withdrawn,
    )
    from reflexio_async.memory.context import MemoryContext
    from reflexio_async.memory.conversation import Conversation
    from reflexio_async.memory.messages import interactions_from
    from reflexio_async.reflect.client import AsyncReflectClient
    from reflexio_async.reflect.converters import (
        from_agent_framework,
        from_google_adk,
        from_langchain,
        from_openai_agents,
        from_pydantic_ai,
    )
    from reflexio_async.reflect.decorator import TraceResult, reflect_trace
    from reflexio_async.reflect.jobs import TraceJob
    from reflexio_async.reflect.learning_report import LearningReport
    from reflexio_async.reflect.trace_context import TraceContext
    from reflexio_async.reflexio.api.session_scoped import SessionScopedClient
    from reflexio_async.reflexio.server_knowledge import ServerQuirkWarning

__all__: list[str] = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeout",
    "AccountEntry",
    "AsyncReflectClient",
    "AsyncReflexioClient",
    "AuthenticationError",
    "BackgroundCall",
    "BackgroundErrorEvent",
    "BadRequest",
    "Batch",
    "BatchEntry",
    "BatchInterrupted",
    "BatchPlan",
    "BatchProgress",
    "BatchReport",
    "CallEntry",
    "ClientClosed",
    "ClientOptions",
    "Clock",
    "ConfigurationError",
    "Conflict",
    "Conversation",
    "DrainSummary",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "JobEntry",
    "JobError",
    "JobFailed",
    "JobLost",
    "JobState",
    "JobStatus",
    "JobTimeout",
    "JobTiming",
    "JobWait",
    "LaneEntry",
    "LearningReport",
    "LeaseLost",
    "MemoryContext",
    "NotFound",
    "OutboxCall",
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
    "SessionScopedClient",
    "StoreError",
    "StoreStats",
    "StoreView",
    "SystemClock",
    "TraceContext",
    "TraceJob",
    "TraceResult",
    "UnexpectedResponse",
    "UnprocessableRequest",
    "WaitReason",
    "WaitingFor",
    "Withdrawn",
    "__version__",
    "as_completed",
    "from_agent_framework",
    "from_google_adk",
    "from_langchain",
    "from_openai_agents",
    "from_pydantic_ai",
    "gather_jobs",
    "interactions_from",
    "reflect_trace",
]

if TYPE_CHECKING:
    from reflexio_async.reflect import models as reflect_models
    from reflexio_async.reflect.models import *  # noqa: F403
    from reflexio_async.reflexio import models as reflexio_models
    from reflexio_async.reflexio.models import *  # noqa: F403

    __all__ += reflexio_models.__all__
    __all__ += reflect_models.__all__

    # The names that the official packages have for them: see _OFFICIAL_NAMES.
    ReflexioClient = AsyncReflexioClient
    Interaction = reflexio_models.InteractionView
    PlaybookConfig = reflexio_models.UserPlaybookExtractorConfig
    SearchInteractionResponse = reflexio_models.SearchInteractionsViewResponse
    SearchUserProfileResponse = reflexio_models.SearchProfilesViewResponse
    ReflectClient = AsyncReflectClient
    ApiKeyCreateResponse = reflect_models.CreatedApiKey
    ApiKeyResponse = reflect_models.ApiKeyInfo
    BootstrapInfo = reflect_models.BootstrapResponse
    MemoryResponse = reflect_models.Memory
    ReviewResponse = reflect_models.Review
    SkillResponse = reflect_models.Skill
    TraceCreateResponse = reflect_models.TraceSubmission
    TraceResponse = reflect_models.Trace
    from_deepagents = from_langchain
else:
    # A name is loaded when it is first used: every run of pytest imports this package, for its plugin.
    _MODULES = {
        "_engine.drain_summary": "DrainSummary",
        "_engine.batch.batch": "Batch",
        "_engine.batch.progress": "BatchPlan BatchProgress",
        "_engine.batch.report": "BatchReport Outcome OutcomeState",
        "client": "AsyncReflexioClient",
        "durable.entries": "AccountEntry BatchEntry CallEntry JobEntry LaneEntry StoreStats",
        "durable.view": "StoreView",
        "_engine.tasks": "BackgroundCall",
        "_engine.outbox_call": "OutboxCall",
        "_engine.clock": "Clock SystemClock",
        "errors": (
            "APIConnectionError APIStatusError APITimeout AuthenticationError BadRequest "
            "BatchInterrupted ClientClosed ConfigurationError Conflict InvalidRequest JobCancelled "
            "JobError JobFailed JobLost JobTimeout LeaseLost NotFound PayloadTooLarge PermissionDenied "
            "RateLimited ReflexioError RequestRefused ServerError StoreError UnexpectedResponse "
            "UnprocessableRequest Withdrawn "
        ),
        "_engine.events": "BackgroundErrorEvent RequestEvent RetryEvent",
        "_engine.jobs.job": "Job JobTiming as_completed gather_jobs",
        "_engine.jobs.status": "JobState JobStatus",
        "_engine.jobs.waits": "JobWait WaitReason WaitingFor",
        "memory.context": "MemoryContext",
        "memory.conversation": "Conversation",
        "memory.messages": "interactions_from",
        "reflect.client": "AsyncReflectClient",
        "reflect.converters": (
            "from_agent_framework from_google_adk from_langchain from_openai_agents from_pydantic_ai"
        ),
        "reflect.trace_context": "TraceContext",
        "reflect.decorator": "TraceResult reflect_trace",
        "reflect.jobs": "TraceJob",
        "reflect.learning_report": "LearningReport",
        "reflexio.api.session_scoped": "SessionScopedClient",
        "reflexio.server_knowledge": "ServerQuirkWarning",
        "_engine.settings": "ClientOptions RetryPolicy",
    }
    _MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

    # Names of the official packages (reflexio-client, reflexio-ai, reflect-sdk) that differ from ours.
    _OFFICIAL_NAMES = {
        "ReflexioClient": "AsyncReflexioClient",
        "Interaction": "InteractionView",
        "PlaybookConfig": "UserPlaybookExtractorConfig",
        "SearchInteractionResponse": "SearchInteractionsViewResponse",
        "SearchUserProfileResponse": "SearchProfilesViewResponse",
        "ReflectClient": "AsyncReflectClient",
        "ApiKeyCreateResponse": "CreatedApiKey",
        "ApiKeyResponse": "ApiKeyInfo",
        "BootstrapInfo": "BootstrapResponse",
        "MemoryResponse": "Memory",
        "ReviewResponse": "Review",
        "SkillResponse": "Skill",
        "TraceCreateResponse": "TraceSubmission",
        "TraceResponse": "Trace",
        "from_deepagents": "from_langchain",
    }

    def __getattr__(name: str) -> object:
        from importlib import import_module  # noqa: PLC0415  # no name of ours

        own_name = _OFFICIAL_NAMES.get(name, name)
        if own_name in _MODULE_OF:
            value = getattr(import_module(f"reflexio_async.{_MODULE_OF[own_name]}"), own_name)
            globals()[own_name] = value
            return value
        message = f"module {__name__!r} has no attribute {name!r}"
        if name.startswith("_"):
            raise AttributeError(message)
        # The models of the services' requests and responses.
        known = [*_MODULE_OF, *_OFFICIAL_NAMES]
        for module in ("reflexio_async.reflexio.models", "reflexio_async.reflect.models"):
            models = import_module(module)
            if own_name in models.__all__:
                return getattr(models, own_name)
            known += models.__all__
        from difflib import get_close_matches  # noqa: PLC0415  # as above

        close = get_close_matches(name, known, n=1)
        if name.endswith("Client"):
            message += "; the clients are AsyncReflexioClient and AsyncReflectClient"
        elif close:
            message += f"; did you mean {_OFFICIAL_NAMES.get(close[0], close[0])}?"
        raise AttributeError(message)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, *_OFFICIAL_NAMES})
