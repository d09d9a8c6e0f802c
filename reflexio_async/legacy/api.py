"""``client.legacy``: the calls whose paths today's servers have too, in the shapes of January 2026."""

from typing import Literal, overload

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API, Engine
from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.tasks import BackgroundCall
from reflexio_async._engine.wire import Endpoint
from reflexio_async.legacy.models import (
    AllProfiles,
    GetRequestsRequest,
    GetRequestsResponse,
    GetUserProfilesResponse,
    PublishUserInteractionRequest,
    PublishUserInteractionResponse,
)
from reflexio_async.reflexio.api.interactions import DELETE_REQUEST
from reflexio_async.reflexio.api.operations import GET_OPERATION_STATUS
from reflexio_async.reflexio.api.profiles import RERUN_PROFILE_GENERATION
from reflexio_async.reflexio.cached_paths import EVERYTHING
from reflexio_async.reflexio.jobs import PROFILE_RERUN
from reflexio_async.reflexio.models.interactions import DeleteRequestRequest, DeleteRequestResponse
from reflexio_async.reflexio.models.operations import (
    ByService,
    GetOperationStatusResponse,
    RerunProfileGenerationRequest,
    RerunProfileGenerationResponse,
    RerunProfileGenerationStart,
    RerunProfileGenerationWait,
)

PUBLISH_INTERACTION = Endpoint(
    "POST", "/api/publish_interaction", PublishUserInteractionResponse, per_minute=60, invalidates=EVERYTHING
)
GET_REQUESTS = Endpoint("POST", "/api/get_requests", GetRequestsResponse, repeatable=True)
GET_ALL_PROFILES = Endpoint("GET", "/api/get_all_profiles", GetUserProfilesResponse)


class LegacyAPI(API):
    """Calls to which January's servers respond in another shape than today's: request groups, not sessions.

    The calls that only January's servers have (feedbacks, ``delete_request_group``) are on the client itself.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @takes(PublishUserInteractionRequest)
    async def publish_interaction(
        self, request: PublishUserInteractionRequest
    ) -> PublishUserInteractionResponse:
        """Store turns of a conversation.

        January's servers store every publish that arrives. So it is not sent again after a lost response;
        the error then has ``outcome_unknown``.
        """
        return await self._send(PUBLISH_INTERACTION, request)

    @takes(GetRequestsRequest)
    async def get_requests(self, request: GetRequestsRequest) -> GetRequestsResponse:
        """Stored requests with their turns, by request group."""
        return await self._send(GET_REQUESTS, request)

    @takes(AllProfiles)
    async def get_all_profiles(self, request: AllProfiles) -> GetUserProfilesResponse:
        """Profiles of all users."""
        return await self._send(GET_ALL_PROFILES, request)

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
        """Delete one published request with its turns.

        Returns a BackgroundCall, or with ``wait_for_response`` the response.
        """
        request = DeleteRequestRequest(request_id=request_id)
        return await self._in_background(DELETE_REQUEST, request, wait_for_response)
