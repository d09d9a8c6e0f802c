"""A connection to Braintrust; behind it is one workspace with one project and no scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reflexio_async.sandbox.http.responses import Reply

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.common import Nothing
    from reflexio_async.sandbox.reflexio.schemas.system import ConnectBraintrust, SelectProjects
    from reflexio_async.sandbox.reflexio.state import World

_WORKSPACE: Final = {
    "workspace_id": "sandbox-workspace",
    "workspace_name": "Sandbox",
    "projects": [{"project_id": "sandbox-project", "project_name": "Sandbox project"}],
}


async def connect(_world: World, _call: Call, _body: ConnectBraintrust) -> Reply:
    """What a key opens; nothing is kept."""
    return Reply({"success": True, "workspaces": [_WORKSPACE], "msg": ""})


async def select(world: World, _call: Call, body: SelectProjects) -> Reply:
    """Keep the connection, but not the key."""
    world.braintrust = {
        "workspace_id": body.workspace_id,
        "workspace_name": body.workspace_name,
        "project_count": len(body.project_ids),
    }
    return Reply({"success": True, "msg": "Connected."})


async def status(world: World, _call: Call, _body: Nothing) -> Reply:
    """Whether there is a connection."""
    nothing: dict[str, Any] = {"workspace_id": "", "workspace_name": "", "project_count": 0}
    return Reply({"connected": world.braintrust is not None, **(world.braintrust or nothing)})


async def disconnect(world: World, _call: Call, _body: Nothing) -> Reply:
    """Forget the connection."""
    world.braintrust = None
    return Reply({"success": True})


async def sync(world: World, _call: Call, _body: Nothing) -> Reply:
    """Fetch the scores, of which there are none."""
    if world.braintrust is None:
        return Reply({"success": False, "scored_count": 0, "msg": "Not connected to Braintrust."})
    world.braintrust = {**world.braintrust, "last_sync_ts": world.store.now}
    return Reply({"success": True, "scored_count": 0, "msg": "Synced."})
