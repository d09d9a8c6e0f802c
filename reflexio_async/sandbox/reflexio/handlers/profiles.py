"""Profiles: reading, counting, writing, promoting them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox.http.responses import Reply, internal_error
from reflexio_async.sandbox.reflexio.schemas.common import StatusWord
from reflexio_async.sandbox.reflexio.simulation import promotion
from reflexio_async.sandbox.reflexio.store.rows import shows, tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.common import Nothing
    from reflexio_async.sandbox.reflexio.schemas.generation import DowngradeProfiles, UpgradeProfiles
    from reflexio_async.sandbox.reflexio.schemas.reading import AllProfiles, GetProfiles, OfUser
    from reflexio_async.sandbox.reflexio.schemas.rows import AddProfiles, UpdateProfile
    from reflexio_async.sandbox.reflexio.state import World
    from reflexio_async.sandbox.reflexio.store.rows import Profile

_SOON = 7 * 24 * 3600
_STATES = {"current": None, "pending": StatusWord.PENDING, "archived": StatusWord.ARCHIVED}


async def get_profiles(world: World, _call: Call, body: GetProfiles) -> Reply:
    """Newest first; no filter means current only, an empty one every status, ``top_k: null`` all."""
    # Absent and null are one and the same; in the list, null is current.
    wanted = [None] if body.status_filter is None else body.status_filter
    rows = [
        profile
        for profile in world.store.profiles_of(body.user_id)
        if shows(profile.status, wanted)
        and body.profile_id in (None, "", profile.profile_id)
        and body.source in (None, profile.source)
        and body.profile_time_to_live in (None, "", profile.time_to_live)
        and _mentions(profile, body.query)
        and tagged(profile.tags, body.tags)
        and body.holds(profile.last_modified)
    ]
    return _found(_newest_first(rows)[: body.top_k])


async def get_all_profiles(world: World, _call: Call, query: AllProfiles) -> Reply:
    """Everybody's, newest first; current unless a status is named; a negative limit is none."""
    start, end = query.start_time, query.end_time
    # A row is looked up whatever became of it, when it is named and tombstones are welcome.
    named = bool(query.profile_id) and query.include_tombstones

    def fits(profile: Profile) -> bool:
        at = profile.last_modified if query.date_field == "last_modified_timestamp" else profile.created_at
        return (
            (named or shows(profile.status, [_STATES.get(query.status_filter or "current")]))
            and query.profile_id in (None, "", profile.profile_id)
            and query.user_id in (None, "", profile.user_id)
            and query.source in (None, "", profile.source)
            and query.profile_time_to_live in (None, "", profile.time_to_live)
            and _mentions(profile, query.query, profile.profile_id, profile.user_id)
            and (start is None or at >= start)
            and (end is None or at <= end)
        )

    rows = _newest_first(filter(fits, world.store.all_profiles()))
    return _found(rows if query.limit < 0 else rows[: query.limit])


def _newest_first(rows: Iterable[Profile]) -> list[Profile]:
    return sorted(rows, key=lambda profile: -profile.last_modified)


def _mentions(profile: Profile, query: str | None, *more: str) -> bool:
    return not query or any(query.lower() in text.lower() for text in (profile.content, *more))


def _found(rows: Sequence[Profile]) -> Reply:
    views = [profile.view() for profile in rows]
    return Reply({"success": True, "user_profiles": views, "msg": f"Found {len(views)} profile(s)"})


async def statistics(world: World, _call: Call, _body: Nothing) -> Reply:
    """How many there are of each state."""
    rows, now = list(world.store.all_profiles()), world.store.now
    current = [row for row in rows if row.status is None]
    return Reply(
        {
            "success": True,
            "current_count": len(current),
            "pending_count": sum(row.status == "pending" for row in rows),
            "archived_count": sum(row.status == "archived" for row in rows),
            "expiring_soon_count": sum(row.expires_at <= now + _SOON for row in current),
            "msg": "Retrieved profile statistics successfully",
        }
    )


