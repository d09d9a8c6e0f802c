"""Schemas of sessions: their end and their outcome."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from reflexio_async.sandbox.reflexio.schemas.common import NonNegativeInt, NotBlank, Source

_LARGEST_METADATA = 16 * 1024


class SessionOutcomeKindSchema(Enum):
    """How a session ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class FinalizeSessionRequestSchema(BaseModel):
    """Say that a session is over."""

    user_id: NotBlank
    session_id: NotBlank


class SetSessionOutcomeRequestSchema(BaseModel):
    """Report how a session ended."""

    session_id: NotBlank
    outcome: SessionOutcomeKindSchema
    occurred_at: NonNegativeInt
    label: Annotated[str, Field(max_length=128)] | None = None
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    metadata: dict[str, Any] | None = None

    @field_validator("label")
    @classmethod
    def _label_not_blank(cls, label: str | None) -> str | None:
        if label is None:
            return None
        if not (stripped := label.strip()):
            message = "must not be empty"
            raise ValueError(message)
        return stripped

    @field_validator("metadata")
    @classmethod
    def _metadata_small(cls, metadata: dict[str, Any] | None) -> dict[str, Any] | None:
        if metadata is None:
            return None
        try:
            encoded = json.dumps(metadata, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except ValueError:
            message = "metadata must contain only valid JSON values"
            raise ValueError(message) from None
        if len(encoded.encode()) > _LARGEST_METADATA:
            message = f"metadata must encode to at most {_LARGEST_METADATA} bytes"
            raise ValueError(message)
        return metadata


class GetSessionOutcomesRequestSchema(BaseModel):
    """Read session outcomes."""

    session_ids: Annotated[list[NotBlank], Field(max_length=100)] | None = None
    user_id: str | None = None
    source: Source | None = None
    outcome: SessionOutcomeKindSchema | None = None
    label: str | None = None
    start_time: NonNegativeInt | None = None
    end_time: NonNegativeInt | None = None
    top_k: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: NonNegativeInt = 0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start_time is not None and self.end_time is not None and self.start_time > self.end_time:
            message = "start_time must be less than or equal to end_time"
            raise ValueError(message)
        return self


class DeleteSessionRequestSchema(BaseModel):
    """Delete the requests of a session."""

    session_id: NotBlank
