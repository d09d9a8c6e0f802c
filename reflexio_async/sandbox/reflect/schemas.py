"""What the Reflect routes accept; unknown fields are ignored, as FastAPI ignores them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import from_json

from reflexio_async.sandbox.reflect.json_types import is_list


def _decoded(trajectory: Any) -> Any:
    if not isinstance(trajectory, str):
        return trajectory
    try:
        messages = from_json(trajectory, allow_inf_nan=False)
    except ValueError:
        messages = None
    if not is_list(messages):
        message = "trajectory must be a list of messages, or a JSON string of one"
        raise ValueError(message)
    return messages


Filled = Annotated[str, Field(min_length=1, pattern=r"\S")]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Result = Literal["pass", "fail"]


class Body(BaseModel):
    """Built on first use, so that a sandbox starts quickly."""

    model_config = ConfigDict(defer_build=True)


class Bootstrap(Body):
    """A project with its first key."""

    user_id: Filled
    project_id: Filled
    key_label: str = "Default Admin Key"
    environment: str = "live"


class MemoryQuery(Body):
    """Which memories are wanted."""

    task: Filled
    limit: Annotated[int, Field(ge=1)] = 10
    lambda_: Share = Field(default=0.5, alias="lambda")
    mmr_lambda: Share = 0.7
    metadata_filter: dict[str, Any] | None = None
    similarity_threshold: Annotated[float, Field(ge=-1.0, le=1.0)] | None = None


class Message(Body):
    """One turn; whatever else it says is kept."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | None = None


class AuthoredReflection(Body):
    """A lesson that an agent wrote itself."""

    summary: str
    guidance: str
    key_mistake: str = ""
    correct_action: str = ""
    applicable_tools: list[str] = Field(default_factory=list[str])


class ReviewCreate(Body):
    """A verdict on a trace."""

    result: Result
    feedback_text: str | None = None
    alpha: Share | None = None


class InlineReview(ReviewCreate):
    """A verdict that comes with its trace."""

    reflection: AuthoredReflection | None = None


class TraceCreate(Body):
    """A trace."""

    task: Filled
    trajectory: Annotated[list[Message], BeforeValidator(_decoded)]
    final_response: str | None = None
    retrieved_memory_ids: list[str] = Field(default_factory=list[str])
    model: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict[str, Any])
    reference_context: str | None = None
    review: InlineReview | None = None


class TraceFilter(Body):
    """Which traces are listed."""

    review_status: Literal["pending", "reviewed"] | None = None


class DeleteTraces(Body):
    """Which traces go."""

    trace_ids: list[str]


class SkillCreate(Body):
    """How many lessons of each kind a skill is made of."""

    n_passed: Annotated[int, Field(ge=0)] | None = None
    n_failed: Annotated[int, Field(ge=0)] | None = None


class ApiKeyCreate(Body):
    """A key to be."""

    label: Filled
    scopes: list[str]
    environment: str = "live"
