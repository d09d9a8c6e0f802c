"""Request bodies as the server declares them, which is laxer than the client's own models.

The texts of the errors are the server's; a 422 shows them.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    StringConstraints,
    model_validator,
)

from reflexio_async.models.enums import CitationKind, RetrievedLearningKind, UserActionType


def _not_blank(text: str) -> str:
    if not (stripped := text.strip()):
        message = "String must not be empty or whitespace-only"
        raise ValueError(message)
    return stripped


NotBlank = Annotated[str, AfterValidator(_not_blank)]
Source = (
    Literal[""] | Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._:-]{0,127}$", max_length=128)]
)
Positive = Annotated[int, Field(gt=0)]


class StatusWord(Enum):
    """The words of a status filter; ``"None"`` is accepted and matches nothing, current is null."""

    NONE = "None"
    ARCHIVED = "archived"
    PENDING = "pending"
    ARCHIVE_IN_PROGRESS = "archive_in_progress"
    MERGED = "merged"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


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


class Interaction(BaseModel, extra="allow"):
    """One turn; unknown fields are kept to be warned about."""

    role: Annotated[str, Field(max_length=1000)] = "User"
    content: Annotated[str, Field(max_length=1_000_000)] = ""
    created_at: int | None = None
    shadow_content: Annotated[str, Field(max_length=1_000_000)] = ""
    expert_content: Annotated[str, Field(max_length=1_000_000)] = ""
    user_action: UserActionType = UserActionType.NONE
    user_action_description: Annotated[str, Field(max_length=10_000)] = ""
    interacted_image_url: Annotated[str, Field(max_length=2048)] = ""
    image_encoding: Annotated[str, Field(max_length=15_000_000)] = ""
    tools_used: Annotated[list[dict[str, Any]], Field(max_length=1000)] = []
    citations: Annotated[list[Citation], Field(max_length=1000)] = []
    retrieved_learnings: Annotated[list[RetrievedLearning], Field(max_length=1000)] = []

    @property
    def empty(self) -> bool:
        """Whether the turn says and shows nothing."""
        told = (self.content, self.shadow_content, self.expert_content, self.interacted_image_url)
        if any(text.strip() for text in (*told, self.image_encoding)):
            return False
        return self.user_action is UserActionType.NONE and not (
            self.tools_used or self.citations or self.retrieved_learnings
        )


class Citation(BaseModel):
    """A learning that was cited."""

    kind: CitationKind
    real_id: str
    tag: str = ""
    title: str = ""


class RetrievedLearning(BaseModel):
    """A learning that was retrieved."""

    kind: RetrievedLearningKind
    learning_id: Annotated[str, Field(min_length=1, max_length=1000)]


_EMPTY = (
    'every interaction is empty: at least one must set "content" (or any of: content, shadow_content, '
    "expert_content, interacted_image_url, image_encoding, tools_used, citations, retrieved_learnings, "
    'or a user_action other than "none")'
)


class Publish(BaseModel, extra="allow"):
    """Turns to store; unknown fields are kept to be warned about."""

    user_id: NotBlank
    interaction_data_list: Annotated[list[Interaction], Field(min_length=1, max_length=1000)]
    session_id: NotBlank
    request_id: NotBlank | None = None
    source: Source = ""
    agent_version: Annotated[str, Field(max_length=1000)] = ""
    session_finished: bool = False
    skip_aggregation: bool = False
    force_extraction: bool = False
    evaluation_only: bool = False
    override_learning_stall: bool = False
    retrieval_experiment_id: str | None = None
    retrieval_experiment_arm: Literal["treatment", "holdout"] | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.evaluation_only and self.force_extraction:
            message = "evaluation_only cannot be combined with force_extraction"
            raise ValueError(message)
        for index, turn in enumerate(self.interaction_data_list):
            if turn.user_action is not UserActionType.NONE and not turn.user_action_description.strip():
                message = f"interaction_data_list[{index}] user_action requires a user_action_description"
                raise ValueError(message)
        if all(turn.empty for turn in self.interaction_data_list):
            raise ValueError(_EMPTY)
        return self

    @property
    def turns(self) -> list[Interaction]:
        """Those that are stored."""
        return [turn for turn in self.interaction_data_list if not turn.empty]

    @property
    def warnings(self) -> list[str]:
        """What was ignored."""
        found: list[str] = []
        for index, turn in enumerate(self.interaction_data_list):
            found += _unknown(f"interaction_data_list[{index}]", turn)
        found += _unknown("publish request", self)
        if skipped := [index for index, turn in enumerate(self.interaction_data_list) if turn.empty]:
            where = ", ".join(map(str, skipped))
            found.append(
                f"skipped {len(skipped)} empty interaction(s) that carried no content, at index(es) {where}"
            )
        return found


def _unknown(place: str, given: BaseModel) -> list[str]:
    unknown = ", ".join(sorted(given.model_extra or ()))
    return [f"{place}: ignored unrecognised field(s) {unknown}"] if unknown else []


class RerunProfiles(TimeRange):
    """Start a profile rerun; no user means all of them."""

    user_id: str | None = None
    source: Source | None = None
    extractor_names: list[str] | None = None


class RerunPlaybooks(TimeRange):
    """Start a playbook rerun of one agent version."""

    agent_version: str = ""
    source: Source | None = None
    playbook_name: str | None = None

    @model_validator(mode="after")
    def _defaulted(self) -> Self:
        self.agent_version = self.agent_version.strip() or "agent-v0"
        return self


class ManualProfiles(BaseModel):
    """Extract current profiles now."""

    user_id: str | None = None
    source: Source | None = None
    extractor_names: list[str] | None = None


class ManualPlaybooks(BaseModel):
    """Extract current playbooks now."""

    agent_version: str = ""
    source: Source | None = None
    playbook_name: str | None = None

    @model_validator(mode="after")
    def _defaulted(self) -> Self:
        self.agent_version = self.agent_version.strip() or "agent-v0"
        return self


class CancelOperation(BaseModel):
    """No service means all."""

    service_name: str | None = None


class GetProfiles(TimeRange):
    """Profiles of one user."""

    user_id: NotBlank
    top_k: Positive | None = 30
    status_filter: list[StatusWord | None] | None = None
    query: str | None = None
    profile_id: str | None = None
    source: Source | None = None


class GetUserPlaybooks(TimeRange):
    """User playbooks."""

    user_id: str | None = None
    user_playbook_id: Positive | None = None
    agent_version: str | None = None
    request_id: str | None = None
    status_filter: list[StatusWord | None] | None = None
    limit: Positive | None = 100


class GetRequests(TimeRange):
    """Stored requests by session."""

    user_id: str | None = None
    request_id: str | None = None
    session_id: str | None = None
    source: Source | None = None
    top_k: Positive | None = 30
    offset: Annotated[int, Field(ge=0)] | None = 0


class UpgradeProfiles(BaseModel):
    """Promote; every field here is accepted and ignored, as on servers up to 0.2.32."""

    user_id: NotBlank | None = None
    profile_ids: list[str] | None = None
    only_affected_users: bool = False


class UpgradeUserPlaybooks(BaseModel):
    """Promote those of one agent version, or all."""

    agent_version: str | None = None
    archive_current: bool = True


class LearningStatusQuery(BaseModel):
    """Names a request."""

    request_id: str


class OperationStatusQuery(BaseModel):
    """Names a service."""

    service_name: str = "profile_generation"
