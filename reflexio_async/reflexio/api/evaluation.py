"""Evaluation: judgements of sessions and of what was retrieved for them."""

from __future__ import annotations

from reflexio_async._engine.routing.route import Route
from reflexio_async._engine.routing.single_job_route import SingleJobRoute
from reflexio_async.reflexio.jobs import REGENERATION
from reflexio_async.reflexio.models.evaluation import (
    ByRegeneration,
    GetAgentSuccessEvaluationResultsRequest,
    GetEvaluationOverviewRequest,
    GetEvaluationResultsViewResponse,
    GetRecentShadowComparisonsResponse,
    GetRetrievedLearningEvaluationResultsRequest,
    GetRetrievedLearningEvaluationResultsResponse,
    GradeOnDemandRequest,
    GradeOnDemandResponse,
    RecentShadowComparisons,
    RegenerateRequest,
    RegenerateStart,
    RegenerateStartResponse,
    RegenerateStatusResponse,
    RegenerateWait,
    by_regeneration,
)
from reflexio_async.reflexio.models.overview import GetEvaluationOverviewResponse


def _job_id(started: RegenerateStartResponse) -> str:
    return started.job_id


class EvaluationAPI:
    """How sessions went, and whether what was retrieved for them helped."""

    get_agent_success_evaluation_results = Route(
        "POST",
        "/api/get_agent_success_evaluation_results",
        GetAgentSuccessEvaluationResultsRequest,
        GetEvaluationResultsViewResponse,
        repeatable=True,
    )
    """Judgements of whether sessions went well."""

    get_retrieved_learning_evaluation_results = Route(
        "POST",
        "/api/get_retrieved_learning_evaluation_results",
        GetRetrievedLearningEvaluationResultsRequest,
        GetRetrievedLearningEvaluationResultsResponse,
        repeatable=True,
    )
    """Judgements of whether retrieved learnings helped."""

    get_evaluation_overview = Route(
        "POST",
        "/api/get_evaluation_overview",
        GetEvaluationOverviewRequest,
        GetEvaluationOverviewResponse,
        repeatable=True,
    )
    """How sessions went over a span of time, and what that is attributed to."""

    get_recent_shadow_comparisons = Route(
        "GET",
        "/api/evaluations/shadow_comparisons/recent",
        RecentShadowComparisons,
        GetRecentShadowComparisonsResponse,
    )
    """The judge's latest verdicts on answers and their shadows."""

    grade_on_demand = Route(
        "POST",
        "/api/evaluations/grade_on_demand",
        GradeOnDemandRequest,
        GradeOnDemandResponse,
        deadline=630,
    )
    """Judge one session now; ``skipped_reason`` says why there is no judgement."""

    regenerate_evaluations = SingleJobRoute(
        "/api/evaluations/regenerate",
        RegenerateRequest,
        RegenerateStatusResponse,
        start=RegenerateStart,
        wait=RegenerateWait,
        kind=REGENERATION,
        started=RegenerateStartResponse,
        job_id=_job_id,
        per_minute=5,
    )
    """Judge the sessions of a span of time again, as a Job with progress.

    A server runs one per organisation, and raises Conflict meanwhile. ``job.cancel()`` asks it to stop;
    sessions that are being judged are finished first.
    """

    get_evaluation_regeneration_status = Route(
        "GET",
        "/api/evaluations/regenerate/{job_id}",
        by_regeneration,
        RegenerateStatusResponse,
        model=ByRegeneration,
    )
    """How far a regeneration is; servers forget it an hour after its end, and when they restart."""

    cancel_evaluation_regeneration = Route(
        "DELETE",
        "/api/evaluations/regenerate/{job_id}",
        by_regeneration,
        dict[str, str],
        model=ByRegeneration,
        repeatable=True,
    )
    """Ask for a regeneration to stop; the answer is the same when it has ended already."""
