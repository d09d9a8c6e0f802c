"""Traces: sending, reading, reviewing and deleting them."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from reflexio_async._engine.models import (
    EMPTY_DICT,
    EMPTY_LIST,
    JsonObject,
    ListOf,
    NotBlank,
    Query,
    RequestPart,
    ResponseModel,
    Seconds,
    empty_list,
)
from reflexio_async.reflect.models.common import Ids, InProject, OmitsNone, StepSize, Verdict
from reflexio_async.reflect.trajectory import Trajectory


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


class Review(ResponseModel):
    """The review of a trace."""

    id: str
    trace_id: str
    result: str
    feedback_text: str | None = None
    mode: str = "deferred"


def _text_as_message(trajectory: Any) -> Any:
    # Whether a server returns text as text is not known (server-behaviour: Trajectories).
    return [{"role": "assistant", "content": trajectory}] if isinstance(trajectory, str) else trajectory


class Trace(ResponseModel):
    """One run of an agent, as the server has stored it.

    A trajectory that was sent as text is one message in ``trajectory``.
    """

    id: str
    task: str
    trajectory: Annotated[list[dict[str, Any]], BeforeValidator(_text_as_message)] = Field(
        default_factory=empty_list
    )
    final_response: str = ""
    retrieved_memory_ids: list[str] = EMPTY_LIST
    review_status: ReviewStatus | str = Field(union_mode="left_to_right")
    ingest_status: IngestStatus | str = Field(default=IngestStatus.COMPLETED, union_mode="left_to_right")
    ingest_attempts: int = 0
    last_ingest_error: str | None = None
    model: str | None = None
    metadata: dict[str, Any] = EMPTY_DICT
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


class DeleteTracesResponse(ResponseModel):
    """What was deleted. Its fields are the server's: see ``model_extra``."""


class AuthoredReflection(RequestPart):
    """A lesson that the caller has written. Without it, the server writes one."""

    summary: NotBlank
    guidance: NotBlank
    key_mistake: str = ""
    correct_action: str = ""
    applicable_tools: ListOf[str] = ()


class InlineReview(OmitsNone):
    """The review that is sent together with a trace."""

    result: Verdict
    feedback_text: str | None = None
    alpha: StepSize | None = None
    reflection: AuthoredReflection | None = None


class TraceCreate(InProject):
    """One run of an agent: the task, the messages, and perhaps a review."""

    task: NotBlank = Field(description="What the agent was asked to do. Memories are found by it.")
    trajectory: Trajectory = Field(description="Messages with role and content, or the run as text.")
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
    applicable_tools: ListOf[str] = ()
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

    trace_ids: ListOf[NotBlank]
