"""Evaluation: how sessions went, and whether the learnings that were retrieved for them helped."""

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.jobs import REGENERATION
from reflexio_async.reflexio.models.evaluation import (
    ByRegeneration,
    CancelRegenerationRequest,
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
)
from reflexio_async.reflexio.models.evaluation_overview import GetEvaluationOverviewResponse
from reflexio_async.reflexio.service import SLOW_CALL_DEADLINE

GET_AGENT_SUCCESS_EVALUATION_RESULTS = Endpoint(
    "POST", "/api/get_agent_success_evaluation_results", GetEvaluationResultsViewResponse, repeatable=True
)
GET_RETRIEVED_LEARNING_EVALUATION_RESULTS = Endpoint(
    "POST",
    "/api/get_retrieved_learning_evaluation_results",
    GetRetrievedLearningEvaluationResultsResponse,
    repeatable=True,
)
GET_EVALUATION_OVERVIEW = Endpoint(
    "POST", "/api/get_evaluation_overview", GetEvaluationOverviewResponse, repeatable=True
)
GET_RECENT_SHADOW_COMPARISONS = Endpoint(
    "GET", "/api/evaluations/shadow_comparisons/recent", GetRecentShadowComparisonsResponse
)
GRADE_ON_DEMAND = Endpoint(
    "POST", "/api/evaluations/grade_on_demand", GradeOnDemandResponse, deadline=SLOW_CALL_DEADLINE
)
REGENERATE_EVALUATIONS = Endpoint(
    "POST", "/api/evaluations/regenerate", RegenerateStartResponse, per_minute=5
)
GET_EVALUATION_REGENERATION_STATUS = Endpoint(
    "GET", "/api/evaluations/regenerate/{job_id}", RegenerateStatusResponse
)
CANCEL_EVALUATION_REGENERATION = Endpoint("DELETE", "/api/evaluations/regenerate/{job_id}", dict[str, str])


class EvaluationAPI(API):
    """Calls about evaluation."""

    @takes(GetAgentSuccessEvaluationResultsRequest)
    async def get_agent_success_evaluation_results(
        self, request: GetAgentSuccessEvaluationResultsRequest
    ) -> GetEvaluationResultsViewResponse:
        """Judgements of whether sessions went well."""
        return await self._send(GET_AGENT_SUCCESS_EVALUATION_RESULTS, request)

    @takes(GetRetrievedLearningEvaluationResultsRequest)
    async def get_retrieved_learning_evaluation_results(
        self, request: GetRetrievedLearningEvaluationResultsRequest
    ) -> GetRetrievedLearningEvaluationResultsResponse:
        """Judgements of whether retrieved learnings helped."""
        return await self._send(GET_RETRIEVED_LEARNING_EVALUATION_RESULTS, request)

    @takes(GetEvaluationOverviewRequest)
    async def get_evaluation_overview(
        self, request: GetEvaluationOverviewRequest
    ) -> GetEvaluationOverviewResponse:
        """How sessions went over a span of time, and which learnings they cited."""
        return await self._send(GET_EVALUATION_OVERVIEW, request)

    @takes(RecentShadowComparisons)
    async def get_recent_shadow_comparisons(
        self, request: RecentShadowComparisons
    ) -> GetRecentShadowComparisonsResponse:
        """The latest comparisons of answers with the shadow answers that were published beside them."""
        return await self._send(GET_RECENT_SHADOW_COMPARISONS, request)

    @takes(GradeOnDemandRequest)
    async def grade_on_demand(self, request: GradeOnDemandRequest) -> GradeOnDemandResponse:
        """Judge one session now. When there is no judgement, ``skipped_reason`` says why."""
        return await self._send(GRADE_ON_DEMAND, request)

    @takes(RegenerateStart, waiting=RegenerateWait)
    async def regenerate_evaluations(self, request: RegenerateRequest) -> Job[RegenerateStatusResponse]:
        """Judge the sessions of a span of time again, as a Job with progress; ``job.total`` says how many.

        Raises Conflict while another regeneration of the organisation runs. After ``job.cancel()`` the server
        finishes the sessions that it is judging, and stops.
        """
        began = self._engine.caller.clock.now()
        started = await self._send(REGENERATE_EVALUATIONS, request, settings=self._settings_within(request))
        status = JobStatus(
            JobState.RUNNING,
            message=f"0 of {started.total} sessions judged, 0 failed",
            raw=started.model_dump(),
        )
        return self._follow(REGENERATION, started.job_id, status, began=began)

    async def get_evaluation_regeneration_status(self, job_id: str) -> RegenerateStatusResponse:
        """The status of one regeneration. Servers forget it one hour after its end, and at a restart."""
        request = ByRegeneration(job_id=job_id)
        return await self._send(GET_EVALUATION_REGENERATION_STATUS, request)

    async def cancel_evaluation_regeneration(self, job_id: str) -> dict[str, str]:
        """Ask the server to stop a regeneration. The response is the same when it has already ended."""
        request = CancelRegenerationRequest(job_id=job_id)
        return await self._send(CANCEL_EVALUATION_REGENERATION, request)
