"""User playbooks: reading, writing, promoting them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async.sandbox.http.responses import Reply
from reflexio_async.sandbox.reflexio.handlers.profiles import downgraded, upgraded
from reflexio_async.sandbox.reflexio.simulation import promotion
from reflexio_async.sandbox.reflexio.store.rows import TOMBSTONES, shows, tagged

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.generation import (
        DowngradeUserPlaybooks,
        UpgradeUserPlaybooks,
    )
    from reflexio_async.sandbox.reflexio.schemas.reading import GetUserPlaybooks
    from reflexio_async.sandbox.reflexio.schemas.rows import AddUserPlaybooks, UpdateUserPlaybook
    from reflexio_async.sandbox.reflexio.state import World

_DEFAULT = 100


async def get_user_playbooks(world: World, _call: Call, body: GetUserPlaybooks) -> Reply:
    """Newest first; no filter means every status, archived included."""
    rows = [
        row.view()
        for row in reversed(world.store.playbooks.values())
        if (
            row.status not in TOMBSTONES
            if body.status_filter is None
            else shows(row.status, body.status_filter)
        )
        and body.user_id in (None, "", row.user_id)
        and body.user_playbook_id in (None, row.user_playbook_id)
        and body.agent_version in (None, "", row.agent_version)
        and body.playbook_name in (None, "", row.name)
        and body.request_id in (None, "", row.request_id)
        and (not body.query or body.query.lower() in f"{row.trigger or ''} {row.content}".lower())
        and tagged(row.tags, body.tags)
        and body.holds(row.created_at)
    ][: body.limit or _DEFAULT]
    return Reply({"success": True, "user_playbooks": rows, "msg": f"Found {len(rows)} user playbook(s)"})


async def add(world: World, _call: Call, body: AddUserPlaybooks) -> Reply:
    """Store them as given, under ids of the server's own."""
    for row in body.user_playbooks:
        world.store.write_playbook(row)
    count = len(body.user_playbooks)
    return Reply({"success": True, "message": f"Added {count} item(s)", "added_count": count})


async def update(world: World, _call: Call, body: UpdateUserPlaybook) -> Reply:
    """Change what is given; an unknown id is a success too."""
    if (row := world.store.playbooks.get(body.user_playbook_id)) is not None:
        row.name = row.name if body.playbook_name is None else body.playbook_name
        row.content = row.content if body.content is None else body.content
        row.trigger = row.trigger if body.trigger is None else body.trigger
        row.rationale = row.rationale if body.rationale is None else body.rationale
    return Reply({"success": True, "msg": "User playbook updated successfully"})


async def upgrade(world: World, _call: Call, body: UpgradeUserPlaybooks) -> Reply:
    """Promote one agent version's, or all."""
    counts = promotion.upgrade_playbooks(
        world.store, body.agent_version, archive_current=body.archive_current
    )
    return upgraded("user_playbooks", counts)


async def downgrade(world: World, _call: Call, body: DowngradeUserPlaybooks) -> Reply:
    """Bring back one agent version's archived ones, or all."""
    return downgraded("user_playbooks", promotion.downgrade_playbooks(world.store, body.agent_version))
