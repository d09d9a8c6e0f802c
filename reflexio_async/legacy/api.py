"""The API of January 2026 on the paths that today's has too: ``client.legacy``."""

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
    """What servers of January 2026 answer in another shape than today's: request groups, not sessions.

    What only they have (feedbacks, ``delete_request_group``) is on the client itself.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @takes(PublishUserInteractionRequest)
    async def publish_interaction(
        self, request: PublishUserInteractionRequest
    ) -> PublishUserInteractionResponse:
        """Store turns of a conversation. There is no insert-once id: a lost answer leaves the outcome unknown."""
        return await self._send(PUBLISH_INTERACTION, request)

    @takes(GetRequestsRequest)
    async def get_requests(self, request: GetRequestsRequest) -> GetRequestsResponse:
        """Stored requests with their turns, by request group."""
        return await self._send(GET_REQUESTS, request)

    @takes(AllProfiles)
    async def get_all_profiles(self, request: AllProfiles) -> GetUserProfilesResponse:
        """Profiles of every user."""
        return await self._send(GET_ALL_PROFILES, request)

    @takes(RerunProfileGenerationStart, waiting=RerunProfileGenerationWait)
    async def rerun_profile_generation(
        self, request: RerunProfileGenerationRequest
    ) -> Job[RerunProfileGenerationResponse]:
        """Regenerate profiles, as a Job. The client recognises how the server answers."""
        return await self._start(RERUN_PROFILE_GENERATION, request, PROFILE_RERUN)

    @takes(ByService)
    async def get_operation_status(self, request: ByService) -> GetOperationStatusResponse:
        """The latest operation of one service; ``feedback_generation`` is one here."""
        return await self._send(GET_OPERATION_STATUS, request)

    @overload
    async def delete_request(
        self, request_id: str, wait_for_response: Literal[False] = False
    ) -> BackgroundCall[DeleteRequestResponse]: ...
    @overload
    async def delete_request(
        self, request_id: str, *, wait_for_response: Literal[True]
    ) -> DeleteRequestResponse: ...
    async def delete_request(
        self, request_id: str, wait_for_response: bool = False
    ) -> DeleteRequestResponse | BackgroundCall[DeleteRequestResponse]:
        """Delete one published request with its turns."""
        request = DeleteRequestRequest(request_id=request_id)
        return await self._in_background(DELETE_REQUEST, request, wait_for_response)
