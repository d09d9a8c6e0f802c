"""Feedback and raw feedback: today's agent and user playbooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox.http.responses import Reply
from reflexio_async.sandbox.reflexio.handlers import operations
from reflexio_async.sandbox.reflexio.handlers.profiles import downgraded, upgraded
from reflexio_async.sandbox.reflexio.simulation import promotion
from reflexio_async.sandbox.reflexio.simulation.generation import Job
from reflexio_async.sandbox.reflexio.simulation.ranking import ranked
from reflexio_async.sandbox.reflexio.store.rows import TOMBSTONES, AgentPlaybook, Playbook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.legacy import schemas as bodies
    from reflexio_async.sandbox.reflexio.state import World
    from reflexio_async.sandbox.reflexio.store.rows import Status, StoredRequest

_DEFAULT, _TOP = 100, 10


async def get_raw(world: World, _call: Call, body: bodies.GetRawFeedback) -> Reply:
    """Newest first, of every status unless told otherwise."""
    rows = [
        row
        for row in reversed(world.store.playbooks.values())
        if _shows(row.status, body.status_filter) and body.feedback_name in (None, "", row.name)
    ]
    return _raw(rows[: body.limit or _DEFAULT])


async def search_raw(world: World, _call: Call, body: bodies.SearchRawFeedback) -> Reply:
    """Best match first."""
    rows = [
        row
        for row in reversed(world.store.playbooks.values())
        if _shows(row.status, body.status_filter)
        and body.user_id in (None, "", row.user_id)
        and body.agent_version in (None, "", row.agent_version)
        and body.feedback_name in (None, "", row.name)
        and body.holds(row.created_at)
    ]
    found = ranked(body.query, rows, lambda row: row.indexed) if body.query else rows
    return _raw(found[: body.top_k or _TOP])


async def get(world: World, _call: Call, body: bodies.GetFeedback) -> Reply:
    """Newest first, of every status unless told otherwise."""
    rows = [
        row
        for row in reversed(world.store.agent_playbooks.values())
        if _shows(row.status, body.status_filter)
        and body.feedback_name in (None, "", row.name)
        and (body.feedback_status_filter is None or body.feedback_status_filter.value == row.approval)
    ]
    return _cooked(rows[: body.limit or _DEFAULT])


async def search(world: World, _call: Call, body: bodies.SearchFeedback) -> Reply:
    """Best match first."""
    rows = [
        row
        for row in reversed(world.store.agent_playbooks.values())
        if _shows(row.status, body.status_filter)
        and body.agent_version in (None, "", row.agent_version)
        and body.feedback_name in (None, "", row.name)
        and (body.feedback_status_filter is None or body.feedback_status_filter.value == row.approval)
        and body.holds(row.created_at)
    ]
    found = ranked(body.query, rows, lambda row: row.indexed) if body.query else rows
    return _cooked(found[: body.top_k or _TOP])


def _shows(status: Status, wanted: Sequence[bodies.StatusWord | None] | None) -> bool:
    words = [None if word is None else word.value for word in wanted or ()]
    return status in words if words else status not in TOMBSTONES


def _raw(rows: Sequence[Playbook]) -> Reply:
    views = [
        {
            "raw_feedback_id": row.user_playbook_id,
            "user_id": row.user_id,
            "agent_version": row.agent_version,
            "request_id": row.request_id,
            "feedback_name": row.name,
            "created_at": row.created_at,
            "feedback_content": row.content,
            "do_action": row.do_action,
            "do_not_action": row.do_not_action,
            "when_condition": row.trigger,
            "status": row.status,
            "source": row.source,
            "indexed_content": row.indexed,
            "embedding": list[float](),
        }
        for row in rows
    ]
    return Reply({"success": True, "raw_feedbacks": views, "msg": f"Found {len(views)} raw feedbacks"})


def _cooked(rows: Sequence[AgentPlaybook]) -> Reply:
    views = [
        {
            "feedback_id": row.agent_playbook_id,
            "feedback_name": row.name,
            "agent_version": row.agent_version,
            "created_at": row.created_at,
            "feedback_content": row.content,
            "do_action": row.do_action,
            "do_not_action": row.do_not_action,
            "when_condition": row.trigger,
            "feedback_status": row.approval,
            "feedback_metadata": row.metadata,
            "status": row.status,
            "embedding": list[float](),
        }
        for row in rows
    ]
    return Reply({"success": True, "feedbacks": views, "msg": f"Found {len(views)} feedbacks"})


async def add_raw(world: World, _call: Call, body: bodies.AddRawFeedback) -> Reply:
    """Store it as given, under ids of the server's own."""
    for row in body.raw_feedbacks:
        playbook = Playbook(
            user_playbook_id=0,
            user_id=row.user_id,
            agent_version=row.agent_version,
            request_id=row.request_id,
            created_at=world.store.now if row.created_at is None else row.created_at,
            trigger=row.when_condition,
            source_span=None,
            status=row.status and row.status.value,
            interaction_ids=[],
            content=row.feedback_content,
            name=row.feedback_name,
            source=row.source,
            do_action=row.do_action,
            do_not_action=row.do_not_action,
            indexed=row.indexed_content or f"{row.when_condition or ''} {row.feedback_content}",
        )
        world.store.put_playbook(playbook)
    return _added(len(body.raw_feedbacks), "raw feedbacks")


