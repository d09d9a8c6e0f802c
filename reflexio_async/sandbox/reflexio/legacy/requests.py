"""January's publishing into groups, and reading and deleting of groups and interactions."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

from reflexio_async.sandbox.http.responses import Response, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.handlers.changed import deleted
from reflexio_async.sandbox.reflexio.handlers.interactions import matching_interactions, newest_interactions
from reflexio_async.sandbox.reflexio.schemas import legacy as schemas
from reflexio_async.sandbox.reflexio.schemas.interactions import (
    InteractionDataSchema,
    PublishUserInteractionRequestSchema,
)
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.rows import StoredInteraction, StoredRequest

_INTERACTION_FIELDS = {
    *("role", "content", "user_action", "user_action_description", "interacted_image_url"),
    *("image_encoding", "shadow_content"),
}

routes: Final = Router()


@routes.post("/api/publish_interaction", per_minute=60)
async def publish_interaction(
    state: ReflexioState, body: schemas.LegacyPublishUserInteractionRequestSchema
) -> Response:
    """Always store. A request without a group is a group of its own. The response has no request id."""
    request_id = str(uuid.uuid4())
    # Today's checks of a publish did not exist: model_construct skips them.
    publish = PublishUserInteractionRequestSchema.model_construct(
        user_id=body.user_id,
        session_id=body.request_group or request_id,
        request_id=request_id,
        interaction_data_list=[
            InteractionDataSchema.model_validate(given.model_dump(exclude_unset=True))
            for given in body.interaction_data_list
        ],
        source=body.source,
        agent_version=body.agent_version,
    )
    request = state.store.insert(publish)
    if request is not None:
        state.learner.admit(request)
    return succeeded(message="Interaction published successfully")


@routes.post("/api/get_requests")
async def get_requests(state: ReflexioState, body: schemas.LegacyGetRequestsRequestSchema) -> Response:
    """Requests by group, newest first."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for request in reversed(state.store.requests.values()):
        if (
            body.user_id in (None, "", request.user_id)
            and body.request_id in (None, "", request.request_id)
            and body.includes(request.created_at)
        ):
            groups.setdefault(request.session_id, []).append(_request(request))
    page = dict(list(groups.items())[: body.top_k])
    count = sum(map(len, page.values()))
    shown = [{"request_group": name, "requests": requests} for name, requests in page.items()]
    return succeeded(request_groups=shown, msg=f"Found {count} requests")


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
    return {"request": shown, "interactions": [_interaction(each) for each in request.interactions]}


def _interaction(interaction: StoredInteraction) -> dict[str, Any]:
    return {
        "interaction_id": interaction.interaction_id,
        "user_id": interaction.user_id,
        "request_id": interaction.request_id,
        "created_at": interaction.created_at,
        **interaction.given.model_dump(mode="json", include=_INTERACTION_FIELDS),
        "embedding": list[float](),
    }


@routes.delete("/api/delete_interaction")
async def delete_interaction(
    state: ReflexioState, body: schemas.LegacyDeleteUserInteractionRequestSchema
) -> Response:
    """Delete one."""
    state.store.delete_interaction(body.user_id, body.interaction_id)
    return deleted()


@routes.delete("/api/delete_request")
async def delete_request(state: ReflexioState, body: schemas.LegacyDeleteRequestRequestSchema) -> Response:
    """Delete one with its interactions."""
    request = state.store.requests.get(body.request_id)
    if request is not None:
        state.store.delete_requests([request])
    return deleted()


@routes.delete("/api/delete_request_group")
async def delete_request_group(
    state: ReflexioState, body: schemas.LegacyDeleteRequestGroupRequestSchema
) -> Response:
    """Delete the requests of a group."""
    count = state.store.delete_requests(state.store.session(body.request_group))
    return succeeded(message=f"Deleted {count} requests", deleted_requests_count=count)


@routes.post("/api/get_interactions")
async def get_interactions(
    state: ReflexioState, body: schemas.LegacyGetInteractionsRequestSchema
) -> Response:
    """One user's, newest first."""
    return _interactions(newest_interactions(state, body))


@routes.post("/api/search_interactions", per_minute=120)
async def search_interactions(
    state: ReflexioState, body: schemas.LegacySearchInteractionRequestSchema
) -> Response:
    """One user's. Without a query the most recent, if ``most_recent_k`` is given."""
    return _interactions(matching_interactions(state, body))


def _interactions(found: Sequence[StoredInteraction]) -> Response:
    views = [_interaction(each) for each in found]
    return succeeded(interactions=views, msg=f"Found {len(views)} interactions")
