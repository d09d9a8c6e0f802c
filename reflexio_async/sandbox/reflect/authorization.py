"""Which keys may use a project: the master key any, a project's key its own within its scopes."""

from __future__ import annotations

from collections.abc import Collection

from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import RequestRejected, error_response
from reflexio_async.sandbox.reflect.api_keys import StoredApiKey
from reflexio_async.sandbox.reflect.project import Project
from reflexio_async.sandbox.reflect.state import ReflectState


def authorize(state: ReflectState, context: RequestContext, scopes: Collection[str]) -> Project:
    """The project of a request, whose key is checked. With the master key, create the project if necessary.

    Args:
        state: The state.
        context: The request.
        scopes: Scopes of which a project's key needs one. Without any, only the master key is accepted.

    Raises:
        RequestRejected: The key is missing, invalid or has no access.
    """
    key, project_id = _key_of(state, context), context.path_parameters["project_id"]
    if key is None:
        if scopes:
            return state.project(project_id)
        if (project := state.projects.get(project_id)) is None:
            raise RequestRejected(error_response(404, "Project not found"))
        return project
    key.last_used_at = state.timestamp()
    if key.project_id != project_id:
        raise RequestRejected(error_response(403, "API key does not belong to this project"))
    if not set(key.scopes).intersection(scopes):
        wanted = " or ".join(scopes or ("a master key",))
        raise RequestRejected(error_response(403, f"API key lacks scope: {wanted}"))
    return state.projects[project_id]


def _key_of(state: ReflectState, context: RequestContext) -> StoredApiKey | None:
    """The key of a request; None for the master key."""
    scheme, _, secret = context.record.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise RequestRejected(error_response(401, "Not authenticated", {"WWW-Authenticate": "Bearer"}))
    if secret == state.settings.master_key:
        return None
    if (key := state.keys.accepted(secret)) is None:
        raise RequestRejected(error_response(401, "Invalid API key", {"WWW-Authenticate": "Bearer"}))
    return key
