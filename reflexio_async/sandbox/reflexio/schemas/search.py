"""Schema of the search over all kinds of learnings."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from reflexio_async.sandbox.reflexio.schemas import common

EntityType = Literal["profiles", "user_playbooks", "agent_playbooks"]


class ConversationTurnSchema(BaseModel):
    """One message of the conversation so far."""

    role: common.NotBlank
    content: common.NotBlank


class UnifiedSearchRequestSchema(BaseModel):
    """Search all kinds of learnings. With a session, results it has seen are left out."""

    query: common.NotBlank
    top_k: common.UpTo100 | None = 5
    threshold: common.Fraction | None = None
    user_id: common.ShortText | None = None
    agent_version: str | None = None
    playbook_name: str | None = None
    source: common.Source | None = None
    tags: list[str] | None = None
    entity_types: list[EntityType] | None = None
    agent_playbook_status_filter: list[common.PlaybookStatusSchema] | None = None
    conversation_history: list[ConversationTurnSchema] | None = None
    enable_agent_answer: bool | None = False
    enable_reformulation: bool | None = False
    search_mode: common.SearchModeSchema = common.SearchModeSchema.HYBRID
    interaction_id: common.PositiveInt | None = None
    request_id: common.ShortText | None = None
    session_id: common.ShortText | None = None
