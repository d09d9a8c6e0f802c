"""Publishing into groups, reading groups back, deleting them; profiles as they were."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox.http.responses import Reply
from reflexio_async.sandbox.reflexio.schemas.common import StatusWord
from reflexio_async.sandbox.reflexio.schemas.publishing import Interaction, Publish
from reflexio_async.sandbox.reflexio.store.rows import shows

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.legacy import schemas as bodies
    from reflexio_async.sandbox.reflexio.state import World
    from reflexio_async.sandbox.reflexio.store.rows import Profile, StoredRequest, Turn

_STATES = {"current": None, "pending": StatusWord.PENDING, "archived": StatusWord.ARCHIVED}


async def publish(world: World, _call: Call, body: bodies.Publish) -> Reply:
    """Store always; the answer names no request. A request without a group is alone."""
    request_id = str(uuid.uuid4())
    turns = [Interaction.model_validate(turn.model_dump()) for turn in body.interaction_data_list]
    # Today's rules for a publish were not January's.
    today = Publish.model_construct(
        user_id=body.user_id,
        session_id=body.request_group or request_id,
        request_id=request_id,
        interaction_data_list=turns,
        source=body.source,
        agent_version=body.agent_version,
    )
    request = world.store.insert(today)
    if request is not None:
        world.learning.admit(request)
    return Reply({"success": True, "message": "Interaction published successfully"})


async def get_requests(world: World, _call: Call, body: bodies.GetRequests) -> Reply:
    """By group, newest first."""
    groups: dict[str, list[dict[str, Any]]] = {}
    found = 0
    for request in reversed(world.store.requests.values()):
        if (
            body.user_id in (None, "", request.user_id)
            and body.request_id in (None, "", request.request_id)
            and body.holds(request.created_at)
        ):
            groups.setdefault(request.session_id, []).append(_request(request))
    page = dict(list(groups.items())[: body.top_k])
    found = sum(map(len, page.values()))
    shown = [{"request_group": name, "requests": requests} for name, requests in page.items()]
    return Reply({"success": True, "request_groups": shown, "msg": f"Found {found} requests"})


def _request(request: StoredRequest) -> dict[str, Any]:
    group = None if request.session_id == request.request_id else request.session_id
    shown = {
        "request_id": request.request_id,
        "user_id": request.user_id,
        "created_at": request.created_at,
        "source": request.source,
        "agent_version": request.agent_version,
        "request_group": group,
    }
    return {"request": shown, "interactions": [_turn(turn) for turn in request.turns]}


def _turn(turn: Turn) -> dict[str, Any]:
    kept = {"role", "content", "user_action", "user_action_description", "interacted_image_url"}
    kept |= {"image_encoding", "shadow_content"}
    return {
        "interaction_id": turn.interaction_id,
        "user_id": turn.user_id,
        "request_id": turn.request_id,
        "created_at": turn.created_at,
        **turn.given.model_dump(mode="json", include=kept),
        "embedding": list[float](),
    }


async def delete_request(world: World, _call: Call, body: bodies.DeleteRequest) -> Reply:
    """One request with its turns."""
    request = world.store.requests.get(body.request_id)
    if request is not None:
        world.store.delete_requests([request])
    return Reply({"success": True, "message": "Deleted successfully"})


async def delete_group(world: World, _call: Call, body: bodies.DeleteGroup) -> Reply:
    """A group's requests."""
    doomed = world.store.session(body.request_group)
    count = world.store.delete_requests(doomed)
    message = f"Deleted {count} requests"
    return Reply({"success": True, "message": message, "deleted_requests_count": count})


async def get_all_profiles(world: World, _call: Call, query: bodies.AllProfiles) -> Reply:
    """Everybody's, newest first; current unless a status is named."""
    wanted = [_STATES.get(query.status_filter or "current")]
    rows = [row for row in world.store.all_profiles() if shows(row.status, wanted)]
    rows.sort(key=lambda row: -row.last_modified)
    views = [_profile(row) for row in rows[: query.limit]]
    return Reply({"success": True, "user_profiles": views, "msg": f"Found {len(views)} profiles"})


def _profile(row: Profile) -> dict[str, Any]:
    return {
        "profile_id": row.profile_id,
        "user_id": row.user_id,
        "profile_content": row.content,
        "last_modified_timestamp": row.last_modified,
        "generated_from_request_id": row.request_id,
        "profile_time_to_live": row.time_to_live,
        "expiration_timestamp": row.expires_at,
        "custom_features": row.custom_features,
        "source": row.source,
        "status": row.status,
        "embedding": list[float](),
    }
