"""Braintrust: fetching scores from there."""

from __future__ import annotations

from typing import Any

from reflexio_async._engine.models import Empty
from reflexio_async._engine.routing.route import Route
from reflexio_async.reflexio.models.braintrust import (
    BraintrustStatusResponse,
    ConnectBraintrustRequest,
    ConnectBraintrustResponse,
    SelectProjectsRequest,
    SelectProjectsResponse,
    SyncBraintrustResponse,
)


class BraintrustAPI:
    """The connection to Braintrust."""

    connect_braintrust = Route(
        "POST",
        "/api/braintrust/connect",
        ConnectBraintrustRequest,
        ConnectBraintrustResponse,
        repeatable=True,
        per_minute=10,
    )
    """Find out which workspaces and projects a key opens."""

    select_braintrust_projects = Route(
        "POST",
        "/api/braintrust/select_projects",
        SelectProjectsRequest,
        SelectProjectsResponse,
        repeatable=True,
        per_minute=10,
    )
    """Connect, and choose the projects whose scores are fetched."""

    get_braintrust_status = Route("GET", "/api/braintrust/status", Empty, BraintrustStatusResponse)
    """Whether Braintrust is connected, and when its scores were fetched last."""

    sync_braintrust = Route(
        "POST", "/api/braintrust/sync", Empty, SyncBraintrustResponse, repeatable=True, per_minute=10
    )
    """Fetch the scores of the chosen projects now."""

    delete_braintrust_connection = Route(
        "DELETE", "/api/braintrust/connection", Empty, dict[str, Any], repeatable=True, per_minute=10
    )
    """Forget the key and the projects."""
