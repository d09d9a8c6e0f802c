"""Search over profiles and playbooks at once."""

from __future__ import annotations

from reflexio_async._engine.routing.route import Route
from reflexio_async._engine.routing.vias import once_in_a_session
from reflexio_async.reflexio.models.search import UnifiedSearchRequest, UnifiedSearchViewResponse


class SearchAPI:
    """Unified search."""

    search = Route(
        "POST",
        "/api/search",
        UnifiedSearchRequest,
        UnifiedSearchViewResponse,
        repeatable=True,
        per_minute=120,
        via=once_in_a_session,
        resolves=True,
    )
    """Profiles, user playbooks and agent playbooks nearest in meaning to ``query``, some of each.

    With a ``session_id`` servers leave out what they gave this session before, so it is not sent again then.
    """

    search_async = search.alias()
    """``search``, by the official client's name."""
