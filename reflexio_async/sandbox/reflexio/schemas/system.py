"""Bodies of the routes around the data: the cache, Braintrust."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, RootModel


class InvalidateCache(BaseModel):
    """Optionally names the caller's own organisation."""

    org_id: str | None = None


class ConnectBraintrust(BaseModel):
    """Shows a Braintrust key."""

    api_key: Annotated[str, Field(min_length=1)]


class SelectProjects(BaseModel):
    """Keeps the connection."""

    api_key: Annotated[str, Field(min_length=1)]
    workspace_id: Annotated[str, Field(min_length=1)]
    workspace_name: str = ""
    project_ids: list[str] = []


class AnyObject(RootModel[dict[str, Any]]):
    """A JSON object, looked at more closely later."""
