"""Schemas of user playbooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from reflexio_async.sandbox.reflexio.schemas import common


class GetUserPlaybooksRequestSchema(common.TimeRangeSchema):
    """Read user playbooks."""

    user_id: str | None = None
    user_playbook_id: common.PositiveInt | None = None
    agent_version: str | None = None
    request_id: str | None = None
    playbook_name: str | None = None
    query: str | None = None
    tags: list[str] | None = None
    status_filter: list[common.StatusSchema | None] | None = None
    limit: common.PositiveInt | None = 100


class SearchUserPlaybookRequestSchema(common.SearchSchema):
    """Search user playbooks."""

    user_id: common.ShortText | None = None
    agent_version: str | None = None
    playbook_name: str | None = None
    source: common.Source | None = None
    status_filter: list[common.StatusSchema | None] | None = None
    tags: list[str] | None = None
    top_k: common.UpTo100 | None = 10
    enable_reformulation: bool | None = False
    request_id: common.ShortText | None = None
    session_id: common.ShortText | None = None


class UserPlaybookSchema(BaseModel):
    """A user playbook as a caller writes it. The server gives the id.

    Without ``created_at`` it is of now.
    """

    user_playbook_id: int = 0
    user_id: str | None = None
    agent_version: str
    request_id: str
    playbook_name: str = ""
    created_at: int = 0
    content: str = ""
    trigger: str | None = None
    rationale: str | None = None
    blocking_issue: common.BlockingIssueSchema | None = None
    status: common.StatusSchema | None = None
    source: str | None = None
    source_interaction_ids: list[int] = []
    expanded_terms: str | None = None
    tags: list[str] | None = None
    embedding: common.Embedding = []
    source_span: str | None = None
    notes: str | None = None
    reader_angle: str | None = None
    merged_into: int | None = None
    superseded_by: int | None = None
    governance_subject_ref: str | None = None
    retired_at: int | None = None


class AddUserPlaybookRequestSchema(BaseModel):
    """Store user playbooks."""

    user_playbooks: Annotated[list[UserPlaybookSchema], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        for index, playbook in enumerate(self.user_playbooks):
            if not (playbook.trigger or playbook.content):
                message = f"user_playbooks[{index}]: at least one of content or trigger must be provided"
                raise ValueError(message)
        return self


class UpdateUserPlaybookRequestSchema(BaseModel):
    """Change the given fields of a user playbook."""

    user_playbook_id: common.PositiveInt
    playbook_name: str | None = None
    content: str | None = None
    trigger: str | None = None
    rationale: str | None = None


class DeleteUserPlaybookRequestSchema(BaseModel):
    """Delete a user playbook."""

    user_playbook_id: common.PositiveInt


class DeleteUserPlaybooksByIdsRequestSchema(BaseModel):
    """Delete user playbooks."""

    user_playbook_ids: Annotated[list[int], Field(min_length=1, max_length=10_000)]


class UpgradeUserPlaybooksRequestSchema(BaseModel):
    """Make pending playbooks current, of one agent version or all."""

    agent_version: str | None = None
    playbook_name: str | None = None
    archive_current: bool = True


class DowngradeUserPlaybooksRequestSchema(BaseModel):
    """Make archived playbooks current, of one agent version or all."""

    agent_version: str | None = None
    playbook_name: str | None = None


class ReviewUserPlaybooksRequestSchema(BaseModel):
    """Review the user playbooks of a span of time."""

    start_time: datetime
    end_time: datetime
    top_k: common.UpTo100 = 10
    report_only: bool = True

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end_time <= self.start_time:
            message = "end_time must be after start_time"
            raise ValueError(message)
        return self
