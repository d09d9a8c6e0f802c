"""Numbers for people: totals and series of the last days, and how often learnings were cited."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from reflexio_async.sandbox.http.responses import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.reading import GetApplicationStats, GetDashboard
    from reflexio_async.sandbox.reflexio.state import World

_DAY: Final = 24 * 3600
_DEFAULT_DAYS = 30


async def stats(world: World, _call: Call, body: GetDashboard) -> Reply:
    """These days, and as many before them."""
    store, grader = world.store, world.grader
    now, length = store.now, (body.days_back or _DEFAULT_DAYS) * _DAY
    turns = [turn.created_at for turn in store.turns()]
    profiles = [row.created_at for rows in store.profiles.values() for row in rows if row.status is None]
    playbooks = [row.created_at for row in store.playbooks.values()]
    playbooks += [row.created_at for row in store.agent_playbooks.values()]
    grades = [(row.created_at, row.success) for row in grader.verdicts]

    def period(within: Callable[[int], bool]) -> dict[str, Any]:
        graded = [success for at, success in grades if within(at)]
        return {
            "total_profiles": sum(map(within, profiles)),
            "total_interactions": sum(map(within, turns)),
            "total_playbooks": sum(map(within, playbooks)),
            "success_rate": 100.0 * sum(graded) / len(graded) if graded else 0.0,
        }

    def recent(at: int) -> bool:
        return now - length <= at <= now

    shown = {
        "current_period": period(recent),
        "previous_period": period(lambda at: now - 2 * length <= at < now - length),
        "interactions_time_series": _series(filter(recent, turns)),
        "profiles_time_series": _series(filter(recent, profiles)),
        "playbooks_time_series": _series(filter(recent, playbooks)),
        "evaluations_time_series": _rates([grade for grade in grades if recent(grade[0])]),
    }
    return Reply({"success": True, "stats": shown, "msg": "Retrieved dashboard stats successfully"})


def _series(times: Iterable[int]) -> list[dict[str, Any]]:
    days = Counter(at - at % _DAY for at in times)
    return [{"timestamp": day, "value": float(count)} for day, count in sorted(days.items())]


def _rates(grades: Iterable[tuple[int, bool]]) -> list[dict[str, Any]]:
    given: Counter[int] = Counter()
    good: Counter[int] = Counter()
    for at, success in grades:
        given[at - at % _DAY] += 1
        good[at - at % _DAY] += success
    return [
        {"timestamp": day, "value": 100.0 * good[day] / count, "count": count}
        for day, count in sorted(given.items())
    ]


async def application_stats(world: World, _call: Call, body: GetApplicationStats) -> Reply:
    """Each learning that was cited, the most cited first."""
    since = world.store.now - body.days_back * _DAY
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for turn in world.store.turns():
        if turn.created_at < since:
            continue
        # A turn that cites a learning twice applied it once.
        for key, title in {
            (cited.kind.value, cited.real_id): cited.title for cited in turn.given.citations
        }.items():
            kind, real_id = key
            row = rows.setdefault(key, {"real_id": real_id, "kind": kind, "title": "", "applied_count": 0})
            row["applied_count"] += 1
            row["title"] = title or row["title"]
            row["last_applied_at"], row["last_interaction_id"] = turn.created_at, turn.interaction_id
    ordered = sorted(rows.values(), key=lambda row: -row["applied_count"])
    msg = "Retrieved playbook application stats successfully"
    return Reply({"success": True, "stats": ordered, "msg": msg})
