"""Dashboard: the numbers of an organisation over time."""

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.models.dashboard import GetDashboardStatsRequest, GetDashboardStatsResponse

GET_DASHBOARD_STATS = Endpoint(
    "POST", "/api/get_dashboard_stats", GetDashboardStatsResponse, repeatable=True, per_minute=30
)


class DashboardAPI(API):
    """Calls about the dashboard."""

    @takes(GetDashboardStatsRequest)
    async def get_dashboard_stats(self, request: GetDashboardStatsRequest) -> GetDashboardStatsResponse:
        """How much was stored and how often sessions succeeded, in a span of time and in the one before."""
        return await self._send(GET_DASHBOARD_STATS, request)