async def storage_stats(world: World, _call: Call, query: OfUser) -> Reply:
    """How much there is of one user, of every status; nobody in particular is a crash."""
    if not query.user_id.strip():
        return internal_error()
    rows = world.store.profiles_of(query.user_id)
    playbooks = sum(row.user_id == query.user_id for row in world.store.playbooks.values())
    counts = {"profile_count": len(rows), "playbook_count": playbooks}
    msg = f"Found {len(rows)} profile(s) and {playbooks} playbook(s)"
    times = [row.last_modified for row in rows]
    ends = {"oldest": min(times), "newest": max(times)} if times else {}
    modified = {f"{end}_profile_modified": _iso(time) for end, time in ends.items()}
    return Reply({**counts, **modified, "success": True, "msg": msg})


def _iso(epoch_seconds: int) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def add(world: World, _call: Call, body: AddProfiles) -> Reply:
    """Store them as given; an existing id is overwritten."""
    for row in body.user_profiles:
        world.store.write_profile(row)
    count = len(body.user_profiles)
    return Reply({"success": True, "message": f"Added {count} profile(s)", "added_count": count})


async def update(world: World, _call: Call, body: UpdateProfile) -> Reply:
    """Change what is given of one profile."""
    row = world.store.profile(body.profile_id)
    if row is None or row.user_id != body.user_id:
        msg = f"Profile not found: user_id={body.user_id!r} profile_id={body.profile_id!r}"
        return Reply({"success": False, "msg": msg})
    row.content = row.content if body.content is None else body.content
    row.custom_features = row.custom_features if body.custom_features is None else body.custom_features
    row.last_modified = world.store.now
    return Reply({"success": True, "msg": "User profile updated successfully"})


async def change_log(world: World, _call: Call, _body: Nothing) -> Reply:
    """What each generation added, latest first, with the nulls; what was deleted is not in it."""
    rows = sorted(world.store.all_profiles(), key=lambda row: row.request_id)
    logs = [
        _entry(list(group))
        for request_id, group in groupby(rows, key=lambda row: row.request_id)
        if request_id
    ]
    logs.sort(key=lambda log: -log["created_at"])
    return Reply({"success": True, "profile_change_logs": logs[:100]})


def _entry(rows: Sequence[Profile]) -> dict[str, Any]:
    return {
        "id": 0,
        "user_id": rows[0].user_id,
        "request_id": rows[0].request_id,
        "created_at": max(row.last_modified for row in rows),
        "added_profiles": [row.whole() for row in rows],
        "removed_profiles": list[Any](),
    }


async def upgrade(world: World, _call: Call, _body: UpgradeProfiles) -> Reply:
    """Promote the whole organisation's, whoever is named."""
    return upgraded("profiles", promotion.upgrade_profiles(world.store))


async def downgrade(world: World, _call: Call, _body: DowngradeProfiles) -> Reply:
    """Bring back the whole organisation's archived ones, whoever is named."""
    return downgraded("profiles", promotion.downgrade_profiles(world.store))


def upgraded(kind: str, counts: promotion.Counts) -> Reply:
    """What an upgrade answers; with nothing pending it is a refusal."""
    message = (
        f"Upgraded: {counts.promoted} promoted, {counts.archived} archived, "
        f"{counts.deleted} old archived deleted"
    )
    return Reply(
        {
            "success": counts.promoted > 0,
            f"{kind}_promoted": counts.promoted,
            f"{kind}_archived": counts.archived,
            f"{kind}_deleted": counts.deleted,
            "message": message if counts.promoted else "No pending items found to upgrade",
        }
    )


def downgraded(kind: str, counts: promotion.Counts) -> Reply:
    """What a downgrade answers; with nothing archived it is a refusal."""
    message = f"Downgraded: {counts.archived} archived, {counts.promoted} restored"
    return Reply(
        {
            "success": counts.promoted > 0,
            f"{kind}_demoted": counts.archived,
            f"{kind}_restored": counts.promoted,
            "message": message if counts.promoted else "No archived items found to restore",
        }
    )
