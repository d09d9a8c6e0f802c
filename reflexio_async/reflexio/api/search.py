"""Search in profiles and playbooks at once."""

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.models.search import UnifiedSearchRequest, UnifiedSearchViewResponse

SEARCH = Endpoint(
    "POST", "/api/search", UnifiedSearchViewResponse, repeatable=True, per_minute=120, memory="search_memory"
)


class SearchAPI(API):
    """The search in everything that was learned."""

    @takes(UnifiedSearchRequest)
    async def search(self, request: UnifiedSearchRequest) -> UnifiedSearchViewResponse:
        """Profiles, user playbooks and agent playbooks nearest in meaning to ``query``.

        ``top_k`` limits how many of each kind.

        With a ``session_id`` the server leaves out what this session was given before, and a failed search is
        not sent again: a second try would skip results.
        """
        return await self._send(SEARCH, request, repeatable=request.session_id is None)

    search_async = search
    """The same call as ``search``: the official client has both names."""
