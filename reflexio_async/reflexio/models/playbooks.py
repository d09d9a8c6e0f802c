"""User playbooks: lessons for the agent, each learned from one user."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from reflexio_async._engine.models import (
    EMPTY_LIST,
    AtLeastOne,
    Fraction,
    ListOf,
    OrMapping,
    OrNone,
    RequestModel,
    RequestPart,
    ResponseModel,
    ShortText,
    SourceName,
    TimeRange,
    UtcDatetime,
    epoch_now,
)
from reflexio_async.reflexio.models.enums import SearchMode, Status
from reflexio_async.reflexio.models.experiments import RetrievalExperimentAssignment
from reflexio_async.reflexio.models.literals import AnyBlockingIssueKind, AnySearchMode, AnyStatus
from reflexio_async.reflexio.responses import MessageResponse, MsgResponse


class GetUserPlaybooksRequest(TimeRange):
    """Lessons that were learned from single users."""

    user_id: str | None = None
    user_playbook_id: AtLeastOne | None = None
    playbook_name: str | None = None
    agent_version: str | None = None
    request_id: str | None = None
    query: str | None = None
    tags: ListOf[str] | None = None
    status_filter: ListOf[AnyStatus | None] | None = Field(
        default=None, description="None inside it means current; absent: every status, archived included."
    )
    limit: AtLeastOne | None = 100


class UserPlaybookView(ResponseModel):
    """One stored lesson of one user. ``status`` None means current; ``created_at`` is in epoch seconds."""

    user_playbook_id: int = 0
    user_id: str | None = None
    agent_version: str
    request_id: str
    playbook_name: str = ""
    created_at: int | None = None
    content: str = ""
    trigger: str | None = None
    rationale: str | None = None
    status: Status | str | None = Field(default=None, union_mode="left_to_right")
    source: str | None = None
    source_span: str | None = None
    source_interaction_ids: list[int] = EMPTY_LIST
    exposure_receipt: str | None = None
    tags: list[str] = EMPTY_LIST


class GetUserPlaybooksViewResponse(MsgResponse):
    """Lessons found."""

    user_playbooks: list[UserPlaybookView]


class UpgradeUserPlaybooksRequest(RequestModel):
    """Promote pending user playbooks to current."""

    agent_version: str | None = None
    archive_current: bool = True
    playbook_name: str | None = Field(default=None, deprecated=True)


class UpgradeUserPlaybooksResponse(MessageResponse):
    """How many lessons changed their status."""

    user_playbooks_promoted: int = 0
    user_playbooks_archived: int = 0
    user_playbooks_deleted: int = 0


class BlockingIssue(RequestPart):
    """The reason why the agent cannot follow a lesson."""

    kind: AnyBlockingIssueKind
    details: str


class StructuredDataView(ResponseModel):
    """The parts of a lesson, as older servers show them. Today they are fields of the lesson itself."""

    rationale: str | None = None
    trigger: str | None = None
    instruction: str | None = None
    pitfall: str | None = None
    blocking_issue: BlockingIssue | None = None


class UserPlaybook(RequestPart):
    """One lesson of one user, to store as it is."""

    agent_version: str
    request_id: str
    blocking_issue: OrMapping[BlockingIssue] | None = None
    content: str = ""
    created_at: int = Field(default_factory=epoch_now, description="Epoch seconds.")
    embedding: ListOf[float] = ()
    expanded_terms: str | None = None
    governance_subject_ref: str | None = None
    merged_into: int | None = None
    notes: str | None = None
    playbook_name: str = ""
    rationale: str | None = None
    reader_angle: str | None = None
    retired_at: int | None = None
    source: str | None = None
    source_interaction_ids: ListOf[int] = ()
    source_span: str | None = None
    status: AnyStatus | None = None
    superseded_by: int | None = None
    tags: ListOf[str] | None = None
    trigger: str | None = None
    user_id: str | None = None
    user_playbook_id: int = 0

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.content and not self.trigger:
            message = "content or trigger must be given"
            raise ValueError(message)
        return self


class AddUserPlaybookRequest(RequestModel, title="add_user_playbook"):
    """Lessons to store as they are."""

    user_playbooks: Annotated[
        ListOf[OrMapping[UserPlaybook]],
        Field(max_length=1000, min_length=1),
    ]


class AddUserPlaybookResponse(ResponseModel):
    """How many lessons were stored."""

    success: bool
    added_count: int = 0
    message: str | None = None


class UpdateUserPlaybookRequest(RequestModel, title="update_user_playbook"):
    """Changes of one lesson. What is left out stays as it is."""

    user_playbook_id: AtLeastOne
    content: str | None = None
    playbook_name: str | None = None
    rationale: str | None = None
    trigger: str | None = None


class UpdateUserPlaybookResponse(MsgResponse):
    """Whether the lesson was changed. It is a success, too, when the lesson does not exist."""


class SearchUserPlaybookRequest(TimeRange):
    """Lessons that were learned from single users, nearest in meaning to ``query``."""

    agent_version: str | None = None
    enable_reformulation: bool | None = False
    playbook_name: str | None = None
    query: str | None = None
    request_id: ShortText | None = None
    search_mode: OrNone[AnySearchMode] = SearchMode.HYBRID
    session_id: ShortText | None = Field(
        default=None, description="The server leaves out what this session was given before."
    )
    source: SourceName | None = None
    status_filter: ListOf[AnyStatus | None] | None = Field(
        default=None, description="None inside it means current; absent: every status, archived included."
    )
    tags: ListOf[str] | None = None
    threshold: Fraction | None = None
    top_k: Annotated[int, Field(gt=0, le=100)] | None = 10
    user_id: ShortText | None = None


class SearchUserPlaybooksViewResponse(MsgResponse):
    """Lessons found, best first."""

    user_playbooks: list[UserPlaybookView]
    experiment: RetrievalExperimentAssignment | None = None


class ReviewUserPlaybooksRequest(TimeRange):
    """Which lessons to compare with the interactions that they were learned from."""

    # Here both are required.
    start_time: UtcDatetime  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    end_time: UtcDatetime  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    report_only: bool = Field(
        default=True,
        description="Change nothing, and respond when done; False: change lessons in the background.",
    )
    top_k: Annotated[int, Field(gt=0, le=100)] = 10


class ReviewUserPlaybookEdit(ResponseModel):
    """The new wording of a lesson."""

    content: str
    trigger: str
    rationale: str


class ReviewUserPlaybookResult(ResponseModel):
    """The decision about one lesson."""

    user_playbook_id: int
    decision: str
    reason_code: str
    applied: bool = False
    edit: ReviewUserPlaybookEdit | None = None
    reason: str | None = None
    successor_user_playbook_id: int | None = None


class ReviewUserPlaybooksResponse(MsgResponse):
    """The decisions. There are none yet when the review runs in the background."""

    accepted_count: int = 0
    edited_count: int = 0
    rejected_count: int = 0
    report_only: bool = True
    results: list[ReviewUserPlaybookResult] = EMPTY_LIST
    run_id: str | None = None
    selected_count: int = 0
    skipped_count: int = 0


class DeleteUserPlaybookResponse(MessageResponse):
    """Whether the lesson is deleted. Deleting one that does not exist succeeds."""


class DeleteUserPlaybooksByIdsRequest(RequestModel, title="delete_user_playbooks_by_ids"):
    """The lessons to delete."""

    user_playbook_ids: Annotated[ListOf[int], Field(max_length=10000, min_length=1)]


class DowngradeUserPlaybooksRequest(RequestModel):
    """Restore archived user playbooks."""

    agent_version: str | None = None
    playbook_name: str | None = Field(default=None, deprecated=True)


class DowngradeUserPlaybooksResponse(MessageResponse):
    """How many lessons changed their status."""

    user_playbooks_demoted: int = 0
    user_playbooks_restored: int = 0


class DeleteUserPlaybookRequest(RequestModel, title="delete_user_playbook"):
    """Names one lesson."""

    user_playbook_id: AtLeastOne
