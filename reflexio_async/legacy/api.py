"""``client.legacy``: every call of January 2026's API, in its own shapes. Only ``login`` is on the client."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal, overload

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import Engine
from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.models import Empty, ListOf, OrMapping, drop_none
from reflexio_async._engine.tasks import BackgroundCall
from reflexio_async._engine.wire import Endpoint
from reflexio_async.legacy.config_models import Config
from reflexio_async.legacy.feedback import FeedbackAPI
from reflexio_async.legacy.models import (
    AllProfiles,
    DeleteRequestGroupRequest,
    DeleteRequestGroupResponse,
    GetAgentSuccessEvaluationResultsRequest,
    GetAgentSuccessEvaluationResultsResponse,
    GetInteractionsRequest,
    GetInteractionsResponse,
    GetRequestsRequest,
    GetRequestsResponse,
    GetUserProfilesRequest,
    GetUserProfilesResponse,
    InteractionData,
    ProfileChangeLogResponse,
    PublishUserInteractionRequest,
    PublishUserInteractionResponse,
    SearchInteractionRequest,
    SearchInteractionResponse,
    SearchUserProfileRequest,
    SearchUserProfileResponse,
)
from reflexio_async.reflexio.api.config import set_config_body
from reflexio_async.reflexio.api.interactions import InteractionDeletionAPI
from reflexio_async.reflexio.api.operations import GET_OPERATION_STATUS
from reflexio_async.reflexio.api.profiles import RERUN_PROFILE_GENERATION, ProfileDeletionAPI
from reflexio_async.reflexio.cached_paths import EVERYTHING, PROFILES_PATH
from reflexio_async.reflexio.jobs import PROFILE_RERUN
from reflexio_async.reflexio.models.config import ConfigBody, SetConfigResponse
from reflexio_async.reflexio.models.operations import (
    ByService,
    GetOperationStatusResponse,
    RerunProfileGenerationRequest,
    RerunProfileGenerationResponse,
    RerunProfileGenerationStart,
    RerunProfileGenerationWait,
)

PUBLISH_INTERACTION = Endpoint(
    "POST",
    "/api/publish_interaction",
    PublishUserInteractionResponse,
    per_minute=60,
    invalidates=EVERYTHING,
    memory="upsert_memory",
)
SEARCH_PROFILES = Endpoint(
    "POST",
    "/api/search_profiles",
    SearchUserProfileResponse,
    repeatable=True,
    per_minute=120,
    memory="search_memory",
)
GET_PROFILES = Endpoint(
    "POST", PROFILES_PATH, GetUserProfilesResponse, repeatable=True, memory="search_memory"
)
GET_ALL_PROFILES = Endpoint("GET", "/api/get_all_profiles", GetUserProfilesResponse, memory="search_memory")
GET_PROFILE_CHANGE_LOG = Endpoint("GET", "/api/profile_change_log", ProfileChangeLogResponse)
SEARCH_INTERACTIONS = Endpoint(
    "POST", "/api/search_interactions", SearchInteractionResponse, repeatable=True, per_minute=120
)
GET_INTERACTIONS = Endpoint("POST", "/api/get_interactions", GetInteractionsResponse, repeatable=True)
GET_REQUESTS = Endpoint("POST", "/api/get_requests", GetRequestsResponse, repeatable=True)
DELETE_REQUEST_GROUP = Endpoint(
    "DELETE", "/api/delete_request_group", DeleteRequestGroupResponse, successor="delete_session"
)
GET_AGENT_SUCCESS_EVALUATION_RESULTS = Endpoint(
    "POST",
    "/api/get_agent_success_evaluation_results",
    GetAgentSuccessEvaluationResultsResponse,
    repeatable=True,
)
GET_CONFIG = Endpoint("GET", "/api/get_config", Config)
SET_CONFIG = Endpoint("POST", "/api/set_config", SetConfigResponse, repeatable=True, writes=True)

_config_body = partial(set_config_body, config_class=Config, older_names={})


class LegacyAPI(FeedbackAPI, InteractionDeletionAPI, ProfileDeletionAPI):
    """Every call of the API of January 2026, with January's arguments and responses.

    Requests are grouped by ``request_group``, where today's API has sessions. Requests and responses import
    from ``reflexio_async.legacy``. ``login`` is on the client itself.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @overload
    async def publish_interaction(
        self,
        request_id: str | None,
        user_id: str,
        interactions: ListOf[OrMapping[InteractionData]],
        source: str = "",
        agent_version: str = "",
        request_group: str | None = None,
    ) -> PublishUserInteractionResponse: ...
    @overload
    async def publish_interaction(
        self,
        *,
        user_id: str,
        interactions: ListOf[OrMapping[InteractionData]],
        source: str = "",
        agent_version: str = "",
        request_group: str | None = None,
    ) -> PublishUserInteractionResponse: ...
    async def publish_interaction(
        self,
        request_id: str | None = None,
        user_id: str = "",
        interactions: ListOf[OrMapping[InteractionData]] = (),
        source: str = "",
        agent_version: str = "",
        request_group: str | None = None,
    ) -> PublishUserInteractionResponse:
        """Store turns of a conversation.

        January's servers store every publish that arrives. So it is not sent again after a lost response;
        the error then has ``outcome_unknown``.

        Args:
            request_id: An id of your own. Servers of January 2026 ignore it and make one; older ones took it.
            user_id: The user who talked to the agent. Required.
            interactions: The turns: ``InteractionData`` models, or mappings with ``role`` and ``content``.
                Required.
            source: Where the turns come from.
            agent_version: The agent's version. Feedback is learned per version.
            request_group: The group that the turns belong to. Without it they are a group of their own.

        Raises:
            InvalidRequest: An argument has an unusable value; nothing was sent.
            APIConnectionError: No response came; ``outcome_unknown`` says whether it may be stored.
        """
        request = PublishUserInteractionRequest(
            user_id=user_id,
            interactions=list(interactions) if isinstance(interactions, Iterator) else interactions,
            **drop_none(
                request_id=request_id,
                source=source or None,
                agent_version=agent_version or None,
                request_group=request_group,
            ),
        )
        return await self._send(PUBLISH_INTERACTION, request)

    @takes(SearchUserProfileRequest)
    async def search_profiles(self, request: SearchUserProfileRequest) -> SearchUserProfileResponse:
        """Profiles of one user, nearest in meaning to ``query``."""
        return await self._send(SEARCH_PROFILES, request)

    @takes(GetUserProfilesRequest)
    async def get_profiles(self, request: GetUserProfilesRequest) -> GetUserProfilesResponse:
        """The profiles of one user. The response is not cached."""
        return await self._send(GET_PROFILES, request)

    async def get_all_profiles(
        self, limit: int = 100, status_filter: Literal["current", "pending", "archived"] | None = None
    ) -> GetUserProfilesResponse:
        """Profiles of all users.

        Args:
            limit: The most profiles to return.
            status_filter: Only profiles of this status.
        """
        request = AllProfiles(limit=limit, **drop_none(status_filter=status_filter))
        return await self._send(GET_ALL_PROFILES, request)

    async def get_profile_change_log(self) -> ProfileChangeLogResponse:
        """What each published request changed in profiles."""
        return await self._send(GET_PROFILE_CHANGE_LOG, Empty())

    @takes(RerunProfileGenerationStart, waiting=RerunProfileGenerationWait)
    async def rerun_profile_generation(
        self, request: RerunProfileGenerationRequest
    ) -> Job[RerunProfileGenerationResponse]:
        """Learn profiles again, as a Job, as the client's own ``rerun_profile_generation`` does."""
        return await self._start(RERUN_PROFILE_GENERATION, request, PROFILE_RERUN)

    @takes(ByService)
    async def get_operation_status(self, request: ByService) -> GetOperationStatusResponse:
        """The latest operation of one service. January's servers also have ``feedback_generation``."""
        return await self._send(GET_OPERATION_STATUS, request)

    @takes(SearchInteractionRequest)
    async def search_interactions(self, request: SearchInteractionRequest) -> SearchInteractionResponse:
        """Turns of one user that match ``query``."""
        return await self._send(SEARCH_INTERACTIONS, request)

    @takes(GetInteractionsRequest)
    async def get_interactions(self, request: GetInteractionsRequest) -> GetInteractionsResponse:
        """The turns of one user."""
        return await self._send(GET_INTERACTIONS, request)

    @takes(GetRequestsRequest)
    async def get_requests(self, request: GetRequestsRequest) -> GetRequestsResponse:
        """Stored requests with their turns, by request group."""
        return await self._send(GET_REQUESTS, request)

    @overload
    async def delete_request_group(
        self, request_group: str, wait_for_response: Literal[False] = False
    ) -> BackgroundCall[DeleteRequestGroupResponse]: ...
    @overload
    async def delete_request_group(
        self, request_group: str, wait_for_response: Literal[True]
    ) -> DeleteRequestGroupResponse: ...
    async def delete_request_group(
        self, request_group: str, wait_for_response: bool = False
    ) -> DeleteRequestGroupResponse | BackgroundCall[DeleteRequestGroupResponse]:
        """Delete the requests of one group with their turns.

        Returns a BackgroundCall, or with ``wait_for_response`` the response. Today: delete_session.
        """
        request = DeleteRequestGroupRequest(request_group=request_group)
        return await self._in_background(DELETE_REQUEST_GROUP, request, wait_for_response)

    @takes(GetAgentSuccessEvaluationResultsRequest)
    async def get_agent_success_evaluation_results(
        self, request: GetAgentSuccessEvaluationResultsRequest
    ) -> GetAgentSuccessEvaluationResultsResponse:
        """Judgements of whether the agent succeeded in its requests."""
        return await self._send(GET_AGENT_SUCCESS_EVALUATION_RESULTS, request)

    async def get_config(self) -> Config:
        """The configuration. Change it by attribute, and send it back with ``set_config``."""
        return await self._send(GET_CONFIG, Empty())

    async def _storage_config(self, deadline: float) -> Any:
        """The part ``storage_config`` of the present configuration. ``deadline``: that of the whole call."""
        present = await self._send(GET_CONFIG, Empty(), deadline=deadline)
        return present.to_wire().get("storage_config")

    async def set_config(self, config: Config | Mapping[str, Any]) -> dict[str, Any]:
        """Replace the configuration. What ``config`` leaves out gets the server's default.

        The server requires ``storage_config``. When it is left out, the present one is read and sent.

        Args:
            config: A ``Config`` of ``reflexio_async.legacy``, as ``get_config`` returns it, or a mapping.

        Raises:
            InvalidRequest: A part is unknown or has an unusable value, or a mask (``**********``) stands in
                place of a credential; the message names it. Nothing was sent.
        """
        body = _config_body(config)
        deadline = self._deadline()
        if "storage_config" not in body:
            body["storage_config"] = await self._storage_config(deadline)
        return (await self._send(SET_CONFIG, ConfigBody(**body), deadline=deadline)).model_dump()
