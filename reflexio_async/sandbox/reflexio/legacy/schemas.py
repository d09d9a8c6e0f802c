"""Bodies of January 2026: feedback for playbooks, request groups for sessions."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel

from reflexio_async.sandbox.reflexio.schemas.common import Approval, TimeRange, UserActionTypeSchema


class StatusWord(Enum):
    """The words of a status filter, fewer than today."""

    NONE = "None"
    ARCHIVED = "archived"
    PENDING = "pending"
    ARCHIVE_IN_PROGRESS = "archive_in_progress"


class Interaction(BaseModel):
    """One turn."""

    created_at: int | None = None
    role: str = "User"
    content: str = ""
    shadow_content: str = ""
    user_action: UserActionTypeSchema = UserActionTypeSchema.NONE
    user_action_description: str = ""
    interacted_image_url: str = ""
    image_encoding: str = ""


class Publish(BaseModel):
    """Turns to store; there is no request id yet."""

    user_id: str
    interaction_data_list: list[Interaction]
    source: str = ""
    agent_version: str = ""
    request_group: str | None = None


class GetRequests(TimeRange):
    """Stored requests by group."""

    user_id: str | None = None
    request_id: str | None = None
    top_k: int | None = 30


class DeleteRequest(BaseModel):
    """Names a request."""

    request_id: str


class DeleteGroup(BaseModel):
    """Names a group."""

    request_group: str


class AllProfiles(BaseModel):
    """Profiles of everybody."""

    limit: int = 100
    status_filter: str | None = None


class RerunProfiles(TimeRange):
    """Start a profile rerun; no user means all of them."""

    user_id: str | None = None
    source: str | None = None
    extractor_names: list[str] | None = None


class RerunFeedback(TimeRange):
    """Start a feedback rerun of one agent version."""

    agent_version: str
    feedback_name: str | None = None
    source: str | None = None


class ManualFeedback(BaseModel):
    """Extract current feedback now."""

    agent_version: str
    source: str | None = None
    feedback_name: str | None = None


class RunAggregation(BaseModel):
    """Make feedback out of raw feedback now."""

    agent_version: str
    feedback_name: str


class RawFeedback(BaseModel):
    """Raw feedback as a caller writes it."""

    raw_feedback_id: int = 0
    user_id: str | None = None
    agent_version: str
    request_id: str
    feedback_name: str = ""
    created_at: int | None = None
    feedback_content: str = ""
    do_action: str | None = None
    do_not_action: str | None = None
    when_condition: str | None = None
    status: StatusWord | None = None
    source: str | None = None
    indexed_content: str | None = None
    embedding: list[float] = []


class Feedback(BaseModel):
    """Feedback as a caller writes it."""

    feedback_id: int = 0
    feedback_name: str = ""
    agent_version: str
    created_at: int | None = None
    feedback_content: str
    do_action: str | None = None
    do_not_action: str | None = None
    when_condition: str | None = None
    feedback_status: Approval = Approval.PENDING
    feedback_metadata: str = ""
    embedding: list[float] = []
    status: StatusWord | None = None


class AddRawFeedback(BaseModel):
    """Raw feedback to store."""

    raw_feedbacks: list[RawFeedback]


class AddFeedback(BaseModel):
    """Feedback to store."""

    feedbacks: list[Feedback]


class GetRawFeedback(BaseModel):
    """Raw feedback, latest first."""

    limit: int | None = 100
    feedback_name: str | None = None
    status_filter: list[StatusWord | None] | None = None


class GetFeedback(BaseModel):
    """Feedback, latest first."""

    limit: int | None = 100
    feedback_name: str | None = None
    status_filter: list[StatusWord | None] | None = None
    feedback_status_filter: Approval | None = None


class SearchRawFeedback(TimeRange):
    """Raw feedback with these words."""

    query: str | None = None
    user_id: str | None = None
    agent_version: str | None = None
    feedback_name: str | None = None
    status_filter: list[StatusWord | None] | None = None
    top_k: int | None = 10
    threshold: float | None = 0.5


class SearchFeedback(TimeRange):
    """Feedback with these words."""

    query: str | None = None
    agent_version: str | None = None
    feedback_name: str | None = None
    status_filter: list[StatusWord | None] | None = None
    feedback_status_filter: Approval | None = None
    top_k: int | None = 10
    threshold: float | None = 0.5


class UpdateStatus(BaseModel):
    """Approve or reject."""

    feedback_id: int
    feedback_status: Approval


class DeleteFeedback(BaseModel):
    """Names feedback."""

    feedback_id: int


class DeleteRawFeedback(BaseModel):
    """Names raw feedback."""

    raw_feedback_id: int


class MoveRawFeedback(BaseModel):
    """Promote or bring back, of one agent version or all."""

    agent_version: str | None = None
    feedback_name: str | None = None
