"""Dashboard: the numbers of an organisation over time."""

from __future__ import annotations

from reflexio_async._engine.routing.route import Route
from reflexio_async.reflexio.models.dashboard import GetDashboardStatsRequest, GetDashboardStatsResponse


class DashboardAPI:
    """The numbers of an organisation."""

    get_dashboard_stats = Route(
        "POST",
        "/api/get_dashboard_stats",
        GetDashboardStatsRequest,
        GetDashboardStatsResponse,
        repeatable=True,
        per_minute=30,
    )
    """Profiles, interactions, playbooks and success of a span of time and the one before."""
