"""Evaluation: grading sessions, reading grades, grading again (server-behaviour: Grading, Regenerate)."""

from __future__ import annotations

from typing import Final

from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import (
    Response,
    error_response,
    internal_error,
    succeeded,
    timeout_response,
)
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.deadlines import deadline_of
from reflexio_async.sandbox.reflexio.handlers.evaluation_overview import overview
from reflexio_async.sandbox.reflexio.schemas import evaluation as schemas
from reflexio_async.sandbox.reflexio.state import ReflexioState

_DEFAULT_LIMIT = 100
_JOB_PATH: Final = "/api/evaluations/regenerate/{job_id}"

routes: Final = Router()


@routes.post("/api/get_agent_success_evaluation_results")
async def get_agent_success_evaluation_results(
    state: ReflexioState, body: schemas.GetAgentSuccessEvaluationResultsRequestSchema
) -> Response:
    """Grades, those of the newest sessions first."""
    rows = [
        grade.view()
        for grade in sorted(state.grader.grades, key=lambda grade: -grade.created_at)
        if body.agent_version in (None, "", grade.agent_version) and body.includes(grade.created_at)
    ][: body.limit or _DEFAULT_LIMIT]
    return succeeded(agent_success_evaluation_results=rows, msg=f"Found {len(rows)} evaluation result(s)")


@routes.post("/api/get_retrieved_learning_evaluation_results")
async def get_retrieved_learning_evaluation_results(
    _body: schemas.GetRetrievedLearningEvaluationResultsRequestSchema,
) -> Response:
    """Verdicts on retrieved learnings. The sandbox makes none."""
    return succeeded(results=[], msg="Found 0 retrieved-learning evaluation result(s)")


@routes.post("/api/get_evaluation_overview")
async def get_evaluation_overview(
    state: ReflexioState, body: schemas.GetEvaluationOverviewRequestSchema
) -> Response:
    """A summary of all evaluations of a span of time."""
    return Response(overview(state, body))


@routes.get("/api/evaluations/shadow_comparisons/recent")
async def recent_shadow_comparisons(_query: schemas.RecentShadowComparisonsQuerySchema) -> Response:
    """Comparisons with shadow answers. The sandbox makes none."""
    return Response({"verdicts": []})


@routes.post("/api/evaluations/grade_on_demand")
async def grade_on_demand(
    state: ReflexioState, context: RequestContext, body: schemas.GradeOnDemandRequestSchema
) -> Response:
    """Grade one session now, or return the grade of the last 24 hours. Nulls are kept."""
    answer = {
        "session_id": body.session_id,
        "result_id": None,
        "cached": False,
        "skipped_reason": None,
        "retrieved_learning_status": None,
    }
    requests = state.store.session(body.session_id)
    if not requests:
        return Response({**answer, "skipped_reason": "NO_REQUESTS"})
    if state.grader.fails(requests):
        return internal_error()
    if state.grader.seconds:
        deadline = deadline_of(context)
        await context.wait(min(state.grader.seconds, deadline))
        if state.grader.seconds > deadline:
            return timeout_response(context.correlation_id)
    result_id, cached = state.grader.grade_on_demand(requests, body.agent_version)
    learnings = "skipped" if result_id is None else "not_applicable"
    graded = {"result_id": result_id, "cached": cached, "retrieved_learning_status": learnings}
    return Response({**answer, **graded})


@routes.post("/api/evaluations/regenerate", per_minute=5)
async def regenerate(state: ReflexioState, body: schemas.RegenerateRequestSchema) -> Response:
    """Start a job that grades every session of a span of time again. Only one job at a time."""
    grader = state.grader
    if grader.busy:
        return error_response(409, "A regenerate is already running for this org")
    sessions = grader.sessions(body.from_ts, body.to_ts)
    job = grader.begin(len(sessions))
    state.spawn(grader.run(job, sessions))
    return Response({"job_id": job.job_id, "total": job.total})


@routes.get(_JOB_PATH)
async def regeneration(state: ReflexioState, job_id: str) -> Response:
    """How far a job has come."""
    job = state.grader.job(job_id)
    return error_response(404, "Unknown job_id") if job is None else Response(job.view())


@routes.delete(_JOB_PATH)
async def cancel_regeneration(state: ReflexioState, job_id: str) -> Response:
    """Stop a job before its next session. The response says "cancelled" even for a finished job."""
    if (job := state.grader.job(job_id)) is None:
        return error_response(404, "Unknown job_id")
    job.cancel_requested = True
    return Response({"status": "cancelled"})
