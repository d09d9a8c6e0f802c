"""Dashboard: the numbers of an organisation over time."""

from reflexio_async._engine.models import AtLeastOne, RequestModel, ResponseModel
from reflexio_async.reflexio.responses import MsgResponse


class GetDashboardStatsRequest(RequestModel):
    """The days to count in."""

    days_back: AtLeastOne | None = 30


class PeriodStats(ResponseModel):
    """The numbers of one span of time."""

    total_profiles: int
    total_interactions: int
    total_playbooks: int
    success_rate: float


class TimeSeriesDataPoint(ResponseModel):
    """One point of a time series. ``timestamp`` is in epoch seconds."""

    timestamp: int
    value: float
    count: int | None = None


class DashboardStats(ResponseModel):
    """The numbers of this span of time and of the one before it, and their time series."""

    current_period: PeriodStats
    previous_period: PeriodStats
    interactions_time_series: list[TimeSeriesDataPoint]
    profiles_time_series: list[TimeSeriesDataPoint]
    playbooks_time_series: list[TimeSeriesDataPoint]
    evaluations_time_series: list[TimeSeriesDataPoint]


class GetDashboardStatsResponse(MsgResponse):
    """The numbers of a dashboard."""

    stats: DashboardStats | None = None
