"""Sessions: saying that one is over, how it ended, and deleting one."""

from __future__ import annotations

from reflexio_async._engine.cache import EVERYTHING
from reflexio_async._engine.routing.background_route import BackgroundRoute
from reflexio_async._engine.routing.route import Route
from reflexio_async.reflexio.models.sessions import (
    DeleteSessionRequest,
    DeleteSessionResponse,
    FinalizeSessionRequest,
    FinalizeSessionResponse,
    GetSessionOutcomesRequest,
    GetSessionOutcomesResponse,
    SetSessionOutcomeRequest,
    SetSessionOutcomeResponse,
    delete_session,
    delete_session_waiting,
    finalize_session,
)


class SessionsAPI:
    """Sessions of users."""

    finalize_session = Route(
        "POST",
        "/api/finalize_session",
        finalize_session,
        FinalizeSessionResponse,
        model=FinalizeSessionRequest,
        repeatable=True,
        per_minute=60,
        forgets=EVERYTHING,
    )
    """Say that a session is over, so that learning from it need not wait.

    ``accepted`` is False for a session that the server does not know.
    """

    finalize_session_async = finalize_session.alias()
    """``finalize_session``, by the official client's name."""

    mark_session_outcome = Route(
        "POST",
        "/api/session_outcome",
        SetSessionOutcomeRequest,
        SetSessionOutcomeResponse,
        repeatable=True,
        refusal="return",
        per_minute=60,
    )
    """Record how a session ended, once: the same again changes nothing, another one is refused.

    ``success`` and ``reason`` say what became of it.
    """

    get_session_outcomes = Route(
        "POST",
        "/api/get_session_outcomes",
        GetSessionOutcomesRequest,
        GetSessionOutcomesResponse,
        repeatable=True,
        per_minute=60,
    )
    """Outcomes recorded, newest first."""

    delete_session = BackgroundRoute(
        "DELETE",
        "/api/delete_session",
        DeleteSessionRequest,
        DeleteSessionResponse,
        start=delete_session,
        wait=delete_session_waiting,
        repeatable=True,
    )
    """Delete a session with its requests and turns."""
