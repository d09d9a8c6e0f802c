"""The requests and responses of the Reflect service."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
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
    """The status of storing a trace."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class ReviewStatus(StrEnum):
    """Whether a trace has been reviewed."""

    PENDING = "pending"
    REVIEWED = "reviewed"


class Memory(ResponseModel):
    """A lesson from a run of an agent.

    Attributes:
        id: The id of the memory.
        task: The task of that run.
        reflection: The lesson as one text. The fields below hold its parts.
        q_value: How useful the memory has been, 0 to 1. Reviews of runs that used it change this.
        similarity: How similar its task is to the task of the query, at most 1.
        score: The value that the server ranks by.
        success: Whether that run passed its review; None: not known.
        summary: The lesson in one line.
        key_mistake: What went wrong.
        correct_action: What should have been done.
        applicable_tools: The tools that the lesson is about.
        guidance: What a later run should do.
        tools_used: The tools that the run used.
    """

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
    """A prompt with memories.

    Attributes:
        augmented_task: The prompt: the task, and the memories below it.
        memories: The memories.
    """

    augmented_task: str
    memories: list[Memory]


class Review(ResponseModel):
    """The review of a trace."""

    id: str
    trace_id: str
    result: str
    feedback_text: str | None = None
    mode: str = "deferred"


class Trace(ResponseModel):
    """One run of an agent, as the server has stored it."""

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
    """The response to a new trace. The server stores the trace after this response."""

    trace_id: str = Field(validation_alias=AliasChoices("trace_id", "id"))
    ingest_status: IngestStatus | str = Field(union_mode="left_to_right")

    @property
    def id(self) -> str:
        """The id of the trace, as ``trace_id``."""
        return self.trace_id


class Skill(ResponseModel):
    """What was learned from the runs of a project. Its fields are the server's: see ``model_extra``."""


class DeleteTracesResponse(ResponseModel):
    """What was deleted. Its fields are the server's: see ``model_extra``."""


class DeleteProjectResponse(ResponseModel):
    """What was deleted. Its fields are the server's: see ``model_extra``."""


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
    """A new API key. No other response has ``api_key``; it is not in reprs."""

    api_key: str = Field(repr=False)
    key: ApiKeyInfo


class BootstrapResponse(ResponseModel):
    """The first user, project and key. No other response has ``api_key``; it is not in reprs."""

    user_id: str
    project_id: str
    api_key: str = Field(repr=False)


# Requests

_VERDICTS = {"pass": "pass", "success": "pass", "fail": "fail", "failure": "fail"}


def verdict(result: str) -> str:
    """Return ``pass`` or ``fail``. ``success`` and ``failure`` mean the same. Case does not matter."""
    known = _VERDICTS.get(result.strip().lower())
    if known is None:
        message = "must be 'pass' or 'fail' ('success' and 'failure' mean the same)"
        raise ValueError(message)
    return known


def _none_as_empty(value: Any) -> Any:
    return () if value is None else value


Verdict = Annotated[str, AfterValidator(verdict), WithJsonSchema({"enum": ["pass", "fail"]})]
StepSize = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1)]
Ids = Annotated[Sequence[NotBlank], BeforeValidator(_none_as_empty)]


class OmitsNone(RequestPart):
    """A part of a request. Its fields that are None are not sent."""

    @model_validator(mode="after")
    def _omit_none(self) -> Self:
        fields = self.model_fields_set
        fields -= {name for name in fields if getattr(self, name) is None}
        return self


class ReflectRequest(OmitsNone, RequestModel):
    """The base of every request to a Reflect server."""


class InProject(ReflectRequest):
    """A request that belongs to a project."""

    project_id: NotBlank | None = Field(
        default=None, exclude=True, description="The project. None: the project of the client."
    )


class MemoryQuery(InProject, title="query_memories"):
    """The memories to find."""

    task: NotBlank = Field(description="What the agent is about to do.")
    limit: Annotated[int, Field(ge=1)] = 10
    lambda_: Weight = Field(
        default=0.5,
        validation_alias=AliasChoices("lambda_", "lambda"),
        serialization_alias="lambda",
        description="1 ranks by similarity alone, 0 by q-value alone.",
    )
    metadata_filter: JsonObject | None = Field(
        default=None, description="Only memories whose metadata has all these entries."
    )
    similarity_threshold: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None, description="The minimum similarity. None: the server's default."
    )
    mmr_lambda: Weight = Field(
        default=0.7, description="1 allows near-duplicates, 0 prefers memories that differ."
    )


