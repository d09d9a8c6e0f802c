"""Provenance: where a learning came from."""

from typing import Literal

from reflexio_async._engine.models import (
    EMPTY_LIST,
    RequestModel,
    ResponseModel,
)
from reflexio_async.reflexio.models.interactions import InteractionView
from reflexio_async.reflexio.models.playbooks import UserPlaybookView
from reflexio_async.reflexio.responses import MsgResponse


class GetLearningProvenanceRequest(RequestModel):
    """Names one learning."""

    kind: Literal["profile", "user_playbook", "agent_playbook"]
    id: str


class SourceUserPlaybookProvenanceView(ResponseModel):
    """A user playbook that it was learned from, with the turns of that playbook."""

    user_playbook: UserPlaybookView
    interactions: list[InteractionView] = EMPTY_LIST
    source_interaction_ids: list[int] = EMPTY_LIST


class LearningProvenanceViewResponse(MsgResponse):
    """What one learning was learned from."""

    target_kind: str
    target_id: str
    interactions: list[InteractionView] = EMPTY_LIST
    provenance_status: str = "unavailable"
    source_user_playbooks: list[SourceUserPlaybookProvenanceView] = EMPTY_LIST
    trigger_request_id: str | None = None
