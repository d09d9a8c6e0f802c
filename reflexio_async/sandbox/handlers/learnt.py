"""Profiles and user playbooks: reading and promoting them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async.sandbox.answers import Reply
from reflexio_async.sandbox.state import shows

if TYPE_CHECKING:
    from reflexio_async.sandbox.bodies import (
        GetProfiles,
        GetUserPlaybooks,
        UpgradeProfiles,
        UpgradeUserPlaybooks,
    )
    from reflexio_async.sandbox.calls import Call
    from reflexio_async.sandbox.world import World

_DEFAULT_PLAYBOOKS = 100


async def get_profiles(world: World, _call: Call, body: GetProfiles) -> Reply:
    """Newest first; no filter means current only, an empty one every status, ``top_k: null`` all."""
    # Absent and null are one and the same; in the list, null is current.
    wanted = [None] if body.status_filter is None else body.status_filter
    rows = [
        profile
        for profile in reversed(world.store.profiles.get(body.user_id, []))
        if shows(profile.status, wanted)
        and body.profile_id in (None, "", profile.profile_id)
        and body.source in (None, "")
        and (body.query or "").lower() in profile.content.lower()
        and body.holds(profile.last_modified)
    ]
    rows.sort(key=lambda profile: -profile.last_modified)
    views = [profile.view() for profile in rows[: body.top_k]]
    return Reply({"success": True, "user_profiles": views, "msg": f"Found {len(views)} profile(s)"})


async def get_user_playbooks(world: World, _call: Call, body: GetUserPlaybooks) -> Reply:
    """Newest first; no filter means every status, archived included."""
    rows = [
        playbook.view()
        for playbook in reversed(world.store.playbooks.values())
        if shows(playbook.status, body.status_filter)
        and body.user_id in (None, "", playbook.user_id)
        and body.user_playbook_id in (None, playbook.user_playbook_id)
        and body.agent_version in (None, "", playbook.agent_version)
        and body.request_id in (None, "", playbook.request_id)
        and body.holds(playbook.created_at)
    ][: body.limit or _DEFAULT_PLAYBOOKS]
    return Reply({"success": True, "user_playbooks": rows, "msg": f"Found {len(rows)} user playbook(s)"})


async def upgrade_profiles(world: World, _call: Call, _body: UpgradeProfiles) -> Reply:
    """Promote the whole organisation's, whoever is named."""
    return _upgraded("profiles", world.store.promote_profiles())


async def upgrade_user_playbooks(world: World, _call: Call, body: UpgradeUserPlaybooks) -> Reply:
    """Promote one agent version's, or all."""
    counts = world.store.promote_playbooks(body.agent_version, archive_current=body.archive_current)
    return _upgraded("user_playbooks", counts)


def _upgraded(kind: str, counts: tuple[int, int, int]) -> Reply:
    promoted, archived, deleted = counts
    message = f"Upgraded: {promoted} promoted, {archived} archived, {deleted} old archived deleted"
    return Reply(
        {
            "success": promoted > 0,
            f"{kind}_promoted": promoted,
            f"{kind}_archived": archived,
            f"{kind}_deleted": deleted,
            "message": message if promoted else "No pending items found to upgrade",
        }
    )
