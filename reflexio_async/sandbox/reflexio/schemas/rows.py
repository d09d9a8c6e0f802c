"""Rows that callers write themselves, change and delete."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from reflexio_async.sandbox.reflexio.schemas.common import (
    Approval,
    Embedding,
    NotBlank,
    Positive,
    ProfileTimeToLiveSchema,
    StatusWord,
)

NEVER = 4_102_444_800
"""When that expires which never does."""


class BlockingKind(Enum):
    """What is in an agent's way."""

    MISSING_TOOL = "missing_tool"
    PERMISSION_DENIED = "permission_denied"
    EXTERNAL_DEPENDENCY = "external_dependency"
    POLICY_RESTRICTION = "policy_restriction"


class BlockingIssue(BaseModel):
    """What is in an agent's way, and how."""

    kind: BlockingKind
    details: str


class ProfileRow(BaseModel):
    """A profile as a caller writes it."""

    profile_id: str
    user_id: str
    content: str
    last_modified_timestamp: int
    generated_from_request_id: str
    profile_time_to_live: ProfileTimeToLiveSchema = ProfileTimeToLiveSchema.INFINITY
    expiration_timestamp: int = NEVER
    custom_features: dict[str, Any] | None = None
    source: str | None = None
    status: StatusWord | None = None
    extractor_names: list[str] | None = None
    expanded_terms: str | None = None
    tags: list[str] | None = None
    source_interaction_ids: list[int] = []
    embedding: Embedding = []
    source_span: str | None = None
    notes: str | None = None
    reader_angle: str | None = None
    merged_into: str | None = None
    superseded_by: str | None = None


class AddProfiles(BaseModel):
    """Profiles to store; an existing id is overwritten."""

    user_profiles: Annotated[list[ProfileRow], Field(min_length=1)]


class UserPlaybookRow(BaseModel):
    """A user playbook as a caller writes it; the id is given by the server."""

    user_playbook_id: int = 0
    user_id: str | None = None
    agent_version: str
    request_id: str
    playbook_name: str = ""
    created_at: int | None = None
    content: str = ""
    trigger: str | None = None
    rationale: str | None = None
    blocking_issue: BlockingIssue | None = None
    status: StatusWord | None = None
    source: str | None = None
    source_interaction_ids: list[int] = []
    expanded_terms: str | None = None
    tags: list[str] | None = None
    embedding: Embedding = []
    source_span: str | None = None
    notes: str | None = None
    reader_angle: str | None = None
    merged_into: int | None = None
    superseded_by: int | None = None
    governance_subject_ref: str | None = None
    retired_at: int | None = None


class AddUserPlaybooks(BaseModel):
    """User playbooks to store."""

    user_playbooks: Annotated[list[UserPlaybookRow], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _say_something(self) -> Self:
        for index, row in enumerate(self.user_playbooks):
            if not (row.trigger or row.content):
                message = f"user_playbooks[{index}]: at least one of content or trigger must be provided"
                raise ValueError(message)
        return self


class AgentPlaybookRow(BaseModel):
    """An agent playbook as a caller writes it; id, tags and status are given by the server."""

    agent_playbook_id: int = 0
    playbook_name: str = ""
    agent_version: str
    created_at: int | None = None
    content: str
    trigger: str | None = None
    rationale: str | None = None
    blocking_issue: BlockingIssue | None = None
    playbook_status: Approval = Approval.PENDING
    playbook_metadata: str = ""
    expanded_terms: str | None = None
    tags: list[str] | None = None
    embedding: Embedding = []
    status: StatusWord | None = None
    merged_into: int | None = None
    superseded_by: int | None = None


class AddAgentPlaybooks(BaseModel):
    """Agent playbooks to store."""

    agent_playbooks: Annotated[list[AgentPlaybookRow], Field(min_length=1)]


class UpdateProfile(BaseModel):
    """Change what is given."""

    user_id: str
    profile_id: str
    content: str | None = None
    custom_features: dict[str, Any] | None = None


class UpdateUserPlaybook(BaseModel):
    """Change what is given."""

    user_playbook_id: Positive
    playbook_name: str | None = None
    content: str | None = None
    trigger: str | None = None
    rationale: str | None = None


class UpdateAgentPlaybook(BaseModel):
    """Change what is given."""

    agent_playbook_id: Positive
    playbook_name: str | None = None
    content: str | None = None
    trigger: str | None = None
    rationale: str | None = None
    playbook_status: Approval | None = None


class UpdateApproval(BaseModel):
    """Approve or reject."""

    agent_playbook_id: Positive
    playbook_status: Approval


class DeleteProfile(BaseModel):
    """Names a profile; a search query is accepted and finds nothing to delete."""

    user_id: NotBlank
    profile_id: str = ""
    search_query: str = ""


class DeleteInteraction(BaseModel):
    """Names a turn."""

    user_id: NotBlank
    interaction_id: Positive


class DeleteRequest(BaseModel):
    """Names a request."""

    request_id: NotBlank


class DeleteSession(BaseModel):
    """Names a session."""

    session_id: NotBlank


class DeleteUserPlaybook(BaseModel):
    """Names a user playbook."""

    user_playbook_id: Positive


class DeleteAgentPlaybook(BaseModel):
    """Names an agent playbook."""

    agent_playbook_id: Positive


class DeleteRequests(BaseModel):
    """Names requests."""

    request_ids: Annotated[list[str], Field(min_length=1, max_length=10_000)]


class DeleteProfiles(BaseModel):
    """Names profiles."""

    profile_ids: Annotated[list[str], Field(min_length=1, max_length=10_000)]


class DeleteUserPlaybooks(BaseModel):
    """Names user playbooks."""

    user_playbook_ids: Annotated[list[int], Field(min_length=1, max_length=10_000)]


class DeleteAgentPlaybooks(BaseModel):
    """Names agent playbooks."""

    agent_playbook_ids: Annotated[list[int], Field(min_length=1, max_length=10_000)]


class ClearUser(BaseModel):
    """Names a user."""

    user_id: NotBlank
