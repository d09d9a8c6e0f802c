"""Playbooks: lessons for the agent."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from reflexio_async.models.base import AtLeastOne, RequestModel, ResponseModel, UtcDatetime
from reflexio_async.models.enums import Status


class GetUserPlaybooksRequest(RequestModel):
    """Lessons drawn from single users' interactions."""

    user_id: str | None = None
    user_playbook_id: AtLeastOne | None = None
    playbook_name: str | None = None
    agent_version: str | None = None
    request_id: str | None = None
    query: str | None = None
    tags: Sequence[str] | None = None
    status_filter: Sequence[Status | None] | None = Field(
        default=None, description="None inside it means current; absent: every status, archived included."
    )
    start_time: UtcDatetime | None = None
    end_time: UtcDatetime | None = None
    limit: AtLeastOne | None = 100


class UserPlaybookView(ResponseModel):
    """One lesson from one user's interactions; ``status`` None means current."""

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
    source_interaction_ids: list[int] = Field(default_factory=list[int])
    exposure_receipt: str | None = None
    tags: list[str] = Field(default_factory=list)


class GetUserPlaybooksViewResponse(ResponseModel):
    """Lessons found."""

    success: bool
    user_playbooks: list[UserPlaybookView]
    msg: str | None = None


class UpgradeUserPlaybooksRequest(RequestModel):
    """Promote pending user playbooks to current."""

    agent_version: str | None = None
    archive_current: bool = True
    playbook_name: str | None = Field(default=None, deprecated=True)


class UpgradeUserPlaybooksResponse(ResponseModel):
    """What moved."""

    success: bool
    message: str = ""
    user_playbooks_promoted: int = 0
    user_playbooks_archived: int = 0
    user_playbooks_deleted: int = 0
