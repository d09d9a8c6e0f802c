"""Retrieval experiments: learnings are withheld from some users (server-behaviour: Experiments)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any, Final

from reflexio_async.sandbox.http.responses import Response, error_response
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.schemas import experiments as schemas
from reflexio_async.sandbox.reflexio.simulation.grading import SessionGrade
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.rows import without_nulls

_PATH: Final = "/api/retrieval_experiments"

routes: Final = Router()


@routes.get(_PATH)
async def list_experiments(state: ReflexioState) -> Response:
    """All experiments, latest first."""
    return _all_experiments(state)


@routes.post(_PATH, per_minute=10)
async def start_experiment(
    state: ReflexioState, body: schemas.StartRetrievalExperimentRequestSchema
) -> Response:
    """Start an experiment under an unused id. Only one runs at a time."""
    if state.configuration.current.retrieval_experiment_config is not None:
        return error_response(409, "Stop the active retrieval experiment before starting another")
    if state.configuration.experiment(body.experiment_id) is not None:
        return error_response(409, "Retrieval experiment IDs cannot be reused")
    state.configuration.start_experiment(body.experiment_id, body.holdout_percentage)
    return _all_experiments(state)


@routes.post(f"{_PATH}/stop", per_minute=10)
async def stop_experiment(
    state: ReflexioState, body: schemas.StopRetrievalExperimentRequestSchema
) -> Response:
    """Stop the running experiment."""
    if not state.configuration.stop_experiment(body.experiment_id):
        return error_response(409, "The requested retrieval experiment is not active")
    return _all_experiments(state)


def _all_experiments(state: ReflexioState) -> Response:
    config = state.configuration.current
    history = sorted(config.retrieval_experiment_history, key=lambda record: -record.started_at)
    shown: dict[str, Any] = {"experiments": [record.model_dump(exclude_none=True) for record in history]}
    if (running := config.retrieval_experiment_config) is not None:
        record = state.configuration.experiment(running.experiment_id)
        shown["active_experiment"] = record and record.model_dump(exclude_none=True)
    return Response(shown)


@routes.get(f"{_PATH}/{{experiment_id}}/results")
async def experiment_results(state: ReflexioState, experiment_id: str) -> Response:
    """Success, corrections and turns of the graded sessions, by arm."""
    experiment = state.configuration.experiment(experiment_id)
    if experiment is None:
        return error_response(404, "Retrieval experiment not found")
    arms = {
        (request.user_id, request.session_id): request.retrieval_experiment_arm
        for request in state.store.requests.values()
        if request.retrieval_experiment_id == experiment.experiment_id
    }
    end = experiment.ended_at or state.store.now
    graded = [row for row in state.grader.grades if experiment.started_at <= row.created_at <= end]

    def metrics(arm: str) -> dict[str, Any]:
        sessions = [session for session, assigned in arms.items() if assigned == arm]
        words = [_agent_words(state, session_id) for _, session_id in sessions]
        rows = [row for row in graded if arms.get((row.user_id, row.session_id)) == arm]
        return _metrics(arm, sessions, words, rows)

    treatment, holdout = metrics("treatment"), metrics("holdout")
    unattributed = sum((row.user_id, row.session_id) not in arms for row in graded)
    shown = {
        "experiment": experiment.model_dump(exclude_none=True),
        "treatment": treatment,
        "holdout": holdout,
        **_lift(treatment.get("success_rate"), holdout.get("success_rate")),
        "evaluated_session_coverage": (len(graded) - unattributed) / len(graded) if graded else None,
        "unattributed_evaluated_session_count": unattributed,
    }
    return Response(without_nulls(shown))


def _lift(treatment: float | None, holdout: float | None) -> dict[str, float]:
    if treatment is None or holdout is None:
        return {}
    lift = treatment - holdout
    relative = {"relative_success_lift": lift / holdout} if holdout else {}
    return {"success_rate_lift_percentage_points": lift * 100, **relative}


def _agent_words(state: ReflexioState, session_id: str) -> int:
    """How many words the agent wrote. The server counts tokens."""
    interactions = [each for request in state.store.session(session_id) for each in request.interactions]
    return sum(len(each.content.split()) for each in interactions if each.given.role.lower() != "user")


def _metrics(
    arm: str, sessions: Sequence[tuple[str, str]], words: Sequence[int], rows: Sequence[SessionGrade]
) -> dict[str, Any]:
    means: dict[str, float] = {}
    if rows:
        means = {
            "success_rate": fmean(row.success for row in rows),
            "average_corrections": fmean(row.complaints for row in rows),
            "escalation_rate": 0.0,
        }
    if turns := [row.user_turns for row in rows if row.success]:
        means["average_turns_to_resolution"] = fmean(turns)
    return {
        "arm": arm,
        "assigned_user_count": len({user_id for user_id, _ in sessions}),
        "published_session_count": len(sessions),
        "evaluated_user_count": len({row.user_id for row in rows}),
        "evaluated_session_count": len(rows),
        **means,
        **({"average_output_tokens": fmean(words)} if words else {}),
        "output_token_session_count": len(words),
    }
