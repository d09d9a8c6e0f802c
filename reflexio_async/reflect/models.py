"""What Reflect answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import AliasChoices, ConfigDict, Field

from reflexio_async._engine.models import ResponseModel, empty_dict, empty_list


class IngestStatus(StrEnum):
    """How far the server is with a trace."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class ReviewStatus(StrEnum):
    """Whether a trace has been judged."""

    PENDING = "pending"
    REVIEWED = "reviewed"


class Memory(ResponseModel):
    """A lesson from a run, and how much it has been worth."""

    id: str
    task: str
    reflection: str
    q_value: float = 0.5
    similarity: float = 0.0
    score: float = 0.0
    success: bool | None = None
    summary: str = ""
    key_mistake: str = ""
    correct_action: str = ""
    applicable_tools: list[str] = Field(default_factory=empty_list)
    guidance: str = ""
    tools_used: list[str] = Field(default_factory=empty_list)


@dataclass(slots=True)
class AugmentedTask:
    """A task with the memories that go with it: the prompt, and what it was made of."""

    augmented_task: str
    memories: list[Memory]


class Review(ResponseModel):
    """How a trace was judged."""

    id: str
    trace_id: str
    result: str
    feedback_text: str | None = None
    mode: str = "deferred"


class Trace(ResponseModel):
    """One run of an agent as the server keeps it."""

    id: str
    task: str
    trajectory: list[dict[str, Any]] = Field(default_factory=empty_list)
    final_response: str = ""
    retrieved_memory_ids: list[str] = Field(default_factory=empty_list)
    review_status: ReviewStatus | str = Field(union_mode="left_to_right")
    ingest_status: IngestStatus | str = Field(default=IngestStatus.COMPLETED, union_mode="left_to_right")
    ingest_attempts: int = 0
    last_ingest_error: str | None = None
    model: str | None = None
    metadata: dict[str, Any] = Field(default_factory=empty_dict)
    created_memory_id: str | None = None
    review: Review | None = None


class TraceSubmission(ResponseModel):
    """The answer to a trace that was sent: it is taken in later."""

    model_config = ConfigDict(cache_strings="keys")  # no two ids are alike

    trace_id: str = Field(validation_alias=AliasChoices("trace_id", "id"))
    ingest_status: IngestStatus | str = Field(union_mode="left_to_right")

    @property
    def id(self) -> str:
        """The trace's id."""
        return self.trace_id


class Skill(ResponseModel):
    """What the project's runs have taught, in the server's own fields: see ``model_extra``."""


class DeleteTracesResponse(ResponseModel):
    """What was deleted, in the server's own fields: see ``model_extra``."""


class DeleteProjectResponse(ResponseModel):
    """What was deleted, in the server's own fields: see ``model_extra``."""


class ApiKeyInfo(ResponseModel):
    """An API key without its secret."""

    id: str
    public_id: str
    label: str
    scopes: list[str] = Field(default_factory=empty_list)
    environment: str = "live"
    status: str = "active"
    is_master: bool = False
    created_at: str | None = None
    last_used_at: str | None = None
    revoked_at: str | None = None


class CreatedApiKey(ResponseModel):
    """A new key; ``api_key`` is told this once and stays out of reprs."""

    api_key: str = Field(repr=False)
    key: ApiKeyInfo


class BootstrapResponse(ResponseModel):
    """The first key; ``api_key`` is told this once and stays out of reprs."""

    user_id: str
    project_id: str
    api_key: str = Field(repr=False)
