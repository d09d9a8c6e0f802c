"""Interactions: publishing them, reading them, deleting them."""

from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Any, Literal, cast, overload

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.models import Empty, ListOf, OrMapping, build_request, drop_none
from reflexio_async._engine.retry import is_away
from reflexio_async._engine.settings import Settings
from reflexio_async._engine.tasks import BackgroundCall
from reflexio_async._engine.wire import Endpoint, refusal_text
from reflexio_async.errors import (
    APIStatusError,
    NotFound,
    ReflexioError,
    RequestRefused,
    UnexpectedResponse,
)
from reflexio_async.reflexio.api.identity import GET_VERSION
from reflexio_async.reflexio.cached_paths import EVERYTHING
from reflexio_async.reflexio.models.enums import LearningStatus
from reflexio_async.reflexio.models.interactions import (
    DEFAULT_AGENT_VERSION,
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
    InteractionData,
    LearningStatusResponse,
    PublishUserInteractionRequest,
    PublishUserInteractionResponse,
    SearchInteractionRequest,
    SearchInteractionsViewResponse,
    SessionView,
)
from reflexio_async.reflexio.models.operations import BulkDeleteResponse
from reflexio_async.reflexio.publishing import (
    GET_REQUESTS,
    PUBLISH_INTERACTION,
    Publish,
    find_publish,
    is_stored,
    response_of_stored,
)
from reflexio_async.reflexio.server_knowledge import ServerKnowledge

# A server says so of a ``request_id`` that it has stored before (server-behaviour: Repeating a publish).
_ALREADY_STORED = "already exists"

GET_LEARNING_STATUS = Endpoint("GET", "/api/learning_status", LearningStatusResponse, per_minute=120)
SEARCH_INTERACTIONS = Endpoint(
    "POST", "/api/search_interactions", SearchInteractionsViewResponse, repeatable=True, per_minute=120
)
GET_INTERACTIONS = Endpoint("POST", "/api/get_interactions", GetInteractionsViewResponse, repeatable=True)
GET_ALL_INTERACTIONS = Endpoint(
    "GET", "/api/get_all_interactions", GetInteractionsViewResponse, per_minute=30
)
DELETE_INTERACTION = Endpoint("DELETE", "/api/delete_interaction", DeleteUserInteractionResponse)
DELETE_REQUEST = Endpoint("DELETE", "/api/delete_request", DeleteRequestResponse)
DELETE_REQUESTS_BY_IDS = Endpoint("DELETE", "/api/delete_requests_by_ids", BulkDeleteResponse)
DELETE_ALL_INTERACTIONS = Endpoint(
    "DELETE", "/api/delete_all_interactions", BulkDeleteResponse, per_minute=10, invalidates=EVERYTHING
)


def publish_fields(
    user_id: str,
    interactions: ListOf[OrMapping[InteractionData]],
    source: str,
    agent_version: str,
    session_id: str | None,
    skip_aggregation: bool,
    force_extraction: bool,
    evaluation_only: bool,
    override_learning_stall: bool,
    retrieval_experiment_id: str | None,
    retrieval_experiment_arm: Literal["treatment", "holdout"] | None,
    session_finished: bool,
    *,
    request_id: str | None,
    wait_for_response: bool = False,
) -> dict[str, Any]:
    """The fields of a publish. Those with their default are left out, except ``agent_version``."""
    return drop_none(
        user_id=user_id,
        interactions=interactions,
        source=source or None,
        agent_version=agent_version,
        session_id=session_id,
        wait_for_response=wait_for_response or None,
        skip_aggregation=skip_aggregation or None,
        force_extraction=force_extraction or None,
        evaluation_only=evaluation_only or None,
        override_learning_stall=override_learning_stall or None,
        retrieval_experiment_id=retrieval_experiment_id,
        retrieval_experiment_arm=retrieval_experiment_arm,
        session_finished=session_finished or None,
        request_id=request_id,
    )


