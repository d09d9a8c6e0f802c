"""What request bodies have in common.

Unknown fields are ignored unless a body says otherwise; a 422 shows these errors in the server's words.
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
    if numbers and len(numbers) != EMBEDDING_SIZE:
        message = f"Embedding must be empty or have exactly {EMBEDDING_SIZE} dimensions, got {len(numbers)}"
        raise ValueError(message)
    return numbers


EMBEDDING_SIZE = 512

NotBlank = Annotated[str, AfterValidator(_not_blank)]
Source = (
    Literal[""] | Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._:-]{0,127}$", max_length=128)]
)
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Embedding = Annotated[list[float], AfterValidator(_embedding)]


class StatusWord(Enum):
    """The words of a status filter; ``"None"`` is accepted and matches nothing, current is null."""

    NONE = "None"
    ARCHIVED = "archived"
    PENDING = "pending"
    ARCHIVE_IN_PROGRESS = "archive_in_progress"
    MERGED = "merged"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


class Approval(Enum):
    """How far an agent playbook has been approved."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class UserActionTypeSchema(Enum):
    """What the user did besides talking."""

    CLICK = "click"
    SCROLL = "scroll"
    TYPE = "type"
    NONE = "none"


class CitationKindSchema(Enum):
    """What kind of learning a citation points to."""

    PLAYBOOK = "playbook"
    PROFILE = "profile"
    USER_PLAYBOOK = "user_playbook"
    AGENT_PLAYBOOK = "agent_playbook"


class RetrievedLearningKindSchema(Enum):
    """What kind of learning was retrieved."""

    PROFILE = "profile"
    USER_PLAYBOOK = "user_playbook"
    AGENT_PLAYBOOK = "agent_playbook"


class ProfileTimeToLiveSchema(Enum):
    """How long a profile is kept."""

    ONE_DAY = "one_day"
    ONE_WEEK = "one_week"
    ONE_MONTH = "one_month"
    ONE_QUARTER = "one_quarter"
    ONE_YEAR = "one_year"
    INFINITY = "infinity"


class TimeRange(BaseModel):
    """A stretch of time, open at either end when None."""

    start_time: datetime | None = None
    end_time: datetime | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        # Comparing naive with aware raises TypeError here as it does in the server: a 500.
        if self.start_time and self.end_time and self.end_time <= self.start_time:
            message = "end_time must be after start_time"
            raise ValueError(message)
        return self

    def holds(self, epoch_seconds: float) -> bool:
        """Whether an instant is within."""
        after = self.start_time is None or epoch_seconds >= int(self.start_time.timestamp())
        return after and (self.end_time is None or epoch_seconds <= int(self.end_time.timestamp()))


class Nothing(BaseModel):
    """No body, or none that matters."""
