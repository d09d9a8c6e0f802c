"""Publishing, learning from a publish, and reading back what was published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reflexio_async.sandbox.http.context import ConcurrencyLimit, RequestContext
from reflexio_async.sandbox.http.responses import Response, error_response, refused, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio import deadlines
from reflexio_async.sandbox.reflexio.handlers.changed import deleted, deleted_all, deleted_count
from reflexio_async.sandbox.reflexio.handlers.search import search_response
from reflexio_async.sandbox.reflexio.schemas import interactions as schemas
from reflexio_async.sandbox.reflexio.schemas.legacy import (
    LegacyGetInteractionsRequestSchema,
    LegacySearchInteractionRequestSchema,
)
from reflexio_async.sandbox.reflexio.simulation.ranking import ranked
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.configuration import arm_of
from reflexio_async.sandbox.reflexio.store.learning_stall import LearningStall
from reflexio_async.sandbox.reflexio.store.rows import StoredInteraction, StoredRequest

_DEFAULT_SESSIONS = 30
_DEFAULT_TOP_K = 10
_LEARNING_WAITERS = 8
"""So many publishes wait for learning at once (server-behaviour: Learning)."""

routes: Final = Router()


@routes.post("/api/publish_interaction", per_minute=60)
async def publish_interaction(
    state: ReflexioState, context: RequestContext, body: schemas.PublishUserInteractionRequestSchema
) -> Response:
    """Store once by request id. ``?wait_for_response=true`` waits for learning that is under way."""
    if (problem := _attribution_problem(state, body)) is not None:
        return refused(message=problem, warnings=[])
    request = state.store.insert(body)
    if request is None:
        return refused(message=f"request_id '{body.request_id}' already exists", warnings=[])
    stall = LearningStall() if body.override_learning_stall else state.stall
    state.learner.admit(
        request, forced=body.force_extraction, finished=body.session_finished, stalled=stall.stalled
    )
    cut_short = await _wait_for_learning(state, context, request) if context.wait_for_response else None
    status, reason = state.learner.status(request)
    done = status == "done"
    learnt = request.learnt if done else {}
    return succeeded(
        message="Interaction published successfully",
        warnings=[*stall.warnings, *body.warnings],
        request_id=request.request_id,
        storage_type="sqlite",
        storage_label="<default sqlite>",
        profiles_added=learnt.get("profile", 0),
        playbooks_added=learnt.get("playbook", 0),
        learning_status="done" if done else "deferred",
        learning_reason=reason if done else cut_short or reason,
    )


async def _wait_for_learning(
    state: ReflexioState, context: RequestContext, request: StoredRequest
) -> str | None:
    """Wait while learning from a request is under way. Returns why the wait was refused or cut short."""
    if state.learner.progress(request) is None:
        return None
    limit = context.waits.concurrency_limits.setdefault("learning", ConcurrencyLimit(_LEARNING_WAITERS))
    if not limit.try_acquire():
        return "waiter_capacity"
    deadline = state.clock.now() + deadlines.PUBLISH
    try:
        while (progress := state.learner.progress(request)) is not None:
            if (left := deadline - state.clock.now()) <= 0:
                return "wait_timeout"
            await context.wait(left, progress)
    finally:
        limit.release()
    return None


def _attribution_problem(
    state: ReflexioState, body: schemas.PublishUserInteractionRequestSchema
) -> str | None:
    """What is wrong with the experiment and the arm that a publish names."""
    if body.retrieval_experiment_id is None:
        return None
    experiment = state.configuration.experiment(body.retrieval_experiment_id)
    if experiment is None:
        return "retrieval experiment does not exist for this organization"
    if body.retrieval_experiment_arm != arm_of(experiment, body.user_id):
        return "retrieval experiment arm does not match the user assignment"
    return None


@routes.get("/api/learning_status", per_minute=120)
async def learning_status(state: ReflexioState, query: schemas.LearningStatusQuerySchema) -> Response:
    """How far learning from one publish has come."""
    if (request := state.store.requests.get(query.request_id)) is None:
        return error_response(404, "request not found")
    status, reason = state.learner.status(request)
    return Response({"status": status, "reason": reason})


@routes.post("/api/get_requests")
async def get_requests(state: ReflexioState, body: schemas.GetRequestsRequestSchema) -> Response:
    """Requests by session, both newest first. ``top_k`` and ``offset`` count sessions.

    Sessions of one second are sorted by their ids, descending.
    """
    sessions: dict[str, list[StoredRequest]] = {}
    matching = (request for request in _candidates(state, body) if _matches(request, body))
    for request in sorted(matching, key=lambda request: -request.created_at):
        sessions.setdefault(request.session_id, []).append(request)
    latest = sorted(sessions.items(), key=lambda item: (item[1][0].created_at, item[0]), reverse=True)
    start, size = body.offset or 0, body.top_k or _DEFAULT_SESSIONS
    page = dict(latest[start : start + size])
    count = sum(len(requests) for requests in page.values())
    shown = [
        {"session_id": session_id, "requests": [request.view() for request in requests]}
        for session_id, requests in page.items()
    ]
    return Response(
        {
            "success": True,
            "sessions": shown,
            # A full page says that there is more, even if it is the last (server-behaviour: Page sizes).
            "has_more": len(page) >= size,
            "msg": f"Found {count} request(s) in {len(page)} session(s)",
        }
    )


def _candidates(state: ReflexioState, body: schemas.GetRequestsRequestSchema) -> list[StoredRequest]:
    if body.request_id:
        request = state.store.requests.get(body.request_id)
        return [] if request is None else [request]
    stored = (
        state.store.requests_by_user.get(body.user_id, []) if body.user_id else state.store.requests.values()
    )
    return list(stored)[::-1]


def _matches(request: StoredRequest, body: schemas.GetRequestsRequestSchema) -> bool:
    return (
        body.user_id in (None, "", request.user_id)
        and body.session_id in (None, "", request.session_id)
        and body.source in (None, request.source)
        and body.includes(request.created_at)
    )


@routes.post("/api/get_interactions")
async def get_interactions(state: ReflexioState, body: schemas.GetInteractionsRequestSchema) -> Response:
    """One user's interactions, newest first; those of one second oldest first. ``top_k: null`` means all."""
    return _found(newest_interactions(state, body))


