"""The dashboard: totals and time series of the last days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from reflexio_async.sandbox.http.responses import Response, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.schemas.dashboard import GetDashboardStatsRequestSchema
from reflexio_async.sandbox.reflexio.state import ReflexioState

_DAY: Final = 24 * 3600
_DEFAULT_DAYS = 30

routes: Final = Router()


@routes.post("/api/get_dashboard_stats", per_minute=30)
async def get_dashboard_stats(state: ReflexioState, body: GetDashboardStatsRequestSchema) -> Response:
    """The last days, and as many days before them."""
    store = state.store
    now, length = store.now, (body.days_back or _DEFAULT_DAYS) * _DAY
    interactions = [each.created_at for each in store.interactions()]
    profiles = [row.created_at for rows in store.profiles.values() for row in rows if row.status is None]
    playbooks = [row.created_at for row in store.playbooks.values()]
    playbooks += [row.created_at for row in store.agent_playbooks.values()]
    grades = [(row.created_at, row.success) for row in state.grader.grades]

    def period(includes: Callable[[int], bool]) -> dict[str, Any]:
        graded = [success for at, success in grades if includes(at)]
        return {
            "total_profiles": sum(map(includes, profiles)),
            "total_interactions": sum(map(includes, interactions)),
            "total_playbooks": sum(map(includes, playbooks)),
            "success_rate": 100.0 * sum(graded) / len(graded) if graded else 0.0,
        }

    def current(at: int) -> bool:
        return now - length <= at <= now

    shown = {
        "current_period": period(current),
        "previous_period": period(lambda at: now - 2 * length <= at < now - length),
        "interactions_time_series": _counts_by_day(filter(current, interactions)),
        "profiles_time_series": _counts_by_day(filter(current, profiles)),
        "playbooks_time_series": _counts_by_day(filter(current, playbooks)),
        "evaluations_time_series": _success_by_day([grade for grade in grades if current(grade[0])]),
    }
    return succeeded(stats=shown, msg="Retrieved dashboard stats successfully")


def _counts_by_day(times: Iterable[int]) -> list[dict[str, Any]]:
    days = Counter(at - at % _DAY for at in times)
    return [{"timestamp": day, "value": float(count)} for day, count in sorted(days.items())]


def _success_by_day(grades: Iterable[tuple[int, bool]]) -> list[dict[str, Any]]:
    counts: Counter[int] = Counter()
    successes: Counter[int] = Counter()
    for at, success in grades:
        counts[at - at % _DAY] += 1
        successes[at - at % _DAY] += success
    return [
        {"timestamp": day, "value": 100.0 * successes[day] / count, "count": count}
        for day, count in sorted(counts.items())
    ]
