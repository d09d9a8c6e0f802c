"""Answering the questions that extraction asked; these bodies refuse unknown fields."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, Field

from reflexio_async.sandbox.reflexio.schemas.common import Positive


class CallStatus(Enum):
    """Where a pending tool call stands."""

    PENDING = "pending"
    RESOLVED = "resolved"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class ListCalls(BaseModel):
    """Newest first."""

    status: CallStatus | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class Resolve(BaseModel, extra="forbid"):
    """The result."""

    result: dict[str, Any]
    valid_for_seconds: Positive | None = None


class UpdateAnswer(BaseModel, extra="forbid"):
    """Another answer."""

    answer: Annotated[str, Field(min_length=1)]
    valid_for_seconds: Positive | None = None


class NotApplicable(BaseModel, extra="forbid"):
    """There is no answer."""

    valid_for_seconds: Positive | None = None
