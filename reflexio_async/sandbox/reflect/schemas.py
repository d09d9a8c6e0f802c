"""What the Reflect routes accept. Unknown fields are ignored.

A class is named after the contract's component, with ``Schema`` at the end.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic_core import from_json


def _decoded(trajectory: Any) -> Any:
    """Text as messages: a JSON list of messages, else one message (server-behaviour: Trajectories)."""
    if not isinstance(trajectory, str):
        return trajectory
    with suppress(ValueError):
        messages = from_json(trajectory, allow_inf_nan=False)
        if isinstance(messages, list):
            return TypeAdapter(list[MessageSchema]).validate_python(messages)
    return [{"role": "assistant", "content": trajectory}]


RequiredText = Annotated[str, Field(min_length=1, pattern=r"\S")]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Result = Literal["pass", "fail"]


class ReflectSchema(BaseModel):
    """Built on first use, so that a sandbox starts quickly."""

    model_config = ConfigDict(defer_build=True)


class BootstrapRequestSchema(ReflectSchema):
    """Create a project with its first key."""

    user_id: RequiredText
    project_id: RequiredText
    key_label: str = "Default Admin Key"
    environment: str = "live"


class MemoryQuerySchema(ReflectSchema):
    """Search memories."""

    task: RequiredText
    limit: Annotated[int, Field(ge=1)] = 10
    lambda_: Fraction = Field(default=0.5, alias="lambda")
    mmr_lambda: Fraction = 0.7
    metadata_filter: dict[str, Any] | None = None
    similarity_threshold: Annotated[float, Field(ge=-1.0, le=1.0)] | None = None


class MessageSchema(ReflectSchema):
    """One message. Other fields are kept."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | None = None


class AuthoredReflectionSchema(ReflectSchema):
    """A lesson that an agent wrote itself."""

    summary: str
    guidance: str
    key_mistake: str = ""
    correct_action: str = ""
    applicable_tools: list[str] = Field(default_factory=list[str])


class ReviewCreateSchema(ReflectSchema):
    """Review a trace."""

    result: Result
    feedback_text: str | None = None
    alpha: Fraction | None = None


class InlineReviewSchema(ReviewCreateSchema):
    """A review that comes with its trace."""

    reflection: AuthoredReflectionSchema | None = None


class TraceCreateSchema(ReflectSchema):
    """Submit a trace."""

    task: RequiredText
    trajectory: Annotated[list[MessageSchema], BeforeValidator(_decoded)]
    final_response: str | None = None
    retrieved_memory_ids: list[str] = Field(default_factory=list[str])
    model: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict[str, Any])
    reference_context: str | None = None
    review: InlineReviewSchema | None = None


class TracesQuerySchema(ReflectSchema):
    """List traces."""

    review_status: Literal["pending", "reviewed"] | None = None


class DeleteTracesSchema(ReflectSchema):
    """Delete traces."""

    trace_ids: list[str]


class SkillCreateSchema(ReflectSchema):
    """Make a skill from so many lessons of each result."""

    n_passed: Annotated[int, Field(ge=0)] | None = None
    n_failed: Annotated[int, Field(ge=0)] | None = None


class ApiKeyCreateSchema(ReflectSchema):
    """Create a key."""

    label: RequiredText
    scopes: list[str]
    environment: str = "live"


class ApiKeyRevokeSchema(ReflectSchema):
    """Revoke a key. Any JSON object is accepted."""
