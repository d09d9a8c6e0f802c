"""The summary of all evaluations of a span of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reflexio_async.sandbox.reflexio.schemas.evaluation import GetEvaluationOverviewRequestSchema
from reflexio_async.sandbox.reflexio.simulation.grading import SessionGrade
from reflexio_async.sandbox.reflexio.state import ReflexioState

_LABELS: Final = ("0", "1", "2", "3", "4", "5+")
_DAY: Final = 24 * 3600
_WEEK: Final = 7 * _DAY
_RECENT = 100


def overview(state: ReflexioState, body: GetEvaluationOverviewRequestSchema) -> dict[str, Any]:
    """Success, corrections and turns, over time and by source."""
    rows = [row for row in state.grader.grades if body.from_ts <= row.created_at <= body.to_ts]
    recent = sorted(rows, key=lambda row: (row.created_at, row.result_id), reverse=True)
    sources = {row.session_id: _source(state, row) for row in rows}
    names = sorted(set(sources.values()))
    shadowed = body.include_shadow and state.configuration.current.shadow_mode_enabled
    named = {source for each in body.source_sets for source in each.sources}
    sets = [_set(each.label, each.sources, rows, sources, body) for each in body.source_sets]
    unmatched = sum(source not in named for source in sources.values()) if sets else 0
    return {
        "hero": {
            "state": ("early" if shadowed else "shadow_off") if rows else "empty",
            "regular_success_rate_pp": _success(rows),
            "buckets": _buckets(rows, body),
        },
        "context_tiles": _tiles(rows),
        "rule_attribution": list[Any](),
        "score_distribution": _distribution(rows),
        "braintrust_tiles": list[Any](),
        "shadow_win_rate_trend": _no_shadows(state),
        "recent_results": [row.view() for row in recent[:_RECENT]],
        "source_set_comparison": {
            "available_sources": names,
            "source_sessions": [_sessions(source, rows, sources) for source in names],
            "sets": sets,
            "unmatched_session_count": unmatched,
        },
    }


def _source(state: ReflexioState, row: SessionGrade) -> str:
    requests = state.store.session(row.session_id)
    return requests[0].source if requests else ""


def _sessions(source: str, rows: Sequence[SessionGrade], sources: dict[str, str]) -> dict[str, Any]:
    matching = [row for row in rows if sources[row.session_id] == source]
    keys = [{"user_id": row.user_id, "session_id": row.session_id} for row in matching]
    return {"source": source, "session_ids": [row.session_id for row in matching], "sessions": keys}


def _set(
    label: str,
    wanted: list[str],
    rows: Sequence[SessionGrade],
    sources: dict[str, str],
    body: GetEvaluationOverviewRequestSchema,
) -> dict[str, Any]:
    matching = [row for row in rows if sources[row.session_id] in wanted]
    return {
        "label": label,
        "sources": wanted,
        "session_count": len(matching),
        "session_ids": [row.session_id for row in matching],
        "success_rate_pp": _success(matching),
        "buckets": _buckets(matching, body),
        "context_tiles": _tiles(matching),
        "score_distribution": _distribution(matching),
        "rule_attribution": list[Any](),
        "braintrust_tiles": list[Any](),
    }


def _success(rows: Sequence[SessionGrade]) -> float:
    return 100.0 * sum(row.success for row in rows) / len(rows) if rows else 0.0


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0


def _buckets(rows: Sequence[SessionGrade], body: GetEvaluationOverviewRequestSchema) -> list[dict[str, Any]]:
    size = _DAY if body.bucket == "day" else _WEEK
    starts = sorted({row.created_at - row.created_at % size for row in rows})
    buckets: list[dict[str, Any]] = []
    for start in starts:
        matching = [row for row in rows if start <= row.created_at < start + size]
        buckets.append(
            {
                "ts": start,
                "regular_rate": _success(matching) / 100,
                "regular_n": len(matching),
                "shadow_n": 0,
                "avg_corrections": _mean([row.complaints for row in matching]),
                "escalation_rate": 0.0,
            }
        )
    return buckets


def _tiles(rows: Sequence[SessionGrade]) -> dict[str, Any]:
    success = _success(rows)
    corrections = _mean([row.complaints for row in rows])
    turns = _mean([row.user_turns for row in rows if row.success])
    behaviour: dict[str, Any] = {"eligible_sessions": len(rows), "excluded_system_errors": 0}
    return {
        "success": {"current": success, "delta_pp": success},
        "behavior_success": {"current": success, **behaviour} if rows else behaviour,
        "corrections": {"current": corrections, "delta": corrections},
        "turns": {"current": turns, "delta": turns},
        "escalation": {"current": 0.0, "delta_pp": 0.0},
    }


def _distribution(rows: Sequence[SessionGrade]) -> dict[str, Any]:
    last = len(_LABELS) - 1
    bins = [sum(min(row.complaints, last) == place for row in rows) for place in range(len(_LABELS))]
    return {"current_bins": bins, "baseline_bins": [0] * len(_LABELS), "labels": list(_LABELS)}


def _no_shadows(state: ReflexioState) -> dict[str, Any]:
    total: dict[str, float] = {"n": 0, "wins": 0, "losses": 0, "ties": 0, "win_rate": 0.0, "net_win": 0.0}
    version = state.configuration.current.shadow_comparison_judge_prompt_version
    return {"daily": list[Any](), "window_total": total, "judge_prompt_version": version}
