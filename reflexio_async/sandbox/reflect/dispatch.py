"""The order in which the Reflect service refuses a request before anybody answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async.sandbox.http.responses import Refused, Reply, problem
from reflexio_async.sandbox.http.routing import replied
from reflexio_async.sandbox.http.server import MAX_BODY
from reflexio_async.sandbox.reflect.routes import MASTER, OPEN, REFLECT

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflect.api_keys import Key
    from reflexio_async.sandbox.reflect.routes import ReflectRoute
    from reflexio_async.sandbox.reflect.state import Reflect


async def answer(reflect: Reflect, call: Call) -> Reply:
    """Route first, then size, key, project, scope and shape; then the handler."""
    return await replied(call, _served(reflect, call))


async def _served(reflect: Reflect, call: Call) -> Reply:
    route = REFLECT.route_of(call)
    if len(call.raw_body) > MAX_BODY:
        return problem(413, "Request body too large")
    if route.scopes is not OPEN:
        _admit(reflect, call, route)
    return await route.answer(reflect, call, route.read(call))


def _admit(reflect: Reflect, call: Call, route: ReflectRoute) -> None:
    """Let pass who may: the master key anywhere, a project's key where it has one of the scopes."""
    key, project_id = _shown(reflect, call), call.names["project_id"]
    if key is None:
        if route.scopes != MASTER:
            reflect.project(project_id)
        elif project_id not in reflect.projects:
            raise Refused(problem(404, "Project not found"))
        return
    key.last_used_at = reflect.timestamp()
    if key.project_id != project_id:
        raise Refused(problem(403, "API key does not belong to this project"))
    if not set(key.scopes).intersection(route.scopes or ()):
        wanted = " or ".join(route.scopes or ("a master key",))
        raise Refused(problem(403, f"API key lacks scope: {wanted}"))


def _shown(reflect: Reflect, call: Call) -> Key | None:
    """The key that was shown, or None for the master's."""
    scheme, _, secret = call.record.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise Refused(problem(401, "Not authenticated", {"WWW-Authenticate": "Bearer"}))
    if secret == reflect.settings.master_key:
        return None
    if (key := reflect.keys.accepted(secret)) is None:
        raise Refused(problem(401, "Invalid API key", {"WWW-Authenticate": "Bearer"}))
    return key
