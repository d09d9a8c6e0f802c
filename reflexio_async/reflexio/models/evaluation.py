"""Evaluation: how sessions went, and whether the learnings that were retrieved for them helped."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reflexio_async._engine.models import (
    EMPTY_LIST,
    AtLeastOne,
    ListOf,
    NotBlank,
    OrMapping,
    OrNone,
    Polling,
    Query,
    RequestModel,
    RequestPart,
    ResponseModel,
    Starting,
    TimeRange,
    ZeroOrMore,
)
from reflexio_async.reflexio.models.enums import (
    LearningImpact,
    RegenerationStatus,
    RegularVsShadow,
    RetrievedLearningKind,
)
from reflexio_async.reflexio.responses import MsgResponse


class GetAgentSuccessEvaluationResultsRequest(TimeRange):
    """Judgements of whether sessions went well."""

    agent_version: str | None = None
    limit: AtLeastOne | None = 100


class EvaluationResultView(ResponseModel):
    """The judgement on one session. Times are epoch seconds."""

    agent_version: str
    session_id: str
    is_success: bool
    created_at: int | None = None
    evaluation_name: str | None = None
    failure_reason: str | None = None
    failure_type: str | None = None
    is_escalated: bool = False
    number_of_correction_per_session: int = 0
    regular_vs_shadow: RegularVsShadow | str | None = Field(default=None, union_mode="left_to_right")
    result_id: int = 0
    tags: list[str] | None = None
    user_id: str = ""
    user_turns_to_resolution: int | None = None


class GetEvaluationResultsViewResponse(MsgResponse):
    """Judgements found."""

    agent_success_evaluation_results: list[EvaluationResultView]


class GetRetrievedLearningEvaluationResultsRequest(TimeRange):
    """Judgements of whether retrieved learnings helped."""

    limit: OrNone[Annotated[int, Field(le=1000, ge=1)]] = 100
    session_id: str | None = None
    user_id: str | None = None


class PlaybookDiagnosis(ResponseModel):
    """Why a learning helped or did not."""

    category: str
    reason: str
    evidence_interaction_ids: list[int] = EMPTY_LIST


class RetrievedLearningEvaluationResult(ResponseModel):
    """The judgement on one retrieved learning. Times are epoch seconds."""

    user_id: str
    session_id: str
    kind: RetrievedLearningKind | str = Field(union_mode="left_to_right")
    learning_id: str
    agent_version: str = ""
    created_at: int | None = None
    diagnosis: PlaybookDiagnosis | None = None
    diagnosis_evidence_complete: bool = False
    evaluated_playbook_digest: str | None = None
    impact: LearningImpact | str | None = Field(default=None, union_mode="left_to_right")
    impact_reason: str = ""
    interaction_created_at: int | None = None
    interaction_id: int | None = None
    is_relevant: bool | None = None
    relevance_reason: str = ""
    result_id: int = 0


class GetRetrievedLearningEvaluationResultsResponse(MsgResponse):
    """Judgements found."""

    results: list[RetrievedLearningEvaluationResult] = EMPTY_LIST


class RegenerateRequest(RequestModel):
    """Judge the sessions of a span of time again."""

    from_ts: ZeroOrMore = Field(description="Epoch seconds.")
    to_ts: ZeroOrMore = Field(description="Epoch seconds.")
    evaluation_name: str | None = None

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.from_ts >= self.to_ts:
            message = "from_ts must be before to_ts"
            raise ValueError(message)
        return self


class RegenerateStartResponse(ResponseModel):
    """The id of the regeneration, and how many sessions it judges."""

    job_id: str
    total: int


class RegenerateFailure(ResponseModel):
    """A session that could not be judged."""

    session_id: str
    reason: str


class RegenerateStatusResponse(ResponseModel):
    """The state of a regeneration. Times are epoch seconds."""

    job_id: str
    status: RegenerationStatus | str = Field(union_mode="left_to_right")
    total: int
    completed: int
    failed: int
    failures: list[RegenerateFailure] = Field(description="At most fifty.")
    started_at: float
    finished_at: float | None = None
    concurrency_limit: int = 0
    sampled_count: int = 0
    total_candidates: int = 0


class GradeFields(RequestModel):
    """How to judge a session: what the two requests below share."""

    agent_version: str
    evaluation_name: str | None = None


class GradeOnDemandRequest(GradeFields):
    """Judge one session now."""

    session_id: NotBlank


class ScopedGradeOnDemandRequest(GradeFields):
    """``GradeOnDemandRequest`` of a session-scoped client, which fills in ``session_id``."""

    session_id: NotBlank | None = None


class GradeOnDemandResponse(ResponseModel):
    """The id of the judgement, or the reason why there is none."""

    session_id: str
    cached: bool = False
    result_id: int | None = None
    retrieved_learning_status: str | None = None
    skipped_reason: str | None = None


class EvaluationSourceSetRequest(RequestPart):
    """Sources that are evaluated together, under one label."""

    label: str
    sources: Annotated[ListOf[str], Field(min_length=1)]


class GetEvaluationOverviewRequest(RequestModel):
    """The span of time of an overview."""

    from_ts: ZeroOrMore = Field(description="Epoch seconds.")
    to_ts: ZeroOrMore = Field(description="Epoch seconds.")
    bucket: Literal["day", "week"] = "week"
    include_shadow: bool = True
    source_sets: ListOf[OrMapping[EvaluationSourceSetRequest]] = ()

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.from_ts > self.to_ts:
            message = "from_ts must not be after to_ts"
            raise ValueError(message)
        return self


class ShadowComparisonOutput(ResponseModel):
    """Which of two answers the judge preferred."""

    better_request: str
    is_significantly_better: bool
    comparison_reason: str | None = None


class ShadowComparisonVerdict(ResponseModel):
    """The comparison of an answer with its shadow answer."""

    verdict_id: int
    interaction_id: str
    session_id: str
    agent_version: str
    reflexio_is_request_1: bool
    output: ShadowComparisonOutput
    judge_prompt_version: str
    created_at: datetime


class GetRecentShadowComparisonsResponse(ResponseModel):
    """The latest comparisons."""

    verdicts: list[ShadowComparisonVerdict] = EMPTY_LIST


class RegenerateStart(RegenerateRequest, Starting):
    """``RegenerateRequest``, returning a handle."""


class RegenerateWait(RegenerateRequest, Polling):
    """``RegenerateRequest``, waiting."""


class ByRegeneration(RequestModel, title="get_evaluation_regeneration_status"):
    """Names one regeneration."""

    job_id: NotBlank


class CancelRegenerationRequest(ByRegeneration, title="cancel_evaluation_regeneration"):
    """Names the regeneration to cancel."""


class RecentShadowComparisons(RequestModel):
    """How many comparisons are wanted."""

    limit: Annotated[int, Query()] = 10
