"""Feedback: what playbooks were called in January 2026."""

from pydantic import Field

from reflexio_async._engine.models import (
    EMPTY_LIST,
    AtLeastOne,
    ListOf,
    NotBlank,
    OrMapping,
    Polling,
    RequestModel,
    RequestPart,
    ResponseModel,
    Starting,
    TimeRange,
    Waiting,
    epoch_now,
)
from reflexio_async.reflexio.models.enums import PlaybookStatus, Status
from reflexio_async.reflexio.models.literals import AnyPlaybookStatus, AnyStatus
from reflexio_async.reflexio.responses import MessageResponse, MsgResponse


class Feedback(RequestPart):
    """One lesson for the agent, to store as it is."""

    agent_version: str
    feedback_content: str
    created_at: int = Field(default_factory=epoch_now, description="Epoch seconds.")
    do_action: str | None = None
    do_not_action: str | None = None
    embedding: ListOf[float] = ()
    feedback_id: int = 0
    feedback_metadata: str = ""
    feedback_name: str = ""
    feedback_status: AnyPlaybookStatus = PlaybookStatus.PENDING
    status: AnyStatus | None = None
    when_condition: str | None = None


class RawFeedback(RequestPart):
    """One lesson of one user, to store as it is."""

    agent_version: str
    request_id: NotBlank
    created_at: int = Field(default_factory=epoch_now, description="Epoch seconds.")
    do_action: str | None = None
    do_not_action: str | None = None
    embedding: ListOf[float] = ()
    feedback_content: str = ""
    feedback_name: str = ""
    indexed_content: str | None = None
    raw_feedback_id: int = 0
    source: str | None = None
    status: AnyStatus | None = None
    user_id: str | None = None
    when_condition: str | None = None


class AddFeedbackRequest(RequestModel):
    """Lessons to store as they are."""

    feedbacks: ListOf[OrMapping[Feedback]]


class AddFeedbackResponse(ResponseModel):
    """How many lessons were stored."""

    success: bool
    added_count: int = 0
    message: str | None = None


class AddRawFeedbackRequest(RequestModel):
    """Lessons to store as they are."""

    raw_feedbacks: ListOf[OrMapping[RawFeedback]]


class AddRawFeedbackResponse(AddFeedbackResponse):
    """How many lessons were stored."""


class GetFeedbacksRequest(RequestModel):
    """Lessons for the agent."""

    feedback_name: str | None = None
    feedback_status_filter: AnyPlaybookStatus | None = None
    limit: int | None = 100
    status_filter: ListOf[AnyStatus | None] | None = None


class GetRawFeedbacksRequest(RequestModel):
    """Lessons that were learned from single users."""

    feedback_name: str | None = None
    limit: int | None = 100
    status_filter: ListOf[AnyStatus | None] | None = None


class SearchFeedbackRequest(TimeRange):
    """Lessons for the agent, nearest in meaning to ``query``."""

    agent_version: str | None = None
    feedback_name: str | None = None
    feedback_status_filter: AnyPlaybookStatus | None = None
    query: str | None = None
    status_filter: ListOf[AnyStatus | None] | None = None
    threshold: float | None = 0.5
    top_k: int | None = 10


class SearchRawFeedbackRequest(TimeRange):
    """Lessons that were learned from single users, nearest in meaning to ``query``."""

    agent_version: str | None = None
    feedback_name: str | None = None
    query: str | None = None
    status_filter: ListOf[AnyStatus | None] | None = None
    threshold: float | None = 0.5
    top_k: int | None = 10
    user_id: str | None = None


class UpdateFeedbackStatusRequest(RequestModel):
    """Whether one lesson is approved."""

    feedback_id: int
    feedback_status: AnyPlaybookStatus


class UpdateFeedbackStatusResponse(MsgResponse):
    """Whether the lesson was changed."""


class DeleteFeedbackResponse(MessageResponse):
    """Whether the lesson is deleted."""


class DeleteRawFeedbackResponse(DeleteFeedbackResponse):
    """Whether the lesson is deleted."""


class UpgradeRawFeedbacksRequest(RequestModel):
    """Promote pending raw feedbacks to current."""

    agent_version: str | None = None
    feedback_name: str | None = None


class UpgradeRawFeedbacksResponse(MessageResponse):
    """How many lessons changed their status."""

    raw_feedbacks_archived: int = 0
    raw_feedbacks_deleted: int = 0
    raw_feedbacks_promoted: int = 0


