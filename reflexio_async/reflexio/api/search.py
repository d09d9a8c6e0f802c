"""Search over profiles and playbooks at once."""

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.models.search import UnifiedSearchRequest, UnifiedSearchViewResponse

SEARCH = Endpoint("POST", "/api/search", UnifiedSearchViewResponse, repeatable=True, per_minute=120)


class SearchAPI(API):
    """Unified search."""

    @takes(UnifiedSearchRequest)
    async def search(self, request: UnifiedSearchRequest) -> UnifiedSearchViewResponse:
        """Profiles, user playbooks and agent playbooks nearest in meaning to ``query``, some of each.

        With a ``session_id`` servers leave out what they gave this session before, so it is not sent again then.
        """
        return await self._send(SEARCH, request, repeatable=request.session_id is None)

    search_async = search
