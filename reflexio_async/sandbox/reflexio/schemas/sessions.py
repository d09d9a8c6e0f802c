"""How a session went."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from reflexio_async.sandbox.reflexio.schemas.common import NotBlank, Source

_LARGEST_METADATA = 16 * 1024


class OutcomeKind(Enum):
    """How it went."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class FinalizeSession(BaseModel):
    """Says that nothing more will come."""

    user_id: NotBlank
    session_id: NotBlank


class SetOutcome(BaseModel):
    """What the caller knows of a session's end."""

    session_id: NotBlank
    outcome: OutcomeKind
    occurred_at: Annotated[int, Field(ge=0)]
    label: Annotated[str, Field(max_length=128)] | None = None
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    metadata: dict[str, Any] | None = None

    @field_validator("label")
    @classmethod
    def _not_blank(cls, label: str | None) -> str | None:
        if label is None:
            return None
        if not (stripped := label.strip()):
            message = "must not be empty"
            raise ValueError(message)
        return stripped

    @field_validator("metadata")
    @classmethod
    def _small(cls, metadata: dict[str, Any] | None) -> dict[str, Any] | None:
        if metadata is not None:
            size = len(json.dumps(metadata, sort_keys=True, separators=(",", ":")).encode())
            if size > _LARGEST_METADATA:
                message = f"metadata must encode to at most {_LARGEST_METADATA} bytes"
                raise ValueError(message)
        return metadata


class GetOutcomes(BaseModel):
    """Outcomes, latest first."""

    session_ids: Annotated[list[NotBlank], Field(max_length=100)] | None = None
    user_id: str | None = None
    source: Source | None = None
    outcome: OutcomeKind | None = None
    label: str | None = None
    start_time: Annotated[int, Field(ge=0)] | None = None
    end_time: Annotated[int, Field(ge=0)] | None = None
    top_k: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start_time is not None and self.end_time is not None and self.start_time > self.end_time:
            message = "start_time must be less than or equal to end_time"
            raise ValueError(message)
        return self
