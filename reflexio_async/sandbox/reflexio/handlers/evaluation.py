"""Grades: giving them, reading them, giving them all again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reflexio_async.sandbox.http.responses import Reply, internal_error, late, problem

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.common import Nothing
    from reflexio_async.sandbox.reflexio.schemas.evaluation import (
        GetLearningResults,
        GetResults,
        Grade,
        RecentShadows,
        Regenerate,
    )
    from reflexio_async.sandbox.reflexio.state import World

_DEFAULT = 100
_DEADLINE: Final = 600.0


async def results(world: World, _call: Call, body: GetResults) -> Reply:
    """Grades given, latest first."""
    rows = [
        verdict.view()
        for verdict in reversed(world.grader.verdicts)
        if body.agent_version in (None, "", verdict.agent_version) and body.holds(verdict.created_at)
    ][: body.limit or _DEFAULT]
    msg = f"Found {len(rows)} evaluation result(s)"
    return Reply({"success": True, "agent_success_evaluation_results": rows, "msg": msg})


async def learning_results(_world: World, _call: Call, _body: GetLearningResults) -> Reply:
    """Whether retrieved learnings helped: nobody has looked into that."""
    msg = "Found 0 retrieved-learning evaluation result(s)"
    return Reply({"success": True, "results": [], "msg": msg})


async def recent_shadows(_world: World, _call: Call, _query: RecentShadows) -> Reply:
    """Comparisons with shadow answers: nobody has made any."""
    return Reply({"verdicts": []})


async def regenerate(world: World, _call: Call, body: Regenerate) -> Reply:
    """Grade every session of a time again; one such job at a time."""
    grader = world.grader
    if grader.busy:
        return problem(409, "A regenerate is already running for this org")
    sessions = grader.sessions(body.from_ts, body.to_ts)
    job = grader.begin(len(sessions))
    world.spawn(grader.run(job, sessions))
    return Reply({"job_id": job.job_id, "total": job.total})


async def regeneration(world: World, call: Call, _body: Nothing) -> Reply:
    """How far a job has come."""
    job = world.grader.job(call.names["job_id"])
    return problem(404, "Unknown job_id") if job is None else Reply(job.view())


async def cancel_regeneration(world: World, call: Call, _body: Nothing) -> Reply:
    """Stop a job before its next session; always said to be done, even of a finished one."""
    if (job := world.grader.job(call.names["job_id"])) is None:
        return problem(404, "Unknown job_id")
    job.cancel_requested = True
    return Reply({"status": "cancelled"})


async def grade(world: World, call: Call, body: Grade) -> Reply:
    """Grade one session now, or show the grade of the last day; the nulls stay."""
    answer = {
        "session_id": body.session_id,
        "result_id": None,
        "cached": False,
        "skipped_reason": None,
        "retrieved_learning_status": None,
    }
    requests = world.store.session(body.session_id)
    if not requests:
        return Reply({**answer, "skipped_reason": "NO_REQUESTS"})
    if world.grader.unwilling(requests):
        return internal_error()
    if world.grader.seconds:
        await call.wait(min(world.grader.seconds, _DEADLINE))
        if world.grader.seconds > _DEADLINE:
            return late(call.correlation_id)
    result_id, cached = await world.grader.on_demand(requests, body.agent_version)
    return Reply({**answer, "result_id": result_id, "cached": cached, "retrieved_learning_status": "skipped"})
