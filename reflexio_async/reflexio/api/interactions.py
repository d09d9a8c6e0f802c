"""Publishing interactions, and what becomes of them."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast
from uuid import uuid4

from reflexio_async._engine import wire
from reflexio_async._engine.cache import EVERYTHING
from reflexio_async._engine.models import Empty, given
from reflexio_async._engine.routing.background_route import BackgroundRoute
from reflexio_async._engine.routing.route import Route
from reflexio_async._engine.wire import Answer, Endpoint, build_request, model, picked
from reflexio_async.errors import NotFound, ReflexioError, RequestRefused
from reflexio_async.reflexio.models.identity import ServerVersion
from reflexio_async.reflexio.models.interactions import (
    AllInteractions,
    ByRequest,
    DeleteRequestRequest,
    DeleteRequestResponse,
    DeleteRequestsByIdsRequest,
    DeleteUserInteractionRequest,
    DeleteUserInteractionResponse,
    GetInteractionsRequest,
    GetInteractionsViewResponse,
    GetRequestsRequest,
    GetRequestsViewResponse,
    LearningStatusResponse,
    PublishUserInteractionRequest,
    PublishUserInteractionResponse,
    SearchInteractionRequest,
    SearchInteractionsViewResponse,
    all_interactions,
    by_request,
    delete_interaction,
    delete_interaction_waiting,
    delete_request,
    delete_request_waiting,
    delete_requests_by_ids,
)
from reflexio_async.reflexio.models.operations import BulkDeleteResponse

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from reflexio_async._engine.engine import Engine, HasEngine
    from reflexio_async.reflexio.models.interactions import InteractionData, SessionView

_ALREADY = "already exists"
_VERSION = Endpoint("GET", "/meta/version", repeatable=True, public=True)


async def publish_once(
    engine: Engine,
    endpoint: Endpoint,
    request: PublishUserInteractionRequest,
    answer: Answer[PublishUserInteractionResponse],
    *,
    limit_wait: float | None = None,
    withdrawn: asyncio.Event | None = None,
    on_attempt: Callable[[], None] | None = None,
    made: bool = False,
    again: bool = False,
) -> PublishUserInteractionResponse:
    """Publish so that the interactions are stored once, or the caller learns that it is not known.

    Servers insert a ``request_id`` once; January servers know no such id, so nothing is sent again to a
    server that has not shown that it does. ``made``: its ``request_id`` was made here, not by the caller.
    ``again``: it may have been stored by an earlier call.
    """
    ours = made or request.request_id is None
    if request.request_id is None:
        request = request.model_copy(update={"request_id": uuid4().hex})
    settings = engine.settings
    if not settings.raise_on_refusal:
        settings = settings.with_options(raise_on_refusal=True)
    try:
        receipt = await engine.caller.call(
            endpoint,
            request,
            answer,
            settings,
            limit_wait=limit_wait,
            withdrawn=withdrawn,
            on_attempt=on_attempt,
            repeatable=engine.knowledge.insert_once or partial(_inserts_once, engine),
        )
    except RequestRefused as refusal:
        refusal.repeated = refusal.repeated or again
        already = refusal.repeated and _ALREADY in wire.refusal_text(refusal.response)
        try:
            stored = already and (ours or await _stored_as(engine, request))
        except ReflexioError:
            raise refusal from None  # that could not be checked: ``repeated`` says that it may be stored
        if stored:
            return PublishUserInteractionResponse(
                success=True,
                message="Stored by an earlier try of this call, whose answer was lost",
                request_id=request.request_id,
            )
        if engine.settings.raise_on_refusal:
            raise
        return cast("PublishUserInteractionResponse", refusal.response)
    if receipt.request_id is not None:
        engine.knowledge.insert_once = True
    return receipt


async def _inserts_once(engine: Engine, seconds: float) -> bool:
    """Whether this server knows request ids: those that tell their version do."""
    if engine.knowledge.insert_once is None:
        settings = engine.settings.with_options(timeout=seconds)
        try:
            await engine.caller.call(_VERSION, Empty(), model(ServerVersion), settings)
        except NotFound:
            engine.knowledge.insert_once = False
        else:
            engine.knowledge.insert_once = True
    return engine.knowledge.insert_once


async def _stored_as(engine: Engine, request: PublishUserInteractionRequest) -> bool:
    """Whether what is stored under the caller's own id is this request, not an earlier one."""
    row = InteractionsAPI.get_requests
    found = await row.send(engine, GetRequestsRequest(request_id=request.request_id))
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
        forgets=EVERYTHING,
        via=publish_once,
        resolves=True,
    )
    """Store turns of a conversation; learning follows in the background (see ``learning``).

    A ``request_id`` is made when you give none, so that a try whose answer was lost can be repeated
    without storing anything twice. Raises RequestRefused when your own ``request_id`` already exists.
    """

    publish_interaction_async = publish_interaction.alias()
    """``publish_interaction``, by the official client's name."""

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

    search_interactions = Route(
        "POST",
        "/api/search_interactions",
        SearchInteractionRequest,
        SearchInteractionsViewResponse,
        repeatable=True,
        per_minute=120,
    )
    """Turns of one user that match ``query``; only ``most_recent_k`` limits how many."""

    get_interactions = Route(
        "POST",
        "/api/get_interactions",
        GetInteractionsRequest,
        GetInteractionsViewResponse,
        repeatable=True,
    )
    """Turns of one user, newest first."""

    get_all_interactions = Route(
        "GET",
        "/api/get_all_interactions",
        all_interactions,
        GetInteractionsViewResponse,
        model=AllInteractions,
        per_minute=30,
    )
    """Turns of every user, newest first."""

    delete_interaction = BackgroundRoute(
        "DELETE",
        "/api/delete_interaction",
        DeleteUserInteractionRequest,
        DeleteUserInteractionResponse,
        start=delete_interaction,
        wait=delete_interaction_waiting,
        repeatable=True,
    )
    """Delete one turn of one user; learning from it is kept."""

    delete_request = BackgroundRoute(
        "DELETE",
        "/api/delete_request",
        DeleteRequestRequest,
        DeleteRequestResponse,
        start=delete_request,
        wait=delete_request_waiting,
        repeatable=True,
    )
    """Delete one published request with its turns."""

    delete_requests_by_ids = Route(
        "DELETE",
        "/api/delete_requests_by_ids",
        delete_requests_by_ids,
        BulkDeleteResponse,
        model=DeleteRequestsByIdsRequest,
        repeatable=True,
    )
    """Delete published requests with their turns."""

    delete_all_interactions = Route(
        "DELETE",
        "/api/delete_all_interactions",
        Empty,
        BulkDeleteResponse,
        repeatable=True,
        per_minute=10,
        forgets=EVERYTHING,
    )
    """Delete every request and turn of the organisation."""

    def iter_requests(
        self: HasEngine,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        source: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        page_size: int = 100,
    ) -> SessionPages:
        """``async for session in …``: every session that ``get_requests`` finds, page after page.

        Each is given once, with the requests it had when its page was read.

        Raises:
            InvalidRequest: A filter or ``page_size`` is unusable.
        """
        fields = {
            "user_id": user_id,
            "session_id": session_id,
            "source": source,
            "start_time": start_time,
            "end_time": end_time,
            "top_k": page_size,
        }
        request = build_request(GetRequestsRequest, given(fields), "iter_requests")
        return SessionPages(self.engine, request)


class SessionPages:
    """Sessions, fetched a page at a time while they are asked for."""

    def __init__(self, engine: Engine, request: GetRequestsRequest) -> None:
        self._engine = engine
        self._request = request
        self._offset = 0
        self._more = True
        self._page: deque[SessionView] = deque()
        self._seen: set[str] = set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionView:
        while not self._page:
            if not self._more:
                raise StopAsyncIteration
            await self._fetch()
        return self._page.popleft()

    async def _fetch(self) -> None:
        request = self._request.model_copy(update={"offset": self._offset})
        answer = await InteractionsAPI.get_requests.send(self._engine, request)
        found = len(answer.sessions)
        # A full last page says has_more, too (fact): only an empty one, or one that says no, is the end.
        self._more = answer.has_more and found > 0
        self._offset += found
        # What was published meanwhile has pushed some over to this page.
        self._page.extend(session for session in answer.sessions if session.session_id not in self._seen)
        self._seen.update(session.session_id for session in answer.sessions)
