"""Sessions: saying that one is over, recording how it ended, deleting one."""

from typing import Literal, overload

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.tasks import BackgroundCall
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.cached_paths import EVERYTHING
from reflexio_async.reflexio.models.sessions import (
    DeleteSessionRequest,
    DeleteSessionResponse,
    FinalizeSessionRequest,
    FinalizeSessionResponse,
    GetSessionOutcomesRequest,
    GetSessionOutcomesResponse,
    SetSessionOutcomeRequest,
    SetSessionOutcomeResponse,
)

FINALIZE_SESSION = Endpoint(
    "POST",
    "/api/finalize_session",
    FinalizeSessionResponse,
    repeatable=True,
    per_minute=60,
    invalidates=EVERYTHING,
)
MARK_SESSION_OUTCOME = Endpoint(
    "POST",
    "/api/session_outcome",
    SetSessionOutcomeResponse,
    repeatable=True,
    refusal="return",
    per_minute=60,
)
GET_SESSION_OUTCOMES = Endpoint(
    "POST", "/api/get_session_outcomes", GetSessionOutcomesResponse, repeatable=True, per_minute=60
)
DELETE_SESSION = Endpoint("DELETE", "/api/delete_session", DeleteSessionResponse)


class SessionsAPI(API):
    """Calls about sessions."""

    async def finalize_session(self, user_id: str, session_id: str) -> FinalizeSessionResponse:
        """Say that a session is over, so that learning from it need not wait for more turns.

        ``accepted`` is False when the server does not know the session.
        """
        request = FinalizeSessionRequest(user_id=user_id, session_id=session_id)
        return await self._send(FINALIZE_SESSION, request)

    finalize_session_async = finalize_session
    """The same call as ``finalize_session``: the official client has both names."""

    @takes(SetSessionOutcomeRequest)
    async def mark_session_outcome(self, request: SetSessionOutcomeRequest) -> SetSessionOutcomeResponse:
        """Record how a session ended. It can be recorded only once.

        The same outcome again changes nothing. With another outcome ``success`` is False, and ``reason`` says
        why.
        """
        return await self._send(MARK_SESSION_OUTCOME, request)

    @takes(GetSessionOutcomesRequest)
    async def get_session_outcomes(self, request: GetSessionOutcomesRequest) -> GetSessionOutcomesResponse:
        """The outcomes that were recorded, newest first."""
        return await self._send(GET_SESSION_OUTCOMES, request)

    @overload
    async def delete_session(
        self, session_id: str, wait_for_response: Literal[False] = False
    ) -> BackgroundCall[DeleteSessionResponse]: ...
    @overload
    async def delete_session(
        self, session_id: str, wait_for_response: Literal[True]
    ) -> DeleteSessionResponse: ...
    async def delete_session(
        self, session_id: str, wait_for_response: bool = False
    ) -> DeleteSessionResponse | BackgroundCall[DeleteSessionResponse]:
        """Delete a session with its requests and interactions.

        Returns a BackgroundCall, or with ``wait_for_response`` the response.
        """
        request = DeleteSessionRequest(session_id=session_id)
        return await self._in_background(DELETE_SESSION, request, wait_for_response)
