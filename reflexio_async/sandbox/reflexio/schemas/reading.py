"""Reading rows back, searching them, counting them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from reflexio_async.sandbox.reflexio.schemas.common import (
    Approval,
    NotBlank,
    Positive,
    Source,
    StatusWord,
    TimeRange,
)

Limit = Annotated[int, Field(gt=0)]


class GetProfiles(TimeRange):
    """Profiles of one user."""

    user_id: NotBlank
    top_k: Positive | None = 30
    status_filter: list[StatusWord | None] | None = None
    query: str | None = None
    profile_id: str | None = None
    source: Source | None = None
    profile_time_to_live: str | None = None
    tags: list[str] | None = None


class AllProfiles(BaseModel):
    """Profiles of everybody; a status nobody knows is ignored."""

    limit: int = 100
    status_filter: str | None = None
    profile_id: str | None = None
    user_id: str | None = None
    query: str | None = None
    source: str | None = None
    profile_time_to_live: str | None = None
    start_time: int | None = None
    end_time: int | None = None
    date_field: Literal["last_modified_timestamp", "created_at"] = "last_modified_timestamp"
    include_tombstones: bool = False


class GetUserPlaybooks(TimeRange):
    """User playbooks."""

    user_id: str | None = None
    user_playbook_id: Positive | None = None
    agent_version: str | None = None
    request_id: str | None = None
    playbook_name: str | None = None
    query: str | None = None
    tags: list[str] | None = None
    status_filter: list[StatusWord | None] | None = None
    limit: Positive | None = 100


class GetAgentPlaybooks(TimeRange):
    """Agent playbooks."""

    agent_playbook_id: Positive | None = None
    agent_version: str | None = None
    playbook_name: str | None = None
    query: str | None = None
    tags: list[str] | None = None
    status_filter: list[StatusWord | None] | None = None
    playbook_status_filter: Approval | None = None
    limit: Positive | None = 100
    request_id: str | None = None
    session_id: str | None = None


class GetRequests(TimeRange):
    """Stored requests by session."""

    user_id: str | None = None
    request_id: str | None = None
    session_id: str | None = None
    source: Source | None = None
    top_k: Positive | None = 30
    offset: Annotated[int, Field(ge=0)] | None = 0


class GetInteractions(TimeRange):
    """Turns of one user."""

    user_id: NotBlank
    top_k: Positive | None = 30


class AllInteractions(BaseModel):
    """Turns of everybody."""

    limit: int = 100


class OfUser(BaseModel):
    """Names a user, in the query string."""

    user_id: str


class GetDashboard(BaseModel):
    """Numbers of the last days."""

    days_back: Positive | None = 30


class GetApplicationStats(BaseModel):
    """How often learnings were cited in the last days."""

    days_back: Positive = 30


class ChangeLogQuery(BaseModel):
    """Names the playbooks whose history is asked for."""

    playbook_name: str
    agent_version: str


class GetProvenance(BaseModel):
    """Names a learning."""

    kind: Literal["profile", "user_playbook", "agent_playbook"]
    id: str