class DowngradeRawFeedbacksRequest(RequestModel):
    """Restore archived raw feedbacks."""

    agent_version: str | None = None
    feedback_name: str | None = None


class DowngradeRawFeedbacksResponse(MessageResponse):
    """How many lessons changed their status."""

    raw_feedbacks_demoted: int = 0
    raw_feedbacks_restored: int = 0


class RunFeedbackAggregationResponse(MessageResponse):
    """The result of an aggregation, in words."""


class RerunFeedbackGenerationRequest(TimeRange):
    """Learn the raw feedbacks of one agent version again, from all its users."""

    agent_version: str
    feedback_name: str | None = None
    source: str | None = None


class RerunFeedbackGenerationResponse(MsgResponse):
    """The result of a feedback rerun."""

    feedbacks_generated: int | None = None
    operation_id: str = "rerun_feedback_generation"


class ManualFeedbackGenerationRequest(RequestModel):
    """Learn current raw feedbacks now."""

    agent_version: str
    feedback_name: str | None = None
    source: str | None = None


class ManualFeedbackGenerationResponse(MsgResponse):
    """The result of a manual feedback generation."""

    feedbacks_generated: int | None = None


class FeedbackView(ResponseModel):
    """One stored lesson. ``status`` None means current; ``created_at`` is in epoch seconds."""

    agent_version: str
    feedback_content: str
    created_at: int | None = None
    do_action: str | None = None
    do_not_action: str | None = None
    embedding: list[float] = EMPTY_LIST
    feedback_id: int = 0
    feedback_metadata: str = ""
    feedback_name: str = ""
    feedback_status: PlaybookStatus | str = Field(default=PlaybookStatus.PENDING, union_mode="left_to_right")
    status: Status | str | None = Field(default=None, union_mode="left_to_right")
    when_condition: str | None = None


class RawFeedbackView(ResponseModel):
    """One stored lesson. ``status`` None means current; ``created_at`` is in epoch seconds."""

    agent_version: str
    request_id: str
    created_at: int | None = None
    do_action: str | None = None
    do_not_action: str | None = None
    embedding: list[float] = EMPTY_LIST
    feedback_content: str = ""
    feedback_name: str = ""
    indexed_content: str | None = None
    raw_feedback_id: int = 0
    source: str | None = None
    status: Status | str | None = Field(default=None, union_mode="left_to_right")
    user_id: str | None = None
    when_condition: str | None = None


class GetFeedbacksResponse(MsgResponse):
    """Lessons found."""

    feedbacks: list[FeedbackView]


class GetRawFeedbacksResponse(MsgResponse):
    """Lessons found."""

    raw_feedbacks: list[RawFeedbackView]


class SearchFeedbackResponse(GetFeedbacksResponse):
    """Lessons found, best first."""


class SearchRawFeedbackResponse(GetRawFeedbacksResponse):
    """Lessons found, best first."""


class DeleteFeedbackRequest(RequestModel, title="delete_feedback"):
    """Names one feedback."""

    feedback_id: AtLeastOne


class DeleteRawFeedbackRequest(RequestModel, title="delete_raw_feedback"):
    """Names one raw feedback."""

    raw_feedback_id: AtLeastOne


class RunFeedbackAggregationRequest(RequestModel):
    """Which raw feedbacks to aggregate."""

    agent_version: str
    feedback_name: str


class RunFeedbackAggregationStart(RunFeedbackAggregationRequest, Starting):
    """``RunFeedbackAggregationRequest``, returning a handle."""


class RunFeedbackAggregationWait(RunFeedbackAggregationRequest, Waiting):
    """``RunFeedbackAggregationRequest``, waiting."""


class RerunFeedbackGenerationStart(RerunFeedbackGenerationRequest, Starting):
    """``RerunFeedbackGenerationRequest``, returning a handle."""


class RerunFeedbackGenerationWait(RerunFeedbackGenerationRequest, Polling):
    """``RerunFeedbackGenerationRequest``, waiting."""


class ManualFeedbackGenerationStart(ManualFeedbackGenerationRequest, Starting):
    """``ManualFeedbackGenerationRequest``, returning a handle."""


class ManualFeedbackGenerationWait(ManualFeedbackGenerationRequest, Waiting):
    """``ManualFeedbackGenerationRequest``, waiting."""
