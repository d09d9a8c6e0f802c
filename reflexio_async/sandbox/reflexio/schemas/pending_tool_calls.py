"""Schemas of pending tool calls. Bodies with unknown fields are refused."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, Field

from reflexio_async.sandbox.reflexio.schemas.common import PositiveInt


class PendingToolCallStatusSchema(Enum):
    """The state of a pending tool call."""

    PENDING = "pending"
    RESOLVED = "resolved"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class PendingToolCallsQuerySchema(BaseModel):
    """Read pending tool calls."""

    status: PendingToolCallStatusSchema | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class ResolvePendingToolCallRequestSchema(BaseModel, extra="forbid"):
    """Give the result."""

    result: dict[str, Any]
    valid_for_seconds: PositiveInt | None = None


class UpdatePendingToolCallAnswerRequestSchema(BaseModel, extra="forbid"):
    """Replace the answer."""

    answer: Annotated[str, Field(min_length=1)]
    valid_for_seconds: PositiveInt | None = None


class MarkPendingToolCallNotApplicableRequestSchema(BaseModel, extra="forbid"):
    """Say that there is no answer."""

    valid_for_seconds: PositiveInt | None = None
