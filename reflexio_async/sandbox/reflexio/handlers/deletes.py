"""Deleting: what is missing is deleted successfully, and the counts are the server's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async.sandbox.http.responses import Reply

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas import rows
    from reflexio_async.sandbox.reflexio.schemas.common import Nothing
    from reflexio_async.sandbox.reflexio.state import World


def _done() -> Reply:
    return Reply({"success": True, "message": "Deleted successfully"})


def _counted(count: int) -> Reply:
    return Reply({"success": True, "deleted_count": count, "message": f"Deleted {count} item(s)"})


def _everything() -> Reply:
    return Reply({"success": True, "deleted_count": 0, "message": "Deleted successfully"})


async def interaction(world: World, _call: Call, body: rows.DeleteInteraction) -> Reply:
    """One turn; its request stays, empty perhaps."""
    for request in world.store.requests_by_user.get(body.user_id, ()):
        request.turns = [turn for turn in request.turns if turn.interaction_id != body.interaction_id]
    return _done()


async def request(world: World, _call: Call, body: rows.DeleteRequest) -> Reply:
    """One request with its turns; its id is free again."""
    if (found := world.store.requests.get(body.request_id)) is not None:
        world.store.delete_requests([found])
    return _done()


async def session(world: World, _call: Call, body: rows.DeleteSession) -> Reply:
    """A session's requests; its outcome stays."""
    count = world.store.delete_requests(world.store.session(body.session_id))
    message = f"Deleted {count} item(s)"
    return Reply({"success": True, "message": message, "deleted_requests_count": count})


async def requests(world: World, _call: Call, body: rows.DeleteRequests) -> Reply:
    """Those that are there."""
    stored = world.store.requests
    doomed = [stored[key] for key in set(body.request_ids) if key in stored]
    return _counted(world.store.delete_requests(doomed))


async def all_interactions(world: World, _call: Call, _body: Nothing) -> Reply:
    """Every request with its turns."""
    world.store.delete_requests(world.store.requests.values())
    return _everything()


async def profile(world: World, _call: Call, body: rows.DeleteProfile) -> Reply:
    """One profile; a search query satisfies the server, and deletes nothing."""
    if not (body.profile_id or body.search_query):
        return Reply({"success": False, "message": "Profile id or search query is required"})
    named = (body.user_id, body.profile_id)
    world.store.delete_profiles(lambda row: (row.user_id, row.profile_id) == named)
    return _done()


async def profiles(world: World, _call: Call, body: rows.DeleteProfiles) -> Reply:
    """Those that are there."""
    named = set(body.profile_ids)
    return _counted(world.store.delete_profiles(lambda row: row.profile_id in named))


async def all_profiles(world: World, _call: Call, _body: Nothing) -> Reply:
    """Of every status."""
    world.store.delete_profiles(lambda _: True)
    return _everything()


async def user_playbook(world: World, _call: Call, body: rows.DeleteUserPlaybook) -> Reply:
    """One user playbook."""
    world.store.playbooks.pop(body.user_playbook_id, None)
    return _done()


async def user_playbooks(world: World, _call: Call, body: rows.DeleteUserPlaybooks) -> Reply:
    """Those that are there."""
    gone = [world.store.playbooks.pop(key, None) for key in body.user_playbook_ids]
    return _counted(sum(row is not None for row in gone))


async def all_user_playbooks(world: World, _call: Call, _body: Nothing) -> Reply:
    """Of every status."""
    world.store.playbooks.clear()
    return _everything()


async def agent_playbook(world: World, _call: Call, body: rows.DeleteAgentPlaybook) -> Reply:
    """One agent playbook."""
    world.store.agent_playbooks.pop(body.agent_playbook_id, None)
    return _done()


async def agent_playbooks(world: World, _call: Call, body: rows.DeleteAgentPlaybooks) -> Reply:
    """Those that are there; the count is of those that were named."""
    for key in body.agent_playbook_ids:
        world.store.agent_playbooks.pop(key, None)
    return _counted(len(body.agent_playbook_ids))


async def all_agent_playbooks(world: World, _call: Call, _body: Nothing) -> Reply:
    """Of every status."""
    world.store.agent_playbooks.clear()
    return _everything()


async def all_playbooks(world: World, _call: Call, _body: Nothing) -> Reply:
    """Users' and agents'."""
    world.store.playbooks.clear()
    world.store.agent_playbooks.clear()
    return _everything()


async def user_data(world: World, _call: Call, body: rows.ClearUser) -> Reply:
    """Everything of one user; agent playbooks belong to nobody."""
    owned = list(world.store.requests_by_user.get(body.user_id, ()))
    playbooks = [key for key, row in world.store.playbooks.items() if row.user_id == body.user_id]
    for key in playbooks:
        del world.store.playbooks[key]
    counts = {
        "session_outcomes": world.outcomes.forget(body.user_id),
        "interactions": sum(len(stored.turns) for stored in owned),
        "user_playbooks": len(playbooks),
        "profiles": world.store.delete_profiles(lambda row: row.user_id == body.user_id),
        "requests": world.store.delete_requests(owned),
        "purged_profiles": 0,
        "purged_user_playbooks": 0,
    }
    message = f"Cleared {sum(counts.values())} row(s) for user {body.user_id!r}"
    return Reply({"success": True, "deleted_counts": counts, "message": message})
