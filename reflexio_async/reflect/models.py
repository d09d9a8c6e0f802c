"""The Reflect service's requests and responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from reflexio_async._engine.models import (
    Header,
    JsonObject,
    NotBlank,
    Query,
    RequestModel,
    RequestPart,
    ResponseModel,
    Seconds,
    SecretText,
    empty_dict,
    empty_list,
)
from reflexio_async.reflect.trajectory import Trajectory

__all__ = [
    "ApiKeyCreate",
    "ApiKeyInfo",
    "AugmentedTask",
    "AuthoredMemory",
    "AuthoredReflection",
    "BootstrapRequest",
    "BootstrapResponse",
    "CreatedApiKey",
    "DeleteProjectResponse",
    "DeleteTracesResponse",
    "IngestStatus",
    "InlineReview",
    "Memory",
    "MemoryQuery",
    "Review",
    "ReviewCreate",
    "ReviewStatus",
    "Skill",
    "SkillCreate",
    "Trace",
    "TraceCreate",
    "TraceSubmission",
]


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


# Requests

_VERDICTS = {"pass": "pass", "success": "pass", "fail": "fail", "failure": "fail"}


def verdict(result: str) -> str:
    """``pass`` or ``fail``; ``success`` and ``failure`` mean the same, in any case."""
    word = _VERDICTS.get(result.strip().lower())
    if word is None:
        message = "must be 'pass' or 'fail' ('success' and 'failure' mean the same)"
        raise ValueError(message)
    return word


def _none_given(value: Any) -> Any:
    return () if value is None else value


Verdict = Annotated[str, AfterValidator(verdict), WithJsonSchema({"enum": ["pass", "fail"]})]
StepSize = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1)]
Ids = Annotated[Sequence[NotBlank], BeforeValidator(_none_given)]


class NoneLeftOut(RequestPart):
    """Fields that are None are not sent."""

    @model_validator(mode="after")
    def _none_is_left_out(self) -> Self:
        given = self.model_fields_set
        for name in [name for name in given if getattr(self, name) is None]:
            given.discard(name)
        return self


class ReflectRequest(NoneLeftOut, RequestModel):
    """The base of every request."""


class InProject(ReflectRequest):
    """A request within a project."""

    project_id: NotBlank | None = Field(
        default=None, exclude=True, description="Another project than the client's."
    )


class MemoryQuery(InProject, title="query_memories"):
    """Which memories to find."""

    task: NotBlank = Field(description="What the agent is about to do.")
    limit: Annotated[int, Field(ge=1)] = 10
    lambda_: Weight = Field(
        default=0.5,
        validation_alias=AliasChoices("lambda_", "lambda"),
        serialization_alias="lambda",
        description="1 ranks by similarity alone, 0 by what the memory has been worth (its q-value).",
    )
    metadata_filter: JsonObject | None = Field(
        default=None, description="Only memories whose metadata has all of these."
    )
    similarity_threshold: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None, description="The least similarity; None: the server's own."
    )
    mmr_lambda: Weight = Field(default=0.7, description="1 allows near-duplicates, 0 is all for diversity.")


class AuthoredReflection(RequestPart):
    """A lesson that the caller has written, in place of one that the server would make."""

    summary: NotBlank
    guidance: NotBlank
    key_mistake: str = ""
    correct_action: str = ""
    applicable_tools: Sequence[str] = ()


class InlineReview(NoneLeftOut):
    """The judgement sent along with a trace."""

    result: Verdict
    feedback_text: str | None = None
    alpha: StepSize | None = None
    reflection: AuthoredReflection | None = None


class TraceCreate(InProject):
    """One run of an agent: what it was asked, what was said, and whether it was right."""

    task: NotBlank = Field(description="What the agent was asked to do; memories are found by it.")
    trajectory: Trajectory = Field(description="Messages with role and content, or a JSON string of them.")
    final_response: str | None = Field(
        default=None, description="The agent's answer; None: its last message in the trajectory."
    )
    retrieved_memory_ids: Ids = Field(
        default=(), description="The memories that were used: they earn or lose by the review."
    )
    model: str | None = Field(default=None, description="The agent's language model.")
    metadata: JsonObject | None = None
    reference_context: str | None = Field(default=None, description="What the reflection may look at.")
    review: InlineReview | None = Field(
        default=None, description="The judgement whole, in place of the three fields below."
    )
    review_result: Verdict | None = Field(
        default=None, exclude=True, description="pass (or success), or fail (or failure); None: judged later."
    )
    feedback_text: str | None = Field(
        default=None, exclude=True, description="What went wrong; ignored without review_result."
    )
    alpha: StepSize | None = Field(
        default=None,
        exclude=True,
        description="The step by which memories earn or lose; None: the server's. Needs review_result.",
    )

    @model_validator(mode="after")
    def _judged(self) -> Self:
        if self.review_result is None:
            return self
        if self.review is not None:
            message = "give either review or review_result, not both"
            raise ValueError(message)
        self.review = InlineReview(
            result=self.review_result, feedback_text=self.feedback_text, alpha=self.alpha
        )
        return self


class TraceCreateAndWait(TraceCreate):
    """``TraceCreate``, and how to wait for what becomes of it."""

    poll_interval: Seconds | None = Field(
        default=None, exclude=True, description="Seconds; None: the client's, else soon and then 0.25."
    )
    wait_timeout: Seconds | None = Field(
        default=None, exclude=True, description="Seconds; None: the client's, else 60."
    )


class AuthoredMemory(InProject):
    """A lesson that the caller has written: a trace without a run."""

    task: NotBlank = Field(description="What the agent was asked to do; the memory is found by it.")
    summary: NotBlank = Field(description="The lesson in one line.")
    guidance: NotBlank = Field(description="What a later run should do.")
    result: Verdict = Field(description="pass (or success), or fail (or failure).")
    key_mistake: str = Field(default="", description="What went wrong.")
    correct_action: str = Field(default="", description="What should have been done instead.")
    applicable_tools: Sequence[str] = ()
    retrieved_memory_ids: Ids = Field(
        default=(), description="The memories that were used: they earn or lose by the result."
    )

    def as_trace(self) -> TraceCreate:
        """What is sent."""
        reflection = AuthoredReflection(
            summary=self.summary,
            guidance=self.guidance,
            key_mistake=self.key_mistake,
            correct_action=self.correct_action,
            applicable_tools=self.applicable_tools,
        )
        return TraceCreate(
            project_id=self.project_id,
            task=self.task,
            trajectory=(),
            retrieved_memory_ids=self.retrieved_memory_ids,
            review=InlineReview(result=self.result, reflection=reflection),
        )


class NoFields(InProject):
    """A request that only names the project."""


class ListTraces(InProject):
    """Which traces to list."""

    review_status: Annotated[Literal["pending", "reviewed"] | None, Query()] = Field(
        default=None, description="None: all."
    )


class ByTrace(InProject, title="get_trace"):
    """One trace."""

    trace_id: NotBlank


class ReviewCreate(InProject, title="review_trace"):
    """A judgement that comes after the trace."""

    trace_id: NotBlank
    result: Verdict = Field(description="pass (or success), or fail (or failure).")
    feedback_text: str | None = Field(default=None, description="What went wrong.")
    alpha: StepSize | None = Field(default=None, description="The step size; None: the server's.")


class DeleteTraces(InProject, title="delete_traces"):
    """Which traces to delete."""

    trace_ids: Sequence[NotBlank]


class SkillCreate(InProject):
    """Of how many traces the skill is made; None: the server's choice."""

    n_passed: Annotated[int, Field(ge=0)] | None = None
    n_failed: Annotated[int, Field(ge=0)] | None = None


class ApiKeyCreate(InProject):
    """A new key."""

    label: NotBlank
    scopes: Sequence[NotBlank]
    environment: NotBlank = "live"


class ByKey(InProject, title="revoke_api_key"):
    """One API key."""

    key_id: NotBlank


class BootstrapRequest(ReflectRequest, title="bootstrap"):
    """The first user, project and key of a server."""

    bootstrap_token: Annotated[SecretText, Header("X-Bootstrap-Token")]
    user_id: NotBlank
    project_id: NotBlank
    key_label: NotBlank = "Default Admin Key"
    environment: NotBlank = "live"
