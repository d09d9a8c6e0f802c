"""The API of January 2026 on the paths that today's has too: ``client.legacy``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async._engine.cache import EVERYTHING
from reflexio_async._engine.routing.route import Route
from reflexio_async.legacy.models import (
    AllProfiles,
    GetRequestsRequest,
    GetRequestsResponse,
    GetUserProfilesResponse,
    PublishUserInteractionRequest,
    PublishUserInteractionResponse,
)
from reflexio_async.reflexio.api.interactions import InteractionsAPI
from reflexio_async.reflexio.api.operations import OperationsAPI
from reflexio_async.reflexio.api.profiles import ProfilesAPI

if TYPE_CHECKING:
    from reflexio_async._engine.engine import Engine


class LegacyAPI:
    """What servers of January 2026 answer in another shape than today's: request groups, not sessions.

    What only they have (feedbacks, ``delete_request_group``) is on the client itself.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """The parts of the client it belongs to."""
        return self._engine

    publish_interaction = Route(
        "POST",
        "/api/publish_interaction",
        PublishUserInteractionRequest,
        PublishUserInteractionResponse,
        per_minute=60,
        forgets=EVERYTHING,
    )
    """Store turns of a conversation. There is no insert-once id: a lost answer leaves the outcome unknown."""

    get_requests = Route(
        "POST", "/api/get_requests", GetRequestsRequest, GetRequestsResponse, repeatable=True
    )
    """Stored requests with their turns, by request group."""

    get_all_profiles = Route("GET", "/api/get_all_profiles", AllProfiles, GetUserProfilesResponse)
    """Profiles of every user."""

    rerun_profile_generation = ProfilesAPI.rerun_profile_generation.alias()
    """Regenerate profiles, as a Job; the client finds out by itself how the server answers."""

    get_operation_status = OperationsAPI.get_operation_status.alias()
    """The latest operation of one service; ``feedback_generation`` is one here."""

    delete_request = InteractionsAPI.delete_request.alias()
    """Delete one published request with its turns."""
