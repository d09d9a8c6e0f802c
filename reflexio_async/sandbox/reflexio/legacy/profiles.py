"""January's profiles: reading, searching, deleting and generating them, and their change log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import Response, refused, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.handlers.changed import deleted
from reflexio_async.sandbox.reflexio.handlers.operations import rerun_profiles
from reflexio_async.sandbox.reflexio.handlers.profiles import STATUS_NAMES, change_logs, newest_first
from reflexio_async.sandbox.reflexio.handlers.search import best_matches
from reflexio_async.sandbox.reflexio.legacy.feedback import status_matches
from reflexio_async.sandbox.reflexio.schemas import legacy as schemas
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store import rows
from reflexio_async.sandbox.reflexio.store.rows import StoredProfile

_DEFAULT_TOP_K = 10

routes: Final = Router()


@routes.post("/api/get_profiles")
async def get_profiles(state: ReflexioState, body: schemas.LegacyGetUserProfilesRequestSchema) -> Response:
    """Newest first. No filter means current, an empty one every status."""
    wanted = [None] if body.status_filter is None else body.status_filter
    found = [
        row
        for row in state.store.profiles_of(body.user_id)
        if status_matches(row.status, wanted) and body.includes(row.last_modified_timestamp)
    ]
    return _found(newest_first(found)[: body.top_k])


@routes.post("/api/search_profiles", per_minute=120)
async def search_profiles(
    state: ReflexioState, body: schemas.LegacySearchUserProfileRequestSchema
) -> Response:
    """The current profiles of one user, best match first."""
    found = [
        row
        for row in state.store.profiles_of(body.user_id)
        if row.status is None
        and body.source in (None, "", row.source)
        and body.generated_from_request_id in (None, "", row.generated_from_request_id)
        and (body.custom_feature or "").lower() in str(row.custom_features).lower()
        and body.includes(row.last_modified_timestamp)
    ]
    return _found(best_matches(body.query, found)[: body.top_k or _DEFAULT_TOP_K])


@routes.get("/api/get_all_profiles")
async def get_all_profiles(state: ReflexioState, query: schemas.LegacyAllProfilesQuerySchema) -> Response:
    """The profiles of all users, newest first, current by default."""
    wanted = [STATUS_NAMES.get(query.status_filter or "current")]
    found = newest_first(row for row in state.store.all_profiles() if rows.status_matches(row.status, wanted))
    return _found(found[: query.limit])


def _found(found: Sequence[StoredProfile]) -> Response:
    views = [_profile(row) for row in found]
    return succeeded(user_profiles=views, msg=f"Found {len(views)} profiles")


def _profile(row: StoredProfile) -> dict[str, Any]:
    return {
        "profile_id": row.profile_id,
        "user_id": row.user_id,
        "profile_content": row.content,
        "last_modified_timestamp": row.last_modified_timestamp,
        "generated_from_request_id": row.generated_from_request_id,
        "profile_time_to_live": row.profile_time_to_live,
        "expiration_timestamp": row.expiration_timestamp,
        "custom_features": row.custom_features,
        "source": row.source,
        "status": row.status,
        "embedding": list[float](),
    }


@routes.get("/api/profile_change_log")
async def profile_change_log(state: ReflexioState) -> Response:
    """What each generation added, latest first. Deleted profiles are not in it."""
    logs = [{**log, "mentioned_profiles": list[Any]()} for log in change_logs(state, _profile)]
    return succeeded(profile_change_logs=logs)


@routes.delete("/api/delete_profile")
async def delete_profile(
    state: ReflexioState, body: schemas.LegacyDeleteUserProfileRequestSchema
) -> Response:
    """Delete the named one, else those that the search finds."""
    if not (body.profile_id or body.search_query):
        return refused(message="Profile id or search query is required")
    owned = state.store.profiles_of(body.user_id)
    ids = {row.profile_id for row in best_matches(body.search_query, owned)}
    if body.profile_id:
        ids = {body.profile_id}
    state.store.delete_profiles(lambda row: row.user_id == body.user_id and row.profile_id in ids)
    return deleted()


@routes.post("/api/rerun_profile_generation", per_minute=5)
async def rerun_profile_generation(
    state: ReflexioState, context: RequestContext, body: schemas.LegacyRerunProfileGenerationRequestSchema
) -> Response:
    """Start a rerun for one user or all."""
    return await rerun_profiles(state, context, body)
