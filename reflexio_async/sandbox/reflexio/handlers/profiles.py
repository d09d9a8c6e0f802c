"""Profiles: reading, searching, counting, writing, promoting and deleting them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from reflexio_async.sandbox.http.responses import Response, internal_error, refused, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.handlers.changed import (
    deleted,
    deleted_all,
    deleted_count,
    downgraded,
    upgraded,
)
from reflexio_async.sandbox.reflexio.handlers.search import assignment_of, best_matches, search_response
from reflexio_async.sandbox.reflexio.schemas import profiles as schemas
from reflexio_async.sandbox.reflexio.schemas.common import StatusSchema
from reflexio_async.sandbox.reflexio.simulation import promotion
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.rows import StoredProfile, status_matches, tags_match

_SOON = 7 * 24 * 3600
_DEFAULT_TOP_K = 10
_MOST_LOGS = 100

STATUS_NAMES: Final = {
    "current": None,
    "pending": StatusSchema.PENDING,
    "archived": StatusSchema.ARCHIVED,
}
"""The status names of ``get_all_profiles`` (server-behaviour: Status filters)."""

routes: Final = Router()


@routes.post("/api/get_profiles")
async def get_profiles(state: ReflexioState, body: schemas.GetUserProfilesRequestSchema) -> Response:
    """Newest first. No filter means current, an empty one every status; ``top_k: null`` means all."""
    wanted = [None] if body.status_filter is None else body.status_filter
    rows = [
        profile
        for profile in state.store.profiles_of(body.user_id)
        if status_matches(profile.status, wanted)
        and body.profile_id in (None, "", profile.profile_id)
        and body.source in (None, profile.source)
        and body.profile_time_to_live in (None, "", profile.profile_time_to_live)
        and _mentions(body.query, profile.content)
        and tags_match(profile.tags, body.tags)
        and body.includes(profile.last_modified_timestamp)
    ]
    return _found(newest_first(rows)[: body.top_k])


@routes.get("/api/get_all_profiles", per_minute=30)
async def get_all_profiles(state: ReflexioState, query: schemas.AllProfilesQuerySchema) -> Response:
    """The profiles of all users, newest first, current by default. A negative limit means all."""
    start, end = query.start_time, query.end_time
    # With tombstones, a named profile is returned whatever its status.
    any_status = bool(query.profile_id) and query.include_tombstones

    def matches(profile: StoredProfile) -> bool:
        at = (
            profile.last_modified_timestamp
            if query.date_field == "last_modified_timestamp"
            else profile.created_at
        )
        wanted = [STATUS_NAMES.get(query.status_filter or "current")]
        return (
            (any_status or status_matches(profile.status, wanted))
            and query.profile_id in (None, "", profile.profile_id)
            and query.user_id in (None, "", profile.user_id)
            and query.source in (None, "", profile.source)
            and query.profile_time_to_live in (None, "", profile.profile_time_to_live)
            and _mentions(query.query, profile.content, profile.profile_id, profile.user_id)
            and (start is None or at >= start)
            and (end is None or at <= end)
        )

    rows = newest_first(filter(matches, state.store.all_profiles()))
    return _found(rows if query.limit < 0 else rows[: query.limit])


def newest_first(rows: Iterable[StoredProfile]) -> list[StoredProfile]:
    """Sorted by their last change."""
    return sorted(rows, key=lambda profile: -profile.last_modified_timestamp)


def _mentions(query: str | None, *texts: str) -> bool:
    return not query or any(query.lower() in text.lower() for text in texts)


def _found(rows: Sequence[StoredProfile]) -> Response:
    views = [profile.view() for profile in rows]
    return succeeded(user_profiles=views, msg=f"Found {len(views)} profile(s)")


@routes.get("/api/get_profile_statistics")
async def get_profile_statistics(state: ReflexioState) -> Response:
    """How many profiles there are of each status."""
    rows, now = list(state.store.all_profiles()), state.store.now
    current = [row for row in rows if row.status is None]
    return succeeded(
        current_count=len(current),
        pending_count=sum(row.status == "pending" for row in rows),
        archived_count=sum(row.status == "archived" for row in rows),
        expiring_soon_count=sum(row.expiration_timestamp <= now + _SOON for row in current),
        msg="Retrieved profile statistics successfully",
    )


@routes.get("/api/storage_stats", per_minute=120)
async def storage_stats(state: ReflexioState, query: schemas.StorageStatsQuerySchema) -> Response:
    """How many rows one user has. An empty user id is a crash (server-behaviour: Refusals)."""
    if not query.user_id.strip():
        return internal_error()
    rows = state.store.profiles_of(query.user_id)
    playbooks = sum(row.user_id == query.user_id for row in state.store.playbooks.values())
    counts = {"profile_count": len(rows), "playbook_count": playbooks}
    msg = f"Found {len(rows)} profile(s) and {playbooks} playbook(s)"
    times = [row.last_modified_timestamp for row in rows]
    ends = {"oldest": min(times), "newest": max(times)} if times else {}
    modified = {f"{end}_profile_modified": _iso(time) for end, time in ends.items()}
    return succeeded(**counts, **modified, msg=msg)


def _iso(epoch_seconds: int) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@routes.get("/api/profile_change_log")
async def profile_change_log(state: ReflexioState) -> Response:
    """What each generation added, latest first, with nulls. Deleted profiles are not in it."""
    return succeeded(profile_change_logs=change_logs(state, StoredProfile.with_nulls))


def change_logs(
    state: ReflexioState, shown: Callable[[StoredProfile], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The latest entries of the change log. ``shown`` makes the view of a profile."""
    rows = sorted(state.store.all_profiles(), key=lambda row: row.generated_from_request_id)
    logs = [
        _log_entry(list(group), shown)
        for request_id, group in groupby(rows, key=lambda row: row.generated_from_request_id)
        if request_id
    ]
    logs.sort(key=lambda log: -log["created_at"])
    return logs[:_MOST_LOGS]


