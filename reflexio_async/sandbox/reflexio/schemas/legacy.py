"""What January 2026's routes accept: feedback for playbooks, request groups for sessions.

A class is named after the contract's component, between ``Legacy`` and ``Schema``.
"""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel

from reflexio_async.sandbox.reflexio.schemas import common
from reflexio_async.sandbox.reflexio.schemas.interactions import UserActionTypeSchema


class LegacyStatusSchema(Enum):
    """The state of a row. There are fewer than today."""

    NONE = "None"
    ARCHIVED = "archived"
    PENDING = "pending"
    ARCHIVE_IN_PROGRESS = "archive_in_progress"


class LegacyInteractionDataSchema(BaseModel):
    """One interaction."""

    created_at: int = 0
    role: str = "User"
    content: str = ""
    shadow_content: str = ""
    user_action: UserActionTypeSchema = UserActionTypeSchema.NONE
    user_action_description: str = ""
    interacted_image_url: str = ""
    image_encoding: str = ""


class LegacyPublishUserInteractionRequestSchema(BaseModel):
    """Store interactions. There is no request id."""

    user_id: str
    interaction_data_list: list[LegacyInteractionDataSchema]
    source: str = ""
    agent_version: str = ""
    request_group: str | None = None


class LegacyGetRequestsRequestSchema(common.TimeRangeSchema):
    """Read requests by group."""

    user_id: str | None = None
    request_id: str | None = None
    top_k: int | None = 30


class LegacyDeleteRequestRequestSchema(BaseModel):
    """Delete a request."""

    request_id: str


class LegacyDeleteRequestGroupRequestSchema(BaseModel):
    """Delete the requests of a group."""

    request_group: str


class LegacyAllProfilesQuerySchema(BaseModel):
    """Read profiles of all users."""

    limit: int = 100
    status_filter: str | None = None


class LegacyGetUserProfilesRequestSchema(common.TimeRangeSchema):
    """Read profiles of one user."""

    user_id: str
    top_k: int | None = 30
    status_filter: list[LegacyStatusSchema | None] | None = None


class LegacySearchUserProfileRequestSchema(common.TimeRangeSchema):
    """Search profiles of one user."""

    user_id: str
    generated_from_request_id: str | None = None
    query: str | None = None
    top_k: int | None = 10
    source: str | None = None
    custom_feature: str | None = None
    threshold: float | None = 0.5


class LegacyDeleteUserProfileRequestSchema(BaseModel):
    """Delete a profile of a user, or those that a search finds."""

    user_id: str
    profile_id: str = ""
    search_query: str = ""


class LegacyGetInteractionsRequestSchema(common.TimeRangeSchema):
    """Read interactions of one user."""

    user_id: str
    top_k: int | None = 30


class LegacySearchInteractionRequestSchema(common.TimeRangeSchema):
    """Search interactions of one user."""

    user_id: str
    request_id: str | None = None
    query: str | None = None
    top_k: int | None = None
    most_recent_k: int | None = None


class LegacyDeleteUserInteractionRequestSchema(BaseModel):
    """Delete an interaction."""

    user_id: str
    interaction_id: int


class LegacyGetAgentSuccessEvaluationResultsRequestSchema(BaseModel):
    """Read evaluation results."""

    limit: int | None = 100
    agent_version: str | None = None


class LegacyRerunProfileGenerationRequestSchema(common.TimeRangeSchema):
    """Start a profile rerun. No user means all users."""

    user_id: str | None = None
    source: str | None = None
    extractor_names: list[str] | None = None


class LegacyRerunFeedbackGenerationRequestSchema(common.TimeRangeSchema):
    """Start a feedback rerun of one agent version."""

    agent_version: str
    feedback_name: str | None = None
    source: str | None = None


class LegacyManualFeedbackGenerationRequestSchema(BaseModel):
    """Extract current feedback now."""

    agent_version: str
    source: str | None = None
    feedback_name: str | None = None


class LegacyRunFeedbackAggregationRequestSchema(BaseModel):
    """Aggregate raw feedback of one agent version now."""

    agent_version: str
    feedback_name: str


class LegacyRawFeedbackSchema(BaseModel):
    """Raw feedback as a caller writes it."""

    raw_feedback_id: int = 0
    user_id: str | None = None
    agent_version: str
    request_id: str
    feedback_name: str = ""
    created_at: int = 0
    feedback_content: str = ""
    do_action: str | None = None
    do_not_action: str | None = None
    when_condition: str | None = None
    status: LegacyStatusSchema | None = None
    source: str | None = None
    indexed_content: str | None = None
    embedding: list[float] = []


class LegacyFeedbackSchema(BaseModel):
    """Feedback as a caller writes it."""

    feedback_id: int = 0
    feedback_name: str = ""
    agent_version: str
    created_at: int = 0
    feedback_content: str
    do_action: str | None = None
    do_not_action: str | None = None
    when_condition: str | None = None
    feedback_status: common.PlaybookStatusSchema = common.PlaybookStatusSchema.PENDING
    feedback_metadata: str = ""
    embedding: list[float] = []
    status: LegacyStatusSchema | None = None


class LegacyAddRawFeedbackRequestSchema(BaseModel):
    """Store raw feedback."""

    raw_feedbacks: list[LegacyRawFeedbackSchema]


class LegacyAddFeedbackRequestSchema(BaseModel):
    """Store feedback."""

    feedbacks: list[LegacyFeedbackSchema]


class LegacyGetRawFeedbacksRequestSchema(BaseModel):
    """Read raw feedback."""

    limit: int | None = 100
    feedback_name: str | None = None
    status_filter: list[LegacyStatusSchema | None] | None = None


class LegacyGetFeedbacksRequestSchema(BaseModel):
    """Read feedback."""

    limit: int | None = 100
    feedback_name: str | None = None
    status_filter: list[LegacyStatusSchema | None] | None = None
    feedback_status_filter: common.PlaybookStatusSchema | None = None


class LegacySearchRawFeedbackRequestSchema(common.TimeRangeSchema):
    """Search raw feedback."""

    query: str | None = None
    user_id: str | None = None
    agent_version: str | None = None
    feedback_name: str | None = None
    status_filter: list[LegacyStatusSchema | None] | None = None
    top_k: int | None = 10
    threshold: float | None = 0.5


class LegacySearchFeedbackRequestSchema(common.TimeRangeSchema):
    """Search feedback."""

    query: str | None = None
    agent_version: str | None = None
    feedback_name: str | None = None
    status_filter: list[LegacyStatusSchema | None] | None = None
    feedback_status_filter: common.PlaybookStatusSchema | None = None
    top_k: int | None = 10
    threshold: float | None = 0.5


class LegacyUpdateFeedbackStatusRequestSchema(BaseModel):
    """Approve or reject feedback."""

    feedback_id: int
    feedback_status: common.PlaybookStatusSchema


class LegacyDeleteFeedbackRequestSchema(BaseModel):
    """Delete feedback."""

    feedback_id: int


class LegacyDeleteRawFeedbackRequestSchema(BaseModel):
    """Delete raw feedback."""

    raw_feedback_id: int


class LegacyMoveRawFeedbacksRequestSchema(BaseModel):
    """Upgrade or downgrade raw feedback, of one agent version or all."""

    agent_version: str | None = None
    feedback_name: str | None = None
