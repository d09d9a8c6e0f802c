"""Aggregation: from the lessons of many users to lessons for the agent."""

from typing import Annotated, Any

from pydantic import Field

from reflexio_async._engine.models import (
    EMPTY_LIST,
    NotBlank,
    OrNone,
    Polling,
    Query,
    RequestModel,
    ResponseModel,
    Starting,
    Waiting,
)
from reflexio_async.reflexio.models.enums import AggregationStatus, PlaybookStatus
from reflexio_async.reflexio.responses import MessageResponse


class RunPlaybookAggregationResponse(MessageResponse):
    """The result of an aggregation, in words."""


class SubmitPlaybookAggregationRequest(RequestModel):
    """An aggregation that survives restarts of the server. The same ``request_id`` is the same operation."""

    request_id: Annotated[str, Field(min_length=1, max_length=200, pattern=r".*\S.*")] | None = Field(
        default=None, description="Made by the client when absent."
    )
    agent_version: Annotated[str, Field(max_length=200, min_length=1, pattern=r".*\S.*")]


class PlaybookAggregationResult(ResponseModel):
    """What an aggregation did."""

    clusters_found: int = 0
    playbooks_generated: int = 0
    skipped: str | None = None
    user_playbooks_processed: int = 0


class PlaybookAggregationOperation(ResponseModel):
    """The state of an aggregation that survives restarts of the server. Times are epoch seconds."""

    operation_id: str
    request_id: str
    agent_version: str
    status: AggregationStatus | str = Field(union_mode="left_to_right")
    created_at: int
    updated_at: int
    attempts: int = 0
    completed_at: int | None = None
    error: str | None = None
    next_attempt_at: int | None = None
    result: PlaybookAggregationResult | None = None
    started_at: int | None = None


class AgentPlaybookSnapshot(ResponseModel):
    """A lesson for the agent, as it was at the time of an aggregation."""

    agent_playbook_id: int = 0
    agent_version: str = ""
    blocking_issue: dict[str, Any] | None = None
    content: str = ""
    playbook_metadata: str = ""
    playbook_name: str = ""
    playbook_status: PlaybookStatus | str = Field(default=PlaybookStatus.PENDING, union_mode="left_to_right")
    rationale: str | None = None
    trigger: str | None = None


class AgentPlaybookUpdateEntry(ResponseModel):
    """A lesson before and after a change."""

    before: AgentPlaybookSnapshot
    after: AgentPlaybookSnapshot


class PlaybookAggregationChangeLog(ResponseModel):
    """What one aggregation changed."""

    playbook_name: str
    agent_version: str
    run_mode: str
    added_agent_playbooks: list[AgentPlaybookSnapshot] = EMPTY_LIST
    created_at: int | None = None
    id: int = 0
    removed_agent_playbooks: list[AgentPlaybookSnapshot] = EMPTY_LIST
    updated_agent_playbooks: list[AgentPlaybookUpdateEntry] = EMPTY_LIST


class PlaybookAggregationChangeLogResponse(ResponseModel):
    """The changes by aggregation."""

    success: bool
    change_logs: list[PlaybookAggregationChangeLog]


class RunPlaybookAggregationRequest(RequestModel):
    """Which lessons to aggregate."""

    agent_version: OrNone[str] = "agent-v0"
    playbook_name: OrNone[str] = "playbook"


class RunPlaybookAggregationStart(RunPlaybookAggregationRequest, Starting):
    """``RunPlaybookAggregationRequest``, returning a handle."""


class RunPlaybookAggregationWait(RunPlaybookAggregationRequest, Waiting):
    """``RunPlaybookAggregationRequest``, waiting."""


class SubmitPlaybookAggregationStart(SubmitPlaybookAggregationRequest, Starting):
    """``SubmitPlaybookAggregationRequest``, returning a handle."""


class SubmitPlaybookAggregationWait(SubmitPlaybookAggregationRequest, Polling):
    """``SubmitPlaybookAggregationRequest``, waiting."""


class ByOperation(RequestModel, title="get_playbook_aggregation_operation"):
    """Names one aggregation operation."""

    operation_id: NotBlank


class AggregationChanges(RequestModel):
    """Names the playbooks whose changes are wanted."""

    playbook_name: Annotated[str, Query()]
    agent_version: Annotated[str, Query()]
