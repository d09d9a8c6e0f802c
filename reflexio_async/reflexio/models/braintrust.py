"""Braintrust, a service for evaluations: connecting it and fetching its scores."""

from typing import Annotated

from pydantic import Field

from reflexio_async._engine.models import (
    EMPTY_LIST,
    ListOf,
    RequestModel,
    ResponseModel,
    SecretText,
)


class ConnectBraintrustRequest(RequestModel):
    """The key of a Braintrust account."""

    api_key: SecretText


class BraintrustProjectSummary(ResponseModel):
    """One project."""

    project_id: str
    project_name: str


class BraintrustWorkspaceSummary(ResponseModel):
    """One workspace and its projects."""

    workspace_id: str
    workspace_name: str
    projects: list[BraintrustProjectSummary] = EMPTY_LIST


class ConnectBraintrustResponse(ResponseModel):
    """The workspaces that the key gives access to."""

    success: bool
    msg: str = ""
    workspaces: list[BraintrustWorkspaceSummary] = EMPTY_LIST


class SelectProjectsRequest(RequestModel):
    """The projects whose scores shall be fetched."""

    api_key: SecretText
    workspace_id: Annotated[str, Field(min_length=1)]
    project_ids: ListOf[str] = ()
    workspace_name: str = ""


class SelectProjectsResponse(ResponseModel):
    """Whether they were selected."""

    success: bool
    msg: str = ""


class BraintrustStatusResponse(ResponseModel):
    """Whether Braintrust is connected, and when its scores were fetched last."""

    connected: bool
    last_error: str | None = None
    last_sync_ts: int | None = None
    project_count: int = 0
    workspace_id: str = ""
    workspace_name: str = ""


class SyncBraintrustResponse(ResponseModel):
    """How many scores were fetched."""

    success: bool
    msg: str = ""
    scored_count: int = 0
