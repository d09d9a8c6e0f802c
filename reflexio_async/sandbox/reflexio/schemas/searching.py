"""Searches."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from reflexio_async.sandbox.reflexio.schemas.common import (
    Approval,
    NotBlank,
    Positive,
    Share,
    Source,
    StatusWord,
    TimeRange,
)

Name = Annotated[str, Field(max_length=255)]
UpToHundred = Annotated[int, Field(gt=0, le=100)]


class Mode(Enum):
    """How to search; without embeddings every mode is full text."""

    VECTOR = "vector"
    FTS = "fts"
    HYBRID = "hybrid"


class Search(TimeRange):
    """What every search takes."""

    query: str | None = None
    threshold: Share | None = None
    search_mode: Mode = Mode.HYBRID
    request_id: str | None = None


class SearchInteractions(Search):
    """Turns of one user; ``top_k`` is ignored, only ``most_recent_k`` bites."""

    user_id: NotBlank
    top_k: Positive | None = None
    most_recent_k: Positive | None = None


class SearchProfiles(Search):
    """Profiles of one user."""

    user_id: NotBlank
    top_k: Positive | None = 10
    generated_from_request_id: str | None = None
    session_id: str | None = None
    source: Source | None = None
    custom_feature: str | None = None
    extractor_name: str | None = None
    tags: list[str] | None = None
    enable_reformulation: bool | None = False


class SearchUserPlaybooks(Search):
    """User playbooks."""

    user_id: Name | None = None
    agent_version: str | None = None
    playbook_name: str | None = None
    source: Source | None = None
    status_filter: list[StatusWord | None] | None = None
    tags: list[str] | None = None
    top_k: UpToHundred | None = 10
    enable_reformulation: bool | None = False
    request_id: Name | None = None
    session_id: Name | None = None


class SearchAgentPlaybooks(Search):
    """Agent playbooks; the user matters only to experiments."""

    user_id: NotBlank | None = None
    agent_version: str | None = None
    playbook_name: str | None = None
    source: Source | None = None
    status_filter: list[StatusWord | None] | None = None
    playbook_status_filter: Approval | list[Approval] | None = None
    tags: list[str] | None = None
    top_k: Positive | None = 10
    enable_reformulation: bool | None = False
    session_id: str | None = None


class ConversationTurn(BaseModel):
    """What was said before."""

    role: NotBlank
    content: NotBlank


EntityType = Literal["profiles", "user_playbooks", "agent_playbooks"]


class SearchAll(BaseModel):
    """Everything at once; with a session, only what it was not shown yet."""

    query: NotBlank
    top_k: UpToHundred | None = 5
    threshold: Share | None = None
    user_id: Name | None = None
    agent_version: str | None = None
    playbook_name: str | None = None
    source: Source | None = None
    tags: list[str] | None = None
    entity_types: list[EntityType] | None = None
    agent_playbook_status_filter: list[Approval] | None = None
    conversation_history: list[ConversationTurn] | None = None
    enable_agent_answer: bool | None = False
    enable_reformulation: bool | None = False
    search_mode: Mode = Mode.HYBRID
    interaction_id: Positive | None = None
    request_id: Name | None = None
    session_id: Name | None = None


class Rerank(BaseModel):
    """Put profiles in order of their likeness to a query."""

    user_id: NotBlank
    query: NotBlank
    profile_ids: list[str]
    top_k: Positive = 10