class AuthoredReflection(RequestPart):
    """A lesson that the caller has written. Without it, the server writes one."""

    summary: NotBlank
    guidance: NotBlank
    key_mistake: str = ""
    correct_action: str = ""
    applicable_tools: Sequence[str] = ()


class InlineReview(OmitsNone):
    """The review that is sent together with a trace."""

    result: Verdict
    feedback_text: str | None = None
    alpha: StepSize | None = None
    reflection: AuthoredReflection | None = None


class TraceCreate(InProject):
    """One run of an agent: the task, the messages, and perhaps a review."""

    task: NotBlank = Field(description="What the agent was asked to do. Memories are found by it.")
    trajectory: Trajectory = Field(description="Messages with role and content, or a JSON string of them.")
    final_response: str | None = Field(
        default=None, description="The agent's answer. None: its last message in the trajectory."
    )
    retrieved_memory_ids: Ids = Field(
        default=(), description="The memories that the run used. The review changes their q-values."
    )
    model: str | None = Field(default=None, description="The agent's language model.")
    metadata: JsonObject | None = None
    reference_context: str | None = Field(
        default=None, description="More context for the server's reflection."
    )
    review: InlineReview | None = Field(
        default=None, description="The review. Or give the three fields below."
    )
    review_result: Verdict | None = Field(
        default=None,
        exclude=True,
        description="pass (or success), or fail (or failure). None: reviewed later.",
    )
    feedback_text: str | None = Field(
        default=None, exclude=True, description="What went wrong. Ignored without review_result."
    )
    alpha: StepSize | None = Field(
        default=None,
        exclude=True,
        description="How far the review moves q-values, 0 to 1. None: the server's default.",
    )

    @model_validator(mode="after")
    def _make_review(self) -> Self:
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
    """``TraceCreate``, and how to wait for the job."""

    poll_interval: Seconds | None = Field(
        default=None,
        exclude=True,
        description="Seconds between status requests. None: the client's, or 0.25.",
    )
    wait_timeout: Seconds | None = Field(
        default=None, exclude=True, description="Seconds to wait. None: the client's, or 60."
    )


class AuthoredMemory(InProject):
    """A lesson that the caller has written. It is sent as a trace without messages."""

    task: NotBlank = Field(description="What an agent is asked to do. The memory is found by it.")
    summary: NotBlank = Field(description="The lesson in one line.")
    guidance: NotBlank = Field(description="What a later run should do.")
    result: Verdict = Field(description="pass (or success), or fail (or failure).")
    key_mistake: str = Field(default="", description="What went wrong.")
    correct_action: str = Field(default="", description="What should have been done instead.")
    applicable_tools: Sequence[str] = ()
    retrieved_memory_ids: Ids = Field(
        default=(), description="The memories that were used. The result changes their q-values."
    )

    def as_trace(self) -> TraceCreate:
        """Return the trace to send."""
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
    """A request without fields but the project."""


class ListTraces(InProject):
    """The traces to list."""

    review_status: Annotated[Literal["pending", "reviewed"] | None, Query()] = Field(
        default=None, description="None: all."
    )


class ByTrace(InProject, title="get_trace"):
    """One trace."""

    trace_id: NotBlank


class ReviewCreate(InProject, title="review_trace"):
    """A review of a trace that was sent before."""

    trace_id: NotBlank
    result: Verdict = Field(description="pass (or success), or fail (or failure).")
    feedback_text: str | None = Field(default=None, description="What went wrong.")
    alpha: StepSize | None = Field(
        default=None, description="How far it moves q-values, 0 to 1. None: the server's default."
    )


class DeleteTraces(InProject, title="delete_traces"):
    """The traces to delete."""

    trace_ids: Sequence[NotBlank]


class SkillCreate(InProject):
    """The number of traces to make the skill from. None: the server's choice."""

    n_passed: Annotated[int, Field(ge=0)] | None = None
    n_failed: Annotated[int, Field(ge=0)] | None = None


class ApiKeyCreate(InProject):
    """A new API key."""

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
