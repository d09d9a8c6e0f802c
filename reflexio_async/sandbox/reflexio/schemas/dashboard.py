"""Schema of the dashboard."""

from __future__ import annotations

from pydantic import BaseModel

from reflexio_async.sandbox.reflexio.schemas.common import PositiveInt


class GetDashboardStatsRequestSchema(BaseModel):
    """Read totals and time series of the last days."""

    days_back: PositiveInt | None = 30
