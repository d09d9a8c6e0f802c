"""Reading and setting the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from reflexio_async.sandbox.http.responses import Reply, problem
from reflexio_async.sandbox.reflexio.store.configuration import ORGANISATION, Guarded

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.common import Nothing
    from reflexio_async.sandbox.reflexio.schemas.system import AnyObject, InvalidateCache
    from reflexio_async.sandbox.reflexio.state import World

_HINT: Final = (
    "Nested objects (e.g. user_playbook_extractor_config) are replaced wholesale, not deep-merged. To mutate "
    "a single nested field, fetch the full config via /api/get_config, edit, and POST it back via "
    "/api/set_config."
)
_GUARDED: Final = (
    "Retrieval experiments must be changed through the /api/retrieval_experiments lifecycle endpoints"
)
_SET = {"success": True, "msg": "Configuration set successfully"}


async def get(world: World, _call: Call, _body: Nothing) -> Reply:
    """All of it, nulls and all."""
    return Reply(world.configuration.current.view())


async def replace(world: World, _call: Call, body: AnyObject) -> Reply:
    """Set all of it."""
    try:
        world.configuration.replace(body.root)
    except Guarded:
        return problem(409, _GUARDED)
    except ValidationError as error:
        return problem(422, _safe(error))
    return Reply(_SET)


async def update(world: World, _call: Call, body: AnyObject) -> Reply:
    """Overlay the top level."""
    try:
        changed = world.configuration.update(body.root)
    except Guarded:
        return problem(409, _GUARDED)
    except ValidationError as error:
        trouble = "Invalid partial config (top-level shallow merge)"
        return problem(422, {"error": trouble, "hint": _HINT, "validation_errors": _safe(error)})
    return Reply(_SET if changed else {"success": True, "msg": "Configuration unchanged"})


def _safe(error: ValidationError) -> list[dict[str, Any]]:
    """What is wrong, without what was given."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [{"type": entry["type"], "loc": entry["loc"], "msg": entry["msg"]} for entry in found]


async def mine(world: World, _call: Call, _body: Nothing) -> Reply:
    """Raw storage credentials, where they may be shown."""
    if not world.settings.my_config:
        message = "GET /api/my_config is disabled. Set REFLEXIO_ALLOW_MY_CONFIG=true to enable."
        return Reply({"success": False, "message": message})
    storage = world.configuration.current.storage_config
    shown = None if storage is None else storage.model_dump(mode="json")
    return Reply({"success": True, "storage_type": "sqlite", "storage_config": shown, "message": ""})


async def invalidate(_world: World, _call: Call, body: InvalidateCache) -> Reply:
    """There is no cache; only one's own could be emptied."""
    if body.org_id not in (None, ORGANISATION):
        detail = "Cross-org cache invalidation is not supported; omit org_id or pass your own."
        return problem(403, detail)
    return Reply({"invalidated": False, "org_id": ORGANISATION})
