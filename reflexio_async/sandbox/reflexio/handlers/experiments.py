"""Experiments: withholding learnings from some users, to see what they are worth."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox.http.responses import Reply, problem
from reflexio_async.sandbox.reflexio.store.rows import present

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.common import Nothing
    from reflexio_async.sandbox.reflexio.schemas.evaluation import StartExperiment, StopExperiment
    from reflexio_async.sandbox.reflexio.simulation.grading import Verdict
    from reflexio_async.sandbox.reflexio.state import World


def _listed(world: World) -> Reply:
    config = world.configuration.current
    history = sorted(config.retrieval_experiment_history, key=lambda record: -record.started_at)
    shown: dict[str, Any] = {"experiments": [record.model_dump(exclude_none=True) for record in history]}
    if (running := config.retrieval_experiment_config) is not None:
        record = world.configuration.experiment(running.experiment_id)
        shown["active_experiment"] = record and record.model_dump(exclude_none=True)
    return Reply(shown)


async def listed(world: World, _call: Call, _body: Nothing) -> Reply:
    """All of them, latest first."""
    return _listed(world)


async def start(world: World, _call: Call, body: StartExperiment) -> Reply:
    """One at a time, under a name that was never used."""
    if world.configuration.current.retrieval_experiment_config is not None:
        return problem(409, "Stop the active retrieval experiment before starting another")
    if world.configuration.experiment(body.experiment_id) is not None:
        return problem(409, "Retrieval experiment IDs cannot be reused")
    world.configuration.start_experiment(body.experiment_id, body.holdout_percentage)
    return _listed(world)


async def stop(world: World, _call: Call, body: StopExperiment) -> Reply:
    """The one that is running."""
    if not world.configuration.stop_experiment(body.experiment_id):
        return problem(409, "The requested retrieval experiment is not active")
    return _listed(world)


async def results(world: World, call: Call, _body: Nothing) -> Reply:
    """What the grades of its sessions say."""
    experiment = world.configuration.experiment(call.names["experiment_id"])
    if experiment is None:
        return problem(404, "Retrieval experiment not found")
    arms = {
        (request.user_id, request.session_id): request.retrieval_experiment_arm
        for request in world.store.requests.values()
        if request.retrieval_experiment_id == experiment.experiment_id
    }
    end = experiment.ended_at or world.store.now
    graded = [row for row in world.grader.verdicts if experiment.started_at <= row.created_at <= end]

    def metrics(arm: str) -> dict[str, Any]:
        pairs = [pair for pair, assigned in arms.items() if assigned == arm]
        written = [_written(world, session_id) for _, session_id in pairs]
        return _metrics(
            arm, pairs, written, [row for row in graded if arms.get((row.user_id, row.session_id)) == arm]
        )

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
    return Reply(present(shown))


def _lift(treatment: float | None, holdout: float | None) -> dict[str, float]:
    if treatment is None or holdout is None:
        return {}
    lift = treatment - holdout
    relative = {"relative_success_lift": lift / holdout} if holdout else {}
    return {"success_rate_lift_percentage_points": lift * 100, **relative}


def _written(world: World, session_id: str) -> int:
    """How many words the agent wrote, for want of a tokenizer."""
    turns = [turn for request in world.store.session(session_id) for turn in request.turns]
    return sum(len(turn.content.split()) for turn in turns if turn.given.role.lower() != "user")


def _metrics(
    arm: str, pairs: Sequence[tuple[str, str]], written: Sequence[int], rows: Sequence[Verdict]
) -> dict[str, Any]:
    means: dict[str, float] = {}
    if rows:
        means = {
            "success_rate": fmean(row.success for row in rows),
            "average_corrections": fmean(row.complaints for row in rows),
            "average_turns_to_resolution": fmean(row.user_turns for row in rows),
            "escalation_rate": 0.0,
        }
    return {
        "arm": arm,
        "assigned_user_count": len({user_id for user_id, _ in pairs}),
        "published_session_count": len(pairs),
        "evaluated_user_count": len({row.user_id for row in rows}),
        "evaluated_session_count": len(rows),
        **means,
        **({"average_output_tokens": fmean(written)} if written else {}),
        "output_token_session_count": len(written),
    }
