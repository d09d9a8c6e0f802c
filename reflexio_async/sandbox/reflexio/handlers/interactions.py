"""Publishing, its learning, and reading back what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async.sandbox.http.responses import Reply, problem
from reflexio_async.sandbox.reflexio.overload import PUBLISH_DEADLINE, Crowd
from reflexio_async.sandbox.reflexio.store.configuration import arm_of
from reflexio_async.sandbox.reflexio.store.learning_stall import Stall

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.publishing import LearningStatusQuery, Publish
    from reflexio_async.sandbox.reflexio.schemas.reading import AllInteractions, GetInteractions, GetRequests
    from reflexio_async.sandbox.reflexio.state import World
    from reflexio_async.sandbox.reflexio.store.rows import StoredRequest, Turn

_DEFAULT_SESSIONS = 30
_WAITERS = 8


async def publish(world: World, call: Call, body: Publish) -> Reply:
    """Store once by request id; ``?wait_for_response=true`` waits for learning where it is under way.

    Eight at a time may wait, until the route's deadline.
    """
    if (trouble := _misattributed(world, body)) is not None:
        return Reply({"success": False, "message": trouble, "warnings": []})
    request = world.store.insert(body)
    if request is None:
        message = f"request_id '{body.request_id}' already exists"
        return Reply({"success": False, "message": message, "warnings": []})
    stall = Stall() if body.override_learning_stall else world.stall
    world.learning.admit(
        request, forced=body.force_extraction, finished=body.session_finished, stalled=stall.stalled
    )
    trouble = await _waited(world, call, request) if call.waits else None
    status, reason = world.learning.status(request)
    done = status == "done"
    learnt = request.learnt if done else {}
    return Reply(
        {
            "success": True,
            "message": "Interaction published successfully",
            "warnings": [*stall.warnings, *body.warnings],
            "request_id": request.request_id,
            "storage_type": "sqlite",
            "storage_label": "<default sqlite>",
            "profiles_added": learnt.get("profile", 0),
            "playbooks_added": learnt.get("playbook", 0),
            "learning_status": "done" if done else "deferred",
            "learning_reason": reason if done else trouble or reason,
        }
    )


async def _waited(world: World, call: Call, request: StoredRequest) -> str | None:
    """Wait while the learning of a request is under way; why not, or not to the end."""
    if world.learning.news(request) is None:
        return None
    waiters = call.waiting.crowds.setdefault("learning", Crowd(_WAITERS))
    if waiters.inside >= waiters.room:
        return "waiter_capacity"
    waiters.inside += 1
    deadline = world.clock.now() + PUBLISH_DEADLINE
    try:
        while (news := world.learning.news(request)) is not None:
            if (left := deadline - world.clock.now()) <= 0:
                return "wait_timeout"
            await call.wait(left, news)
    finally:
        waiters.leave()
    return None


def _misattributed(world: World, body: Publish) -> str | None:
    if body.retrieval_experiment_id is None:
        return None
    experiment = world.configuration.experiment(body.retrieval_experiment_id)
    if experiment is None:
        return "retrieval experiment does not exist for this organization"
    if body.retrieval_experiment_arm != arm_of(experiment, body.user_id):
        return "retrieval experiment arm does not match the user assignment"
    return None


async def learning_status(world: World, _call: Call, query: LearningStatusQuery) -> Reply:
    """How far learning from one publish has come."""
    if (request := world.store.requests.get(query.request_id)) is None:
        return problem(404, "request not found")
    status, reason = world.learning.status(request)
    return Reply({"status": status, "reason": reason})


async def get_requests(world: World, _call: Call, body: GetRequests) -> Reply:
    """Stored requests by session, both newest first; ``top_k`` and ``offset`` count sessions.

    Sessions of one second come by their names, last first.
    """
    sessions: dict[str, list[StoredRequest]] = {}
    matching = (request for request in _candidates(world, body) if _matches(request, body))
    for request in sorted(matching, key=lambda request: -request.created_at):
        sessions.setdefault(request.session_id, []).append(request)
    latest = sorted(sessions.items(), key=lambda item: (item[1][0].created_at, item[0]), reverse=True)
    start, size = body.offset or 0, body.top_k or _DEFAULT_SESSIONS
    page = dict(latest[start : start + size])
    found = sum(len(requests) for requests in page.values())
    shown = [
        {"session_id": name, "requests": [request.view() for request in requests]}
        for name, requests in page.items()
    ]
    return Reply(
        {
            "success": True,
            "sessions": shown,
            # A full page promises more, even when it is the last.
            "has_more": len(page) >= size,
            "msg": f"Found {found} request(s) in {len(page)} session(s)",
        }
    )


def _candidates(world: World, body: GetRequests) -> list[StoredRequest]:
    if body.request_id:
        request = world.store.requests.get(body.request_id)
        return [] if request is None else [request]
    stored = (
        world.store.requests_by_user.get(body.user_id, []) if body.user_id else world.store.requests.values()
    )
    return list(stored)[::-1]


def _matches(request: StoredRequest, body: GetRequests) -> bool:
    return (
        body.user_id in (None, "", request.user_id)
        and body.session_id in (None, "", request.session_id)
        and body.source in (None, request.source)
        and body.holds(request.created_at)
    )


async def get_interactions(world: World, _call: Call, body: GetInteractions) -> Reply:
    """One user's turns, newest first; of one second, in the order they came. ``top_k: null`` is all."""
    turns = [turn for turn in world.store.turns(body.user_id) if body.holds(turn.created_at)]
    turns.sort(key=lambda turn: -turn.created_at)
    return _found(turns[: body.top_k])


async def get_all_interactions(world: World, _call: Call, query: AllInteractions) -> Reply:
    """Everybody's turns, newest first; a negative limit is none."""
    turns = sorted(world.store.turns(), key=lambda turn: (-turn.created_at, -turn.interaction_id))
    return _found(turns if query.limit < 0 else turns[: query.limit])


def _found(turns: list[Turn]) -> Reply:
    views = [turn.view() for turn in turns]
    return Reply({"success": True, "interactions": views, "msg": f"Found {len(views)} interaction(s)"})