def newest_interactions(
    state: ReflexioState,
    body: schemas.GetInteractionsRequestSchema | LegacyGetInteractionsRequestSchema,
) -> list[StoredInteraction]:
    """What ``get_interactions`` returns, on today's and January's servers."""
    found = [each for each in state.store.interactions(body.user_id) if body.includes(each.created_at)]
    found.sort(key=lambda each: -each.created_at)
    return found[: body.top_k]


@routes.get("/api/get_all_interactions", per_minute=30)
async def get_all_interactions(state: ReflexioState, query: schemas.AllInteractionsQuerySchema) -> Response:
    """All users' interactions, newest first. A negative limit means all."""
    found = sorted(state.store.interactions(), key=lambda each: (-each.created_at, -each.interaction_id))
    return _found(found if query.limit < 0 else found[: query.limit])


def _found(interactions: Sequence[StoredInteraction]) -> Response:
    views = [each.view() for each in interactions]
    return succeeded(interactions=views, msg=f"Found {len(views)} interaction(s)")


@routes.post("/api/search_interactions", per_minute=120)
async def search_interactions(state: ReflexioState, body: schemas.SearchInteractionRequestSchema) -> Response:
    """One user's interactions. Without a query the most recent, if ``most_recent_k`` is given."""
    return search_response("interactions", matching_interactions(state, body), "interaction(s)")


def matching_interactions(
    state: ReflexioState,
    body: schemas.SearchInteractionRequestSchema | LegacySearchInteractionRequestSchema,
) -> list[StoredInteraction]:
    """What ``search_interactions`` finds, on today's and January's servers."""
    found = [
        each
        for each in state.store.interactions(body.user_id)
        if body.request_id in (None, "", each.request_id) and body.includes(each.created_at)
    ]
    if body.query:
        return ranked(body.query, found, lambda each: each.content)[: body.most_recent_k or _DEFAULT_TOP_K]
    if body.most_recent_k:
        return sorted(found, key=lambda each: each.created_at)[-body.most_recent_k :]
    return []


@routes.delete("/api/delete_interaction")
async def delete_interaction(
    state: ReflexioState, body: schemas.DeleteUserInteractionRequestSchema
) -> Response:
    """Delete one. Its request remains, even without interactions."""
    state.store.delete_interaction(body.user_id, body.interaction_id)
    return deleted()


@routes.delete("/api/delete_request")
async def delete_request(state: ReflexioState, body: schemas.DeleteRequestRequestSchema) -> Response:
    """Delete one with its interactions. Its id can be used again."""
    if (found := state.store.requests.get(body.request_id)) is not None:
        state.store.delete_requests([found])
    return deleted()


@routes.delete("/api/delete_requests_by_ids")
async def delete_requests_by_ids(
    state: ReflexioState, body: schemas.DeleteRequestsByIdsRequestSchema
) -> Response:
    """Delete those that exist, and count them."""
    stored = state.store.requests
    found = [stored[key] for key in set(body.request_ids) if key in stored]
    return deleted_count(state.store.delete_requests(found))


@routes.delete("/api/delete_all_interactions", per_minute=10)
async def delete_all_interactions(state: ReflexioState) -> Response:
    """Delete all requests with their interactions."""
    state.store.delete_requests(state.store.requests.values())
    return deleted_all()
