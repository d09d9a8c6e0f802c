"""Agent playbooks: lessons for the agent, aggregated from the lessons of many users."""

from typing import Annotated

from pydantic import Field, StrictBool

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
    SourceName,
    TimeRange,
    epoch_now,
)
from reflexio_async.reflexio.models.enums import CitationKind, PlaybookStatus, SearchMode, Status
from reflexio_async.reflexio.models.experiments import RetrievalExperimentAssignment
from reflexio_async.reflexio.models.literals import AnyPlaybookStatus, AnySearchMode, AnyStatus
from reflexio_async.reflexio.models.playbooks import BlockingIssue
from reflexio_async.reflexio.responses import MessageResponse, MsgResponse


class AgentPlaybook(RequestPart):
    """One lesson for the agent, to store as it is."""

    agent_version: str
    content: str
    agent_playbook_id: int = 0
    blocking_issue: OrMapping[BlockingIssue] | None = None
    created_at: int = Field(default_factory=epoch_now, description="Epoch seconds.")
    embedding: ListOf[float] = ()
    expanded_terms: str | None = None
    merged_into: int | None = None
    playbook_metadata: str = ""
    playbook_name: str = ""
    playbook_status: AnyPlaybookStatus = PlaybookStatus.PENDING
    rationale: str | None = None
    status: AnyStatus | None = None
    superseded_by: int | None = None
    tags: ListOf[str] | None = None
    trigger: str | None = None


class AddAgentPlaybookRequest(RequestModel, title="add_agent_playbooks"):
    """Lessons to store as they are."""

    agent_playbooks: Annotated[
        ListOf[OrMapping[AgentPlaybook]],
        Field(min_length=1),
    ]


class AddAgentPlaybookResponse(ResponseModel):
    """How many lessons were stored."""

    success: bool
    added_count: int = 0
    message: str | None = None


class UpdateAgentPlaybookRequest(RequestModel, title="update_agent_playbook"):
    """Changes of one lesson. What is left out stays as it is."""

    agent_playbook_id: AtLeastOne
    content: str | None = None
    playbook_name: str | None = None
    playbook_status: AnyPlaybookStatus | None = None
    rationale: str | None = None
    trigger: str | None = None


class UpdateAgentPlaybookResponse(MsgResponse):
    """Whether the lesson was changed."""


class UpdatePlaybookStatusRequest(RequestModel, title="update_agent_playbook_status"):
    """The verdict on one lesson for the agent."""

    agent_playbook_id: AtLeastOne
    playbook_status: AnyPlaybookStatus


class UpdatePlaybookStatusResponse(MsgResponse):
    """Whether the lesson was changed."""


class SearchAgentPlaybookRequest(TimeRange):
    """Lessons for the agent, nearest in meaning to ``query``."""

    agent_version: str | None = None
    enable_reformulation: bool | None = False
    playbook_name: str | None = None
    playbook_status_filter: AnyPlaybookStatus | ListOf[AnyPlaybookStatus] | None = None
    query: str | None = None
    request_id: str | None = None
    search_mode: OrNone[AnySearchMode] = SearchMode.HYBRID
    session_id: str | None = Field(
        default=None, description="The server leaves out what this session was given before."
    )
    source: SourceName | None = None
    status_filter: ListOf[AnyStatus | None] | None = Field(
        default=None, description="None inside it means current."
    )
    tags: ListOf[str] | None = None
    threshold: Fraction | None = None
    top_k: AtLeastOne | None = 10
    user_id: str | None = None


class AgentPlaybookView(ResponseModel):
    """One stored lesson for the agent. ``status`` None means current; times are epoch seconds."""

    agent_version: str
    content: str
    agent_playbook_id: int = 0
    created_at: int | None = None
    playbook_metadata: str = ""
    playbook_name: str = ""
    playbook_status: PlaybookStatus | str = Field(default=PlaybookStatus.PENDING, union_mode="left_to_right")
    rationale: str | None = None
    status: Status | str | None = Field(default=None, union_mode="left_to_right")
    tags: list[str] = EMPTY_LIST
    trigger: str | None = None


class SearchAgentPlaybooksViewResponse(MsgResponse):
    """Lessons found, best first."""

    agent_playbooks: list[AgentPlaybookView]
    experiment: RetrievalExperimentAssignment | None = None


class GetAgentPlaybooksRequest(TimeRange):
    """Lessons for the agent."""

    agent_playbook_id: AtLeastOne | None = None
    agent_version: str | None = None
    limit: AtLeastOne | None = 100
    playbook_name: str | None = None
    playbook_status_filter: AnyPlaybookStatus | None = None
    query: str | None = None
    request_id: str | None = None
    session_id: str | None = None
    status_filter: ListOf[AnyStatus | None] | None = Field(
        default=None, description="None inside it means current."
    )
    tags: ListOf[str] | None = None
    force_refresh: StrictBool = Field(default=False, exclude=True, description="Ignore the cached response.")


class GetAgentPlaybooksViewResponse(MsgResponse):
    """Lessons found."""

    agent_playbooks: list[AgentPlaybookView]


class DeleteAgentPlaybookResponse(MessageResponse):
    """Whether the lesson is deleted. Deleting one that does not exist succeeds."""


class DeleteAgentPlaybooksByIdsRequest(RequestModel, title="delete_agent_playbooks_by_ids"):
    """The lessons to delete."""

    agent_playbook_ids: Annotated[ListOf[int], Field(max_length=10000, min_length=1)]


class PlaybookApplicationStat(ResponseModel):
    """How often one learning was applied."""

    real_id: str
    kind: CitationKind | str = Field(union_mode="left_to_right")
    applied_count: int
    last_applied_at: int | None = None
    last_interaction_id: int | None = None
    title: str = ""


class GetPlaybookApplicationStatsRequest(RequestModel):
    """The days to count in."""

    days_back: AtLeastOne = 30


class GetPlaybookApplicationStatsResponse(MsgResponse):
    """How often each learning was applied."""

    stats: list[PlaybookApplicationStat] = EMPTY_LIST


class DeleteAgentPlaybookRequest(RequestModel, title="delete_agent_playbook"):
    """Names one lesson."""

    agent_playbook_id: AtLeastOne
