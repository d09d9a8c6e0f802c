"""The Reflect service's requests and responses: the names that users import from ``reflexio_async``."""

from __future__ import annotations

# fmt: off
from reflexio_async.reflect.models.memories import AugmentedTask, Memory, MemoryQuery
from reflexio_async.reflect.models.projects import (
    ApiKeyCreate,
    ApiKeyInfo,
    BootstrapRequest,
    BootstrapResponse,
    CreatedApiKey,
    DeleteProjectResponse,
    Skill,
    SkillCreate,
)
from reflexio_async.reflect.models.traces import (
    AuthoredMemory,
    AuthoredReflection,
    DeleteTracesResponse,
    IngestStatus,
    InlineReview,
    Review,
    ReviewCreate,
    ReviewStatus,
    Trace,
    TraceCreate,
    TraceSubmission,
)

__all__ = [
    "ApiKeyCreate", "ApiKeyInfo", "AugmentedTask", "AuthoredMemory", "AuthoredReflection", "BootstrapRequest",
    "BootstrapResponse", "CreatedApiKey", "DeleteProjectResponse", "DeleteTracesResponse", "IngestStatus",
    "InlineReview", "Memory", "MemoryQuery", "Review", "ReviewCreate", "ReviewStatus", "Skill", "SkillCreate",
    "Trace", "TraceCreate", "TraceSubmission",
]