async def add(world: World, _call: Call, body: bodies.AddFeedback) -> Reply:
    """Store it as given, under ids of the server's own."""
    for row in body.feedbacks:
        playbook = AgentPlaybook(
            agent_playbook_id=0,
            agent_version=row.agent_version,
            created_at=world.store.now if row.created_at is None else row.created_at,
            content=row.feedback_content,
            name=row.feedback_name,
            trigger=row.when_condition,
            approval=row.feedback_status.value,
            metadata=row.feedback_metadata,
            status=row.status and row.status.value,
            do_action=row.do_action,
            do_not_action=row.do_not_action,
            indexed=f"{row.when_condition or ''} {row.feedback_content}",
        )
        world.store.put_agent_playbook(playbook)
    return _added(len(body.feedbacks), "feedbacks")


def _added(count: int, noun: str) -> Reply:
    return Reply({"success": True, "message": f"Added {count} {noun}", "added_count": count})


async def update_status(world: World, _call: Call, body: bodies.UpdateStatus) -> Reply:
    """Approve or reject."""
    if (row := world.store.agent_playbooks.get(body.feedback_id)) is None:
        return Reply({"success": False, "msg": f"Feedback with ID {body.feedback_id} not found"})
    row.approval = body.feedback_status.value
    return Reply({"success": True, "msg": None})


async def delete(world: World, _call: Call, body: bodies.DeleteFeedback) -> Reply:
    """One of them."""
    world.store.agent_playbooks.pop(body.feedback_id, None)
    return Reply({"success": True, "message": "Deleted successfully"})


async def delete_raw(world: World, _call: Call, body: bodies.DeleteRawFeedback) -> Reply:
    """One of them."""
    world.store.playbooks.pop(body.raw_feedback_id, None)
    return Reply({"success": True, "message": "Deleted successfully"})


async def upgrade(world: World, _call: Call, body: bodies.MoveRawFeedback) -> Reply:
    """Pending to current, current to archived, archived away."""
    counts = promotion.upgrade_playbooks(world.store, body.agent_version, archive_current=True)
    return upgraded("raw_feedbacks", counts)


async def downgrade(world: World, _call: Call, body: bodies.MoveRawFeedback) -> Reply:
    """Archived to current, current to archived."""
    return downgraded("raw_feedbacks", promotion.downgrade_playbooks(world.store, body.agent_version))


async def aggregate(world: World, _call: Call, body: bodies.RunAggregation) -> Reply:
    """Make feedback out of raw feedback now."""
    if body.agent_version in world.aggregator.failing:
        return Reply({"success": False, "message": f"scripted failure of {body.agent_version}"})
    result = world.aggregator.aggregate(body.agent_version)
    count = result["playbooks_generated"]
    return Reply({"success": True, "message": f"Feedback aggregation completed: {count} feedback(s)"})


async def rerun(world: World, call: Call, body: bodies.RerunFeedback) -> Reply:
    """That of everyone who published for an agent version."""

    def selects(request: StoredRequest) -> bool:
        return (
            request.agent_version == body.agent_version
            and body.source in (None, "", request.source)
            and body.holds(request.created_at)
        )

    known = world.store.requests_by_user
    users = [user for user in world.store.users() if any(map(selects, known[user]))]
    params = {**body.model_dump(mode="json"), **operations.times(body)}
    job = Job(users, "pending", selects, body.agent_version)
    return await operations.rerun(world, call, "feedback", job, claimed=params, params=params)


async def manual(world: World, call: Call, body: bodies.ManualFeedback) -> Reply:
    """Current feedback of an agent version, from everyone."""

    def selects(request: StoredRequest) -> bool:
        return request.agent_version == body.agent_version and body.source in (None, "", request.source)

    known = world.store.requests_by_user
    users = [user for user in world.store.users() if any(map(selects, known[user]))]
    params: dict[str, Any] = {**body.model_dump(mode="json"), "mode": "manual_regular"}
    return await operations.manual(
        world,
        call,
        "feedback",
        Job(users, None, selects, body.agent_version),
        params=params,
        nobody="No interactions found to process",
        done=lambda count: f"Generated {count} feedback entries",
    )
