"""Schemas of aggregation."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from reflexio_async.sandbox.reflexio.schemas.common import NotBlank

_RequiredText = Annotated[str, Field(min_length=1, max_length=200, pattern=r".*\S.*")]


class RunPlaybookAggregationRequestSchema(BaseModel):
    """Aggregate one version now. The playbook name is ignored."""

    agent_version: Annotated[str, AfterValidator(lambda text: text or "agent-v0")] = "agent-v0"
    playbook_name: NotBlank = "playbook"


class SubmitPlaybookAggregationRequestSchema(BaseModel):
    """Queue a durable aggregation."""

    request_id: _RequiredText
    agent_version: _RequiredText


class AggregationChangeLogQuerySchema(BaseModel):
    """Read what aggregations changed."""

    playbook_name: str
    agent_version: str
