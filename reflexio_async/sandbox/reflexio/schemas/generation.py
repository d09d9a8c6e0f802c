"""Starting generations, following them, promoting what they made."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from reflexio_async.sandbox.reflexio.schemas.common import NotBlank, Source, TimeRange


class RerunProfiles(TimeRange):
    """Start a profile rerun; no user means all of them."""

    user_id: str | None = None
    source: Source | None = None
    extractor_names: list[str] | None = None


class RerunPlaybooks(TimeRange):
    """Start a playbook rerun of one agent version."""

    agent_version: str = ""
    source: Source | None = None
    playbook_name: str | None = None

    @model_validator(mode="after")
    def _defaulted(self) -> Self:
        self.agent_version = self.agent_version.strip() or "agent-v0"
        return self


class ManualProfiles(BaseModel):
    """Extract current profiles now."""

    user_id: str | None = None
    source: Source | None = None
    extractor_names: list[str] | None = None


class ManualPlaybooks(BaseModel):
    """Extract current playbooks now."""

    agent_version: str = ""
    source: Source | None = None
    playbook_name: str | None = None

    @model_validator(mode="after")
    def _defaulted(self) -> Self:
        self.agent_version = self.agent_version.strip() or "agent-v0"
        return self


class RunAggregation(BaseModel):
    """Make agent playbooks now; the playbook name is accepted and ignored."""

    agent_version: str = "agent-v0"
    playbook_name: NotBlank = "playbook"

    @model_validator(mode="after")
    def _defaulted(self) -> Self:
        self.agent_version = self.agent_version or "agent-v0"
        return self


class SubmitAggregation(BaseModel):
    """Make agent playbooks some time."""

    request_id: Annotated[str, Field(min_length=1, max_length=200, pattern=r".*\S.*")]
    agent_version: Annotated[str, Field(min_length=1, max_length=200, pattern=r".*\S.*")]


class Review(BaseModel):
    """Look again at the user playbooks of a time."""

    start_time: datetime
    end_time: datetime
    top_k: Annotated[int, Field(gt=0, le=100)] = 10
    report_only: bool = True

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end_time <= self.start_time:
            message = "end_time must be after start_time"
            raise ValueError(message)
        return self


class CancelOperation(BaseModel):
    """No service means all."""

    service_name: str | None = None


class OperationStatusQuery(BaseModel):
    """Names a service."""

    service_name: str = "profile_generation"


class UpgradeProfiles(BaseModel):
    """Promote; every field here is accepted and ignored, as on servers up to 0.2.32."""

    user_id: NotBlank | None = None
    profile_ids: list[str] | None = None
    only_affected_users: bool = False


class UpgradeUserPlaybooks(BaseModel):
    """Promote those of one agent version, or all."""

    agent_version: str | None = None
    playbook_name: str | None = None
    archive_current: bool = True


class DowngradeProfiles(UpgradeProfiles):
    """Bring back what was archived; every field here is ignored too."""


class DowngradeUserPlaybooks(BaseModel):
    """Bring back what was archived, of one agent version or all."""

    agent_version: str | None = None
    playbook_name: str | None = None
