"""Schemas of operations: reruns, manual generations, their status, and clearing a user."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel

from reflexio_async.sandbox.reflexio.schemas.common import NotBlank, Source, TimeRangeSchema

_AgentVersion = Annotated[str, AfterValidator(lambda text: text.strip() or "agent-v0")]


class RerunProfileGenerationRequestSchema(TimeRangeSchema):
    """Start a profile rerun. No user means all users."""

    user_id: str | None = None
    source: Source | None = None
    extractor_names: list[str] | None = None


class RerunPlaybookGenerationRequestSchema(TimeRangeSchema):
    """Start a playbook rerun of one agent version."""

    agent_version: _AgentVersion = "agent-v0"
    source: Source | None = None
    playbook_name: str | None = None


class ManualProfileGenerationRequestSchema(BaseModel):
    """Extract current profiles now."""

    user_id: str | None = None
    source: Source | None = None
    extractor_names: list[str] | None = None


class ManualPlaybookGenerationRequestSchema(BaseModel):
    """Extract current playbooks now."""

    agent_version: _AgentVersion = "agent-v0"
    source: Source | None = None
    playbook_name: str | None = None


class OperationStatusQuerySchema(BaseModel):
    """Read the latest operation of a service."""

    service_name: str = "profile_generation"


class CancelOperationRequestSchema(BaseModel):
    """Cancel the running operation of a service. No name means all services."""

    service_name: str | None = None


class ClearUserDataRequestSchema(BaseModel):
    """Delete everything of one user."""

    user_id: NotBlank
