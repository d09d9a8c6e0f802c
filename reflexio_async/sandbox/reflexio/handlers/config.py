"""Reading and setting the configuration (server-behaviour: Configuration)."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from reflexio_async.sandbox.http.responses import (
    Response,
    error_response,
    refused,
    succeeded,
    without_payload,
)
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.schemas.config import AdminInvalidateCacheRequestSchema, AnyObjectSchema
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.configuration import ORGANISATION, ExperimentFieldsLocked

_HINT: Final = (
    "Nested objects (e.g. user_playbook_extractor_config) are replaced wholesale, not deep-merged. To mutate "
    "a single nested field, fetch the full config via /api/get_config, edit, and POST it back via "
    "/api/set_config."
)
_LOCKED: Final = (
    "Retrieval experiments must be changed through the /api/retrieval_experiments lifecycle endpoints"
)
_SET: Final = {"success": True, "msg": "Configuration set successfully"}

routes: Final = Router()


@routes.get("/api/get_config")
async def get_config(state: ReflexioState) -> Response:
    """All of it, with nulls."""
    return Response(state.configuration.current.view())


@routes.post("/api/set_config", per_minute=10)
async def set_config(state: ReflexioState, body: AnyObjectSchema) -> Response:
    """Set all of it."""
    try:
        state.configuration.replace(body.root)
    except ExperimentFieldsLocked:
        return error_response(409, _LOCKED)
    except ValidationError as error:
        return error_response(422, _problems(error))
    return Response(_SET)


@routes.post("/api/update_config", per_minute=10)
async def update_config(state: ReflexioState, body: AnyObjectSchema) -> Response:
    """Set the given top-level fields."""
    try:
        changed = state.configuration.update(body.root)
    except ExperimentFieldsLocked:
        return error_response(409, _LOCKED)
    except ValidationError as error:
        problem = "Invalid partial config (top-level shallow merge)"
        detail = {"error": problem, "hint": _HINT, "validation_errors": _problems(error)}
        return error_response(422, detail)
    return Response(_SET if changed else {"success": True, "msg": "Configuration unchanged"})


def _problems(error: ValidationError) -> list[dict[str, Any]]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [without_payload(entry) for entry in found]


@routes.get("/api/my_config")
async def my_config(state: ReflexioState) -> Response:
    """The credentials of the storage, where the option ``my_config`` allows it."""
    if not state.settings.my_config:
        return refused(message="GET /api/my_config is disabled. Set REFLEXIO_ALLOW_MY_CONFIG=true to enable.")
    storage = state.configuration.current.storage_config
    shown = None if storage is None else storage.model_dump(mode="json")
    return succeeded(storage_type="sqlite", storage_config=shown, message="")


@routes.post("/api/admin/cache/invalidate")
async def invalidate_cache(body: AdminInvalidateCacheRequestSchema) -> Response:
    """Empty the cache. The sandbox has none."""
    if body.org_id not in (None, ORGANISATION):
        detail = "Cross-org cache invalidation is not supported; omit org_id or pass your own."
        return error_response(403, detail)
    return Response({"invalidated": False, "org_id": ORGANISATION})