class InteractionDeletionAPI(API):
    """Deleting interactions: the same in January's API."""

    @overload
    async def delete_interaction(
        self, user_id: str, interaction_id: int, wait_for_response: Literal[False] = False
    ) -> BackgroundCall[DeleteUserInteractionResponse]: ...
    @overload
    async def delete_interaction(
        self, user_id: str, interaction_id: int, wait_for_response: Literal[True]
    ) -> DeleteUserInteractionResponse: ...
    async def delete_interaction(
        self, user_id: str, interaction_id: int, wait_for_response: bool = False
    ) -> DeleteUserInteractionResponse | BackgroundCall[DeleteUserInteractionResponse]:
        """Delete one interaction of one user. What was learned from it stays.

        Returns a BackgroundCall, or with ``wait_for_response`` the response.
        """
        request = DeleteUserInteractionRequest(user_id=user_id, interaction_id=interaction_id)
        return await self._in_background(DELETE_INTERACTION, request, wait_for_response)

    @overload
    async def delete_request(
        self, request_id: str, wait_for_response: Literal[False] = False
    ) -> BackgroundCall[DeleteRequestResponse]: ...
    @overload
    async def delete_request(
        self, request_id: str, wait_for_response: Literal[True]
    ) -> DeleteRequestResponse: ...
    async def delete_request(
        self, request_id: str, wait_for_response: bool = False
    ) -> DeleteRequestResponse | BackgroundCall[DeleteRequestResponse]:
        """Delete one published request with its interactions.

        Returns a BackgroundCall, or with ``wait_for_response`` the response.
        """
        request = DeleteRequestRequest(request_id=request_id)
        return await self._in_background(DELETE_REQUEST, request, wait_for_response)