def _log_entry(
    rows: Sequence[StoredProfile], shown: Callable[[StoredProfile], dict[str, Any]]
) -> dict[str, Any]:
    return {
        "id": 0,
        "user_id": rows[0].user_id,
        "request_id": rows[0].generated_from_request_id,
        "created_at": max(row.created_at for row in rows),
        "added_profiles": [shown(row) for row in rows],
        "removed_profiles": list[Any](),
    }


@routes.post("/api/search_profiles", per_minute=120)
async def search_profiles(state: ReflexioState, body: schemas.SearchUserProfileRequestSchema) -> Response:
    """The current profiles of one user, best match first. The session is ignored."""
    assignment = assignment_of(state, body.user_id, "user_profiles")
    rows = [
        row
        for row in state.store.profiles_of(body.user_id)
        if row.status is None
        and body.source in (None, "", row.source)
        and body.generated_from_request_id in (None, "", row.generated_from_request_id)
        and tags_match(row.tags, body.tags)
        and body.includes(row.last_modified_timestamp)
    ]
    rows = best_matches(body.query, rows)[: body.top_k or _DEFAULT_TOP_K]
    if body.custom_feature:
        # The server applies this filter after the limit.
        wanted = body.custom_feature.lower()
        rows = [row for row in rows if wanted in str(row.custom_features).lower()]
    return search_response("user_profiles", rows, "profile(s)", assignment)


@routes.post("/api/rerank_user_profiles", per_minute=120)
async def rerank_user_profiles(
    state: ReflexioState, body: schemas.RerankUserProfilesRequestSchema
) -> Response:
    """The named profiles of the user, best match first, then those that do not match."""
    if not body.profile_ids:
        return succeeded(user_profiles=[], msg="No profile_ids provided")
    named = list(dict.fromkeys(body.profile_ids))
    owned = {row.profile_id: row for row in state.store.profiles_of(body.user_id)}
    known = [owned[key] for key in named if key in owned]
    best = best_matches(body.query, known)
    matching = {row.profile_id for row in best}
    order = [*best, *(row for row in known if row.profile_id not in matching)]
    msg = f"Reranked {len(known)} profile(s); dropped {len(named) - len(known)} unknown id(s)"
    return succeeded(user_profiles=[row.view() for row in order[: body.top_k]], msg=msg)


@routes.post("/api/add_user_profile", per_minute=60)
async def add_user_profile(state: ReflexioState, body: schemas.AddUserProfileRequestSchema) -> Response:
    """Store them as given. An existing id is overwritten (server-behaviour: Added profiles)."""
    for given in body.user_profiles:
        state.store.write_profile(given)
    count = len(body.user_profiles)
    return succeeded(message=f"Added {count} profile(s)", added_count=count)


@routes.put("/api/update_user_profile")
async def update_user_profile(state: ReflexioState, body: schemas.UpdateUserProfileRequestSchema) -> Response:
    """Change the given fields of one profile."""
    row = state.store.profile(body.profile_id)
    if row is None or row.user_id != body.user_id:
        return refused(msg=f"Profile not found: user_id={body.user_id!r} profile_id={body.profile_id!r}")
    row.content = row.content if body.content is None else body.content
    row.custom_features = row.custom_features if body.custom_features is None else body.custom_features
    row.last_modified_timestamp = state.store.now
    return succeeded(msg="User profile updated successfully")


@routes.post("/api/upgrade_all_profiles")
async def upgrade_all_profiles(state: ReflexioState, _body: schemas.UpgradeProfilesRequestSchema) -> Response:
    """Make the pending profiles of all users current, whichever user is named."""
    return upgraded("profiles", promotion.upgrade_profiles(state.store))


@routes.post("/api/downgrade_all_profiles")
async def downgrade_all_profiles(
    state: ReflexioState, _body: schemas.DowngradeProfilesRequestSchema
) -> Response:
    """Make the archived profiles of all users current, whichever user is named."""
    return downgraded("profiles", promotion.downgrade_profiles(state.store))


@routes.delete("/api/delete_profile")
async def delete_profile(state: ReflexioState, body: schemas.DeleteUserProfileRequestSchema) -> Response:
    """Delete one. With only a search query it deletes nothing and succeeds."""
    if not (body.profile_id or body.search_query):
        return refused(message="Profile id or search query is required")
    named = (body.user_id, body.profile_id)
    state.store.delete_profiles(lambda row: (row.user_id, row.profile_id) == named)
    return deleted()


@routes.delete("/api/delete_profiles_by_ids")
async def delete_profiles_by_ids(
    state: ReflexioState, body: schemas.DeleteProfilesByIdsRequestSchema
) -> Response:
    """Delete those that exist, and count them."""
    named = set(body.profile_ids)
    return deleted_count(state.store.delete_profiles(lambda row: row.profile_id in named))


@routes.delete("/api/delete_all_profiles", per_minute=10)
async def delete_all_profiles(state: ReflexioState) -> Response:
    """Delete all, of every status."""
    state.store.delete_profiles(lambda _: True)
    return deleted_all()
