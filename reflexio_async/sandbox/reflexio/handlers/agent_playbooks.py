"""Agent playbooks: reading, writing, approving them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async.sandbox.http.responses import Reply
from reflexio_async.sandbox.reflexio.store.rows import TOMBSTONES, shows, tagged

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.reading import GetAgentPlaybooks
    from reflexio_async.sandbox.reflexio.schemas.rows import (
        AddAgentPlaybooks,
        UpdateAgentPlaybook,
        UpdateApproval,
    )
    from reflexio_async.sandbox.reflexio.state import World

_DEFAULT = 100


async def get_agent_playbooks(world: World, _call: Call, body: GetAgentPlaybooks) -> Reply:
    """Newest first; no filter means those that nothing superseded."""
    rows = [
        row.view()
        for row in reversed(world.store.agent_playbooks.values())
        if (
            row.status not in TOMBSTONES
            if body.status_filter is None
            else shows(row.status, body.status_filter)
        )
        and body.agent_playbook_id in (None, row.agent_playbook_id)
        and body.agent_version in (None, "", row.agent_version)
        and body.playbook_name in (None, "", row.name)
        and (body.playbook_status_filter is None or body.playbook_status_filter.value == row.approval)
        and (not body.query or body.query.lower() in f"{row.trigger or ''} {row.content}".lower())
        and tagged([], body.tags)
        and body.holds(row.created_at)
    ][: body.limit or _DEFAULT]
    return Reply({"success": True, "agent_playbooks": rows, "msg": f"Found {len(rows)} agent playbook(s)"})


async def add(world: World, _call: Call, body: AddAgentPlaybooks) -> Reply:
    """Store them, current and without tags, under ids of the server's own."""
    for row in body.agent_playbooks:
        world.store.write_agent_playbook(row)
    count = len(body.agent_playbooks)
    return Reply({"success": True, "message": f"Added {count} item(s)", "added_count": count})


async def update(world: World, _call: Call, body: UpdateAgentPlaybook) -> Reply:
    """Change what is given; changing nothing succeeds even where there is nothing."""
    done = "Agent playbook updated successfully"
    if not body.model_dump(exclude_none=True, exclude={"agent_playbook_id"}):
        return Reply({"success": True, "msg": done})
    if (row := world.store.agent_playbooks.get(body.agent_playbook_id)) is None:
        return _missing(body.agent_playbook_id)
    row.name = row.name if body.playbook_name is None else body.playbook_name
    row.content = row.content if body.content is None else body.content
    row.trigger = row.trigger if body.trigger is None else body.trigger
    row.rationale = row.rationale if body.rationale is None else body.rationale
    row.approval = row.approval if body.playbook_status is None else body.playbook_status.value
    return Reply({"success": True, "msg": done})


async def update_status(world: World, _call: Call, body: UpdateApproval) -> Reply:
    """Approve or reject one."""
    if (row := world.store.agent_playbooks.get(body.agent_playbook_id)) is None:
        return _missing(body.agent_playbook_id)
    row.approval = body.playbook_status.value
    return Reply({"success": True, "msg": "Playbook status updated successfully"})


def _missing(agent_playbook_id: int) -> Reply:
    # The server lets a traceback out here.
    trouble = f"Agent playbook with ID {agent_playbook_id} not found"
    trace = f"Stack trace:\nTraceback (most recent call last):\nValueError: {trouble}\n"
    return Reply({"success": False, "msg": f"StorageError: {trouble}\n{trace}"})