class InteractionsAPI(InteractionDeletionAPI):
    """Calls about interactions and the requests that they were published in."""

    _server: ServerKnowledge

    async def publish_interaction(
        self,
        user_id: str,
        interactions: ListOf[OrMapping[InteractionData]],
        source: str = "",
        agent_version: str = DEFAULT_AGENT_VERSION,
        session_id: str | None = None,
        wait_for_response: bool = False,
        skip_aggregation: bool = False,
        force_extraction: bool = False,
        evaluation_only: bool = False,
        override_learning_stall: bool = False,
        retrieval_experiment_id: str | None = None,
        retrieval_experiment_arm: Literal["treatment", "holdout"] | None = None,
        session_finished: bool = False,
        *,
        request_id: str | None = None,
    ) -> PublishUserInteractionResponse:
        """Store interactions: turns of a conversation. The server then learns from them in the background.

        The client makes a ``request_id`` if none is given. After a lost response it asks the server for that
        id, and publishes again only if the server does not have it. So nothing is stored twice.

        Args:
            user_id: The user who talked to the agent.
            interactions: The turns: ``InteractionData`` models, or mappings with ``role`` and ``content``.
                Unknown keys are dropped, and reported in ``warnings`` of the response.
            source: Where the turns come from: lower case letters, digits and ``. _ : -``.
            agent_version: The agent's version. Playbooks are learned per version.
            session_id: The conversation that the turns belong to. Required.
            wait_for_response: Wait until the server has learned from the turns, or has deferred that. A
                response with ``accepted``, or one of which the original was lost, says nothing about it.
            skip_aggregation: Learn user playbooks, but do not aggregate them.
            force_extraction: Learn now, however few turns there are.
            evaluation_only: Store the turns for evaluation, and do not learn from them.
            override_learning_stall: Learn although learning has stopped (see ``get_stall_state``).
            retrieval_experiment_id: The experiment that the search reported.
            retrieval_experiment_arm: The arm that the search reported.
            session_finished: The session is over, so that learning need not wait for more turns.
            request_id: An id of your own for this publish. A server stores it only once.

        Returns:
            What was stored. If ``accepted`` is true, the server has only accepted it, and stores it later.

        Raises:
            InvalidRequest: An argument has an unusable value; nothing was sent.
            RequestRefused: The server refused it, for example because your ``request_id`` exists already.
            APIConnectionError: No response came; ``outcome_unknown`` says whether it may be stored.
        """
        fields = publish_fields(
            user_id,
            interactions,
            source,
            agent_version,
            session_id,
            skip_aggregation,
            force_extraction,
            evaluation_only,
            override_learning_stall,
            retrieval_experiment_id,
            retrieval_experiment_arm,
            session_finished,
            request_id=request_id,
            wait_for_response=wait_for_response,
        )
        request = build_request(PublishUserInteractionRequest, fields, "publish_interaction")
        return await self._deliver_publish(Publish.of(request))

    publish_interaction_async = publish_interaction
    """The same call as ``publish_interaction``: the official client has both names."""

    async def _deliver_publish(self, publish: Publish, **options: Any) -> PublishUserInteractionResponse:
        """Publish, and store the interactions only once; raise an error where that cannot be known.

        After a lost response the server is asked for the ``request_id``. The publish is sent again only if
        the server does not have it. January's servers have no ids: there it is never sent again.

        Args:
            publish: What to publish.
            options: Those of ``Caller.send``.
        """
        try:
            receipt = await self._publish(publish, **options)
        except ReflexioError as error:
            for warning in publish.warnings:
                error.add_note(warning)
            raise
        if publish.warnings:
            receipt.warnings += publish.warnings
        return receipt

    async def _publish(self, publish: Publish, **options: Any) -> PublishUserInteractionResponse:
        server = self._server
        if options.get("limit_wait") is None:
            options["deadline"] = self._deadline()  # of all exchanges together
        try:
            receipt = await self._send(
                PUBLISH_INTERACTION,
                publish.encoded,
                settings=self._strict_settings(),
                # One try then has a limit of its own. A publish that waits for learning takes longer.
                repeatable=bool(server.knows_request_ids) and not publish.waits_for_learning,
                resolve=partial(self._find_publish, publish),
                sent_before=publish.may_be_stored,
                **options,
            )
        except RequestRefused as refusal:
            if await self._refused_as_stored(publish, refusal, options.get("deadline")):
                return response_of_stored(publish)
            if self._engine.settings.raise_on_refusal:
                raise
            return cast("PublishUserInteractionResponse", refusal.response)
        if receipt.request_id is not None:
            server.knows_request_ids = True
        elif receipt.accepted:
            receipt.request_id = publish.request_id
        return receipt

    def _strict_settings(self) -> Settings:
        """The settings with which a refusal is an error."""
        settings = self._engine.settings
        return settings if settings.raise_on_refusal else settings.with_options(raise_on_refusal=True)

    async def _find_publish(
        self, publish: Publish, deadline: float, just_lost: bool
    ) -> PublishUserInteractionResponse | None:
        """The response for a publish that the server has; None if it may be sent again.

        Raises:
            NotFound: This is one of January's servers, which know no ids.
            ReflexioError: The server is away.
        """
        if not await self._knows_request_ids(deadline):
            message = "this server has no ids by which a publish could be found; it is not sent again"
            raise NotFound(
                message,
                status=404,
                method=GET_VERSION.method,
                path=GET_VERSION.path,
                outcome_unknown=True,
                from_api=True,
            )
        send = partial(self._send, settings=self._strict_settings())
        clock = self._engine.caller.clock
        try:
            if just_lost:
                found = await find_publish(send, publish, clock=clock, deadline=deadline)
            else:
                found = await is_stored(send, publish, deadline=deadline)
        except (APIStatusError, RequestRefused, UnexpectedResponse) as error:
            if is_away(error):
                raise
            found = False  # this server does not say, but it stores the same id only once
        return response_of_stored(publish) if found else None

    async def _refused_as_stored(
        self, publish: Publish, refusal: RequestRefused, deadline: float | None
    ) -> bool:
        """Whether a publish was refused because an earlier try has stored it."""
        is_ours = publish.id_is_ours
        if _ALREADY_STORED not in refusal_text(refusal.response) or not (is_ours or refusal.repeated):
            return False
        send = partial(self._send, settings=self._strict_settings())
        try:
            return is_ours or await is_stored(send, publish, deadline=deadline)
        except ReflexioError:
            raise refusal from None  # it could not be checked: ``repeated`` says that it may be stored

    async def _knows_request_ids(self, deadline: float) -> bool:
        """Whether this server knows publishes by their ``request_id``: the servers that have a version do."""
        if self._server.knows_request_ids is None:
            try:
                await self._send(GET_VERSION, Empty(), deadline=deadline)
            except NotFound:
                self._server.knows_request_ids = False
            else:
                self._server.knows_request_ids = True
        return self._server.knows_request_ids

    async def get_learning_status(self, request_id: str) -> LearningStatus | str:
        """The state of learning from one request: pending, processing, done, failed or not_tracked."""
        request = ByRequest(request_id=request_id)
        response = await self._send(GET_LEARNING_STATUS, request)
        return response.status

    @takes(GetRequestsRequest)
    async def get_requests(self, request: GetRequestsRequest) -> GetRequestsViewResponse:
        """Stored requests with their interactions, by session."""
        return await self._send(GET_REQUESTS, request)

    @takes(SearchInteractionRequest)
    async def search_interactions(self, request: SearchInteractionRequest) -> SearchInteractionsViewResponse:
        """Interactions of one user that match ``query``. Only ``most_recent_k`` limits how many."""
        return await self._send(SEARCH_INTERACTIONS, request)

    @takes(GetInteractionsRequest)
    async def get_interactions(self, request: GetInteractionsRequest) -> GetInteractionsViewResponse:
        """Interactions of one user, newest first."""
        return await self._send(GET_INTERACTIONS, request)

    async def get_all_interactions(self, limit: int = 100) -> GetInteractionsViewResponse:
        """Interactions of all users, newest first.

        Args:
            limit: The most interactions to return; -1: all of them.
        """
        request = AllInteractions(limit=limit)
        return await self._send(GET_ALL_INTERACTIONS, request)

    async def delete_requests_by_ids(self, request_ids: ListOf[str]) -> BulkDeleteResponse:
        """Delete published requests with their interactions."""
        request = DeleteRequestsByIdsRequest(request_ids=request_ids)
        return await self._send(DELETE_REQUESTS_BY_IDS, request)

    async def delete_all_interactions(self) -> BulkDeleteResponse:
        """Delete every request and interaction of the organisation."""
        return await self._send(DELETE_ALL_INTERACTIONS, Empty())

    def iter_requests(
        self,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        source: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[SessionView]:
        """``async for session in client.iter_requests(…)``: the sessions that ``get_requests`` finds.

        Pages are fetched during the iteration. Each session is returned once, with the requests that it had
        when its page was fetched.

        Args:
            user_id: Only sessions of this user.
            session_id: Only this session.
            source: Only requests from this source.
            start_time: Only requests since then; naive means UTC.
            end_time: Only requests until then; naive means UTC.
            page_size: How many sessions are fetched at a time.

        Raises:
            InvalidRequest: A filter or ``page_size`` has an unusable value.
        """
        fields = {
            "user_id": user_id,
            "session_id": session_id,
            "source": source,
            "start_time": start_time,
            "end_time": end_time,
            "top_k": page_size,
        }
        return self._sessions(build_request(GetRequestsRequest, drop_none(fields), "iter_requests"))

    async def _sessions(self, request: GetRequestsRequest) -> AsyncIterator[SessionView]:
        offset, more = 0, True
        seen: set[str] = set()
        while more:
            page = await self._send(GET_REQUESTS, request.model_copy(update={"offset": offset}))
            # ``has_more`` is true on a full last page, too (server-behaviour: Page sizes).
            more = page.has_more and bool(page.sessions)
            offset += len(page.sessions)
            for session in page.sessions:
                # Publishes during the iteration move sessions on to later pages.
                if session.session_id not in seen:
                    seen.add(session.session_id)
                    yield session
