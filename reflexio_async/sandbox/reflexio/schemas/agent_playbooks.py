"""Schemas of agent playbooks."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from reflexio_async.sandbox.reflexio.schemas import common


class GetAgentPlaybooksRequestSchema(common.TimeRangeSchema):
    """Read agent playbooks."""

    agent_playbook_id: common.PositiveInt | None = None
    agent_version: str | None = None
    playbook_name: str | None = None
    query: str | None = None
    tags: list[str] | None = None
    status_filter: list[common.StatusSchema | None] | None = None
    playbook_status_filter: common.PlaybookStatusSchema | None = None
    limit: common.PositiveInt | None = 100
    request_id: str | None = None
    session_id: str | None = None


class SearchAgentPlaybookRequestSchema(common.SearchSchema):
    """Search agent playbooks. Only experiments use the user."""

    user_id: common.NotBlank | None = None
    agent_version: str | None = None
    playbook_name: str | None = None
    source: common.Source | None = None
    status_filter: list[common.StatusSchema | None] | None = None
    playbook_status_filter: common.PlaybookStatusSchema | list[common.PlaybookStatusSchema] | None = None
    tags: list[str] | None = None
    top_k: common.PositiveInt | None = 10
    enable_reformulation: bool | None = False
    session_id: str | None = None


class AgentPlaybookSchema(BaseModel):
    """An agent playbook as a caller writes it. The server gives id, tags and status.

    Without ``created_at`` it is of now.
    """

    agent_playbook_id: int = 0
    playbook_name: str = ""
    agent_version: str
    created_at: int = 0
    content: str
    trigger: str | None = None
    rationale: str | None = None
    blocking_issue: common.BlockingIssueSchema | None = None
    playbook_status: common.PlaybookStatusSchema = common.PlaybookStatusSchema.PENDING
    playbook_metadata: str = ""
    expanded_terms: str | None = None
    tags: list[str] | None = None
    embedding: common.Embedding = []
    status: common.StatusSchema | None = None
    merged_into: int | None = None
    superseded_by: int | None = None


class AddAgentPlaybookRequestSchema(BaseModel):
    """Store agent playbooks."""

    agent_playbooks: Annotated[list[AgentPlaybookSchema], Field(min_length=1)]


class UpdateAgentPlaybookRequestSchema(BaseModel):
    """Change the given fields of an agent playbook."""

    agent_playbook_id: common.PositiveInt
    playbook_name: str | None = None
    content: str | None = None
    trigger: str | None = None
    rationale: str | None = None
    playbook_status: common.PlaybookStatusSchema | None = None


class UpdatePlaybookStatusRequestSchema(BaseModel):
    """Approve or reject an agent playbook."""

    agent_playbook_id: common.PositiveInt
    playbook_status: common.PlaybookStatusSchema


class DeleteAgentPlaybookRequestSchema(BaseModel):
    """Delete an agent playbook."""

    agent_playbook_id: common.PositiveInt


class DeleteAgentPlaybooksByIdsRequestSchema(BaseModel):
    """Delete agent playbooks."""

    agent_playbook_ids: Annotated[list[int], Field(min_length=1, max_length=10_000)]


class GetPlaybookApplicationStatsRequestSchema(BaseModel):
    """Count the citations of learnings in the last days."""

    days_back: common.PositiveInt = 30
