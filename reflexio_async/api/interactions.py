"""Publishing interactions, and what becomes of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from reflexio_async.core import wire
from reflexio_async.core.wire import Answer, Endpoint, model, picked
from reflexio_async.errors import NotFound, RequestRefused
from reflexio_async.models.base import Empty
from reflexio_async.models.identity import ServerVersion
from reflexio_async.models.interactions import (
    ByRequest,
    GetRequestsRequest,
    GetRequestsViewResponse,
    LearningStatusResponse,
    PublishUserInteractionRequest,
    PublishUserInteractionResponse,
    by_request,
)
from reflexio_async.routing.route import Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reflexio_async.models.interactions import InteractionData
    from reflexio_async.routing.runtime import Runtime

_ALREADY = "already exists"
_VERSION = Endpoint("GET", "/meta/version", repeatable=True, public=True)


async def publish_once(
    runtime: Runtime,
    endpoint: Endpoint,
    request: PublishUserInteractionRequest,
    answer: Answer[PublishUserInteractionResponse],
    *,
    patience: float | None = None,
) -> PublishUserInteractionResponse:
    """Publish so that the interactions are stored once, or the caller learns that it is not known.

    Servers insert a ``request_id`` once; January servers know no such id, so nothing is sent again to a
    server that has not shown that it does.
    """
    ours = request.request_id is None
    if ours:
        request = request.model_copy(update={"request_id": uuid4().hex})
    settings = runtime.settings.with_options(raise_on_refusal=True)
    try:
        receipt = await runtime.pipeline.call(
            endpoint,
            request,
            answer,
            settings,
            patience=patience,
            repeatable=runtime.knowledge.insert_once or partial(_inserts_once, runtime),
        )
    except RequestRefused as refusal:
        already = refusal.repeated and _ALREADY in wire.refusal_text(refusal.response)
        if already and (ours or await _stored_as(runtime, request)):
            return PublishUserInteractionResponse(
                success=True,
                message="Stored by an earlier try of this call, whose answer was lost",
                request_id=request.request_id,
            )
        if runtime.settings.raise_on_refusal:
            raise
        return cast("PublishUserInteractionResponse", refusal.response)
    if receipt.request_id is not None:
        runtime.knowledge.insert_once = True
    return receipt


async def _inserts_once(runtime: Runtime, seconds: float) -> bool:
    """Whether this server knows request ids: those that tell their version do."""
    if runtime.knowledge.insert_once is None:
        settings = runtime.settings.with_options(timeout=seconds)
        try:
            await runtime.pipeline.call(_VERSION, Empty(), model(ServerVersion), settings)
        except NotFound:
            runtime.knowledge.insert_once = False
        else:
            runtime.knowledge.insert_once = True
    return runtime.knowledge.insert_once


async def _stored_as(runtime: Runtime, request: PublishUserInteractionRequest) -> bool:
    """Whether what is stored under the caller's own id is this request, not an earlier one."""
    row = InteractionsAPI.get_requests
    found = await row.send(runtime, GetRequestsRequest(request_id=request.request_id))
    told = [(turn.role, turn.content) for turn in _as_models(request.interactions)]
    return any(
        stored.request.request_id == request.request_id
        and stored.request.user_id == request.user_id.strip()
        and session.session_id == request.session_id.strip()
        # The server drops turns that say nothing.
        and {(turn.role, turn.content) for turn in stored.interactions} <= set(told)
        for session in found.sessions
        for stored in session.requests
    )


def _as_models(turns: Iterable[InteractionData | Mapping[str, Any]]) -> Iterable[InteractionData]:
    # Validation has made models of them all; the mapping is there for those who write them.
    return cast("Iterable[InteractionData]", turns)


class InteractionsAPI:
    """Interactions, the requests they arrive in, and the learning that follows."""

    publish_interaction = Route(
        "POST",
        "/api/publish_interaction",
        PublishUserInteractionRequest,
        PublishUserInteractionResponse,
        per_minute=60,
        via=publish_once,
        resolves=True,
    )
    """Store turns of a conversation; learning follows in the background (see ``learning``).

    A ``request_id`` is made when you give none, so that a try whose answer was lost can be repeated
    without storing anything twice. Raises RequestRefused when your own ``request_id`` already exists.
    """

    get_learning_status = Route(
        "GET",
        "/api/learning_status",
        by_request,
        picked(LearningStatusResponse, lambda answer: answer.status),
        model=ByRequest,
        per_minute=120,
    )
    """How far learning from one published request is: pending, processing, done, failed or not_tracked."""

    get_requests = Route(
        "POST",
        "/api/get_requests",
        GetRequestsRequest,
        GetRequestsViewResponse,
        repeatable=True,
    )
    """Stored requests with their turns, by session."""
