"""Schemas of the connection to Braintrust."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

_RequiredText = Annotated[str, Field(min_length=1)]


class ConnectBraintrustRequestSchema(BaseModel):
    """Read what a Braintrust key gives access to."""

    api_key: _RequiredText


class SelectProjectsRequestSchema(BaseModel):
    """Connect to projects of a workspace."""

    api_key: _RequiredText
    workspace_id: _RequiredText
    workspace_name: str = ""
    project_ids: list[str] = []
