"""The connection to Braintrust. The sandbox's Braintrust has one workspace with one project and no scores."""

from __future__ import annotations

from typing import Any, Final

from reflexio_async.sandbox.http.responses import Response, refused, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.schemas import braintrust as schemas
from reflexio_async.sandbox.reflexio.state import ReflexioState

_WORKSPACE: Final = {
    "workspace_id": "sandbox-workspace",
    "workspace_name": "Sandbox",
    "projects": [{"project_id": "sandbox-project", "project_name": "Sandbox project"}],
}

routes: Final = Router()


@routes.post("/api/braintrust/connect", per_minute=10)
async def connect(_body: schemas.ConnectBraintrustRequestSchema) -> Response:
    """What a key gives access to. Nothing is stored."""
    return succeeded(workspaces=[_WORKSPACE], msg="")


@routes.post("/api/braintrust/select_projects", per_minute=10)
async def select_projects(state: ReflexioState, body: schemas.SelectProjectsRequestSchema) -> Response:
    """Store the connection, but not the key."""
    state.braintrust = {
        "workspace_id": body.workspace_id,
        "workspace_name": body.workspace_name,
        "project_count": len(body.project_ids),
    }
    return succeeded(msg="Connected.")


@routes.get("/api/braintrust/status")
async def status(state: ReflexioState) -> Response:
    """Whether there is a connection."""
    nothing: dict[str, Any] = {"workspace_id": "", "workspace_name": "", "project_count": 0}
    return Response({"connected": state.braintrust is not None, **(state.braintrust or nothing)})


@routes.delete("/api/braintrust/connection", per_minute=10)
async def disconnect(state: ReflexioState) -> Response:
    """Delete the connection."""
    state.braintrust = None
    return succeeded()


@routes.post("/api/braintrust/sync", per_minute=10)
async def sync(state: ReflexioState) -> Response:
    """Fetch the scores, of which there are none."""
    if state.braintrust is None:
        return refused(scored_count=0, msg="Not connected to Braintrust.")
    state.braintrust = {**state.braintrust, "last_sync_ts": state.store.now}
    return succeeded(scored_count=0, msg="Synced.")
