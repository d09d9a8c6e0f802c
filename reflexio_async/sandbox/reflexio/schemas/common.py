"""Types that several schemas share.

Unknown fields are ignored unless a schema says otherwise. Error messages are the server's.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator


def _not_blank(text: str) -> str:
    if not (stripped := text.strip()):
        message = "String must not be empty or whitespace-only"
        raise ValueError(message)
    return stripped


def _embedding(numbers: list[float]) -> list[float]:
    if numbers and len(numbers) != _EMBEDDING_SIZE:
        message = f"Embedding must be empty or have exactly {_EMBEDDING_SIZE} dimensions, got {len(numbers)}"
        raise ValueError(message)
    return numbers


_EMBEDDING_SIZE = 512

NotBlank = Annotated[str, AfterValidator(_not_blank)]
ShortText = Annotated[str, Field(max_length=255)]
Source = (
    Literal[""] | Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._:-]{0,127}$", max_length=128)]
)
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveInt = Annotated[int, Field(gt=0)]
UpTo100 = Annotated[int, Field(gt=0, le=100)]
NonNegativeNumber = Annotated[float, Field(ge=0.0)]
PositiveNumber = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Embedding = Annotated[list[float], AfterValidator(_embedding)]


class StatusSchema(Enum):
    """The state of a row. Null is current; ``"None"`` is accepted and matches no row."""

    NONE = "None"
    ARCHIVED = "archived"
    PENDING = "pending"
    ARCHIVE_IN_PROGRESS = "archive_in_progress"
    MERGED = "merged"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


class PlaybookStatusSchema(Enum):
    """Whether an agent playbook is approved."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class SearchModeSchema(Enum):
    """How to search. Without embeddings every mode is full text."""

    VECTOR = "vector"
    FTS = "fts"
    HYBRID = "hybrid"


class BlockingIssueKindSchema(Enum):
    """What kept the agent from acting."""

    MISSING_TOOL = "missing_tool"
    PERMISSION_DENIED = "permission_denied"
    EXTERNAL_DEPENDENCY = "external_dependency"
    POLICY_RESTRICTION = "policy_restriction"


class BlockingIssueSchema(BaseModel):
    """What kept the agent from acting, and how."""

    kind: BlockingIssueKindSchema
    details: str


class TimeRangeSchema(BaseModel):
    """A span of time. None leaves that end open."""

    start_time: datetime | None = None
    end_time: datetime | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        # Comparing a naive with an aware time raises TypeError: 500, as in the server.
        if self.start_time and self.end_time and self.end_time <= self.start_time:
            message = "end_time must be after start_time"
            raise ValueError(message)
        return self

    def includes(self, epoch_seconds: float) -> bool:
        """Whether a time is in the span."""
        after = self.start_time is None or epoch_seconds >= int(self.start_time.timestamp())
        return after and (self.end_time is None or epoch_seconds <= int(self.end_time.timestamp()))


class SearchSchema(TimeRangeSchema):
    """The fields of every search."""

    query: str | None = None
    threshold: Fraction | None = None
    search_mode: SearchModeSchema = SearchModeSchema.HYBRID
    request_id: str | None = None
