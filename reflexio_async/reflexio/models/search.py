"""Search in profiles and playbooks at once."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from reflexio_async._engine.models import (
    EMPTY_LIST,
    AtLeastOne,
    Fraction,
    ListOf,
    OrMapping,
    OrNone,
    RequestModel,
    RequestPart,
    ShortText,
    SourceName,
)
from reflexio_async.reflexio.models.agent_playbooks import AgentPlaybookView
from reflexio_async.reflexio.models.enums import SearchMode
from reflexio_async.reflexio.models.experiments import RetrievalExperimentAssignment
from reflexio_async.reflexio.models.literals import AnyPlaybookStatus, AnySearchMode
from reflexio_async.reflexio.models.playbooks import UserPlaybookView
from reflexio_async.reflexio.models.profiles import ProfileView
from reflexio_async.reflexio.responses import MsgResponse

EntityType: TypeAlias = Literal["profiles", "user_playbooks", "agent_playbooks"]


class ConversationTurn(RequestPart):
    """One earlier turn of the conversation in which the search is made."""

    role: str
    content: str


class UnifiedSearchRequest(RequestModel):
    """Profiles and playbooks nearest in meaning to ``query``."""

    query: str
    agent_playbook_status_filter: ListOf[AnyPlaybookStatus] | None = None
    agent_version: str | None = None
    conversation_history: ListOf[OrMapping[ConversationTurn]] | None = None
    enable_agent_answer: bool | None = False
    enable_reformulation: bool | None = False
    entity_types: ListOf[EntityType] | None = None
    interaction_id: AtLeastOne | None = None
    playbook_name: str | None = None
    request_id: ShortText | None = None
    search_mode: OrNone[AnySearchMode] = SearchMode.HYBRID
    session_id: ShortText | None = Field(
        default=None, description="The server leaves out what this session was given before."
    )
    source: SourceName | None = None
    tags: ListOf[str] | None = None
    threshold: Fraction | None = None
    top_k: Annotated[int, Field(gt=0, le=100)] | None = Field(
        default=5, description="The most results of each kind."
    )
    user_id: ShortText | None = None


class UnifiedSearchViewResponse(MsgResponse):
    """What was found of each kind, best first."""

    agent_playbooks: list[AgentPlaybookView] = EMPTY_LIST
    agent_trace: str | None = None
    degraded: bool = Field(default=False, description="Found without embeddings.")
    experiment: RetrievalExperimentAssignment | None = None
    profiles: list[ProfileView] = EMPTY_LIST
    reformulated_query: str | None = None
    rehydrated_text: str | None = None
    search_mode_effective: str | None = None
    user_playbooks: list[UserPlaybookView] = EMPTY_LIST
