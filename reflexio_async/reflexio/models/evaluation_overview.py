"""The evaluation overview: how sessions went over a span of time."""

from pydantic import Field

from reflexio_async._engine.models import (
    EMPTY_LIST,
    ResponseModel,
)
from reflexio_async.reflexio.models.enums import CitationKind
from reflexio_async.reflexio.models.evaluation import EvaluationResultView


class NumberWithDelta(ResponseModel):
    """A number and how it changed."""

    current: float
    delta: float


class PercentWithDelta(ResponseModel):
    """A percentage and how it changed, in points."""

    current: float
    delta_pp: float


class BehaviorSuccessMetric(ResponseModel):
    """How often sessions went well."""

    current: float | None = None
    delta_pp: float | None = None
    eligible_sessions: int = 0
    excluded_system_errors: int = 0


class ContextTile(ResponseModel):
    """Further measures."""

    success: PercentWithDelta
    behavior_success: BehaviorSuccessMetric
    corrections: NumberWithDelta
    turns: NumberWithDelta
    escalation: PercentWithDelta


class HeroBucket(ResponseModel):
    """The success rates of one span of time. ``ts`` is in epoch seconds."""

    ts: int
    regular_rate: float
    shadow_rate: float | None = None
    regular_n: int
    shadow_n: int
    avg_corrections: float = 0.0
    escalation_rate: float = 0.0


class HeroBlock(ResponseModel):
    """How often sessions went well, in total and over time."""

    state: str
    regular_success_rate_pp: float
    shadow_success_rate_pp: float | None = None
    delta_pp: float | None = None
    buckets: list[HeroBucket]


class RuleAttributionRow(ResponseModel):
    """How sessions that cited one learning went."""

    rule_id: str
    kind: CitationKind | str = Field(union_mode="left_to_right")
    successes_with: int
    failures_with: int
    net_sessions: int
    cited_session_ids: list[str] = EMPTY_LIST
    title: str = ""


class ScoreDistribution(ResponseModel):
    """How many sessions had which score."""

    current_bins: list[int]
    baseline_bins: list[int]
    labels: list[str]


class ShadowWinRateTrendPoint(ResponseModel):
    """Comparisons of one day."""

    date: str
    n: int
    wins: int
    losses: int
    ties: int


class ShadowWinRateTrendWindowTotal(ResponseModel):
    """Comparisons of the whole span of time."""

    n: int
    wins: int
    losses: int
    ties: int
    win_rate: float
    net_win: float


class ShadowWinRateTrend(ResponseModel):
    """How often the answer was better than its shadow answer."""

    daily: list[ShadowWinRateTrendPoint] = EMPTY_LIST
    judge_prompt_version: str = "v1.0.0"
    window_total: ShadowWinRateTrendWindowTotal | None = None


class BraintrustTileRow(ResponseModel):
    """One score from Braintrust."""

    scorer_name: str
    current: float
    n: int
    delta: float


class EvaluationSessionKey(ResponseModel):
    """One session of one user."""

    user_id: str
    session_id: str


class SourceSessions(ResponseModel):
    """The sessions of one source."""

    source: str
    session_ids: list[str] = EMPTY_LIST
    sessions: list[EvaluationSessionKey] = EMPTY_LIST


class SourceSetEvaluationMetrics(ResponseModel):
    """The measures of one set of sources."""

    label: str
    sources: list[str]
    session_count: int
    success_rate_pp: float
    buckets: list[HeroBucket]
    context_tiles: ContextTile
    score_distribution: ScoreDistribution
    rule_attribution: list[RuleAttributionRow]
    braintrust_tiles: list[BraintrustTileRow] = EMPTY_LIST
    session_ids: list[str] = EMPTY_LIST


class SourceSetComparison(ResponseModel):
    """Sets of sources side by side."""

    available_sources: list[str] = EMPTY_LIST
    sets: list[SourceSetEvaluationMetrics] = EMPTY_LIST
    source_sessions: list[SourceSessions] = EMPTY_LIST
    unmatched_session_count: int = 0


class GetEvaluationOverviewResponse(ResponseModel):
    """How sessions went over a span of time."""

    hero: HeroBlock
    context_tiles: ContextTile
    rule_attribution: list[RuleAttributionRow]
    score_distribution: ScoreDistribution
    braintrust_tiles: list[BraintrustTileRow] = EMPTY_LIST
    recent_results: list[EvaluationResultView] = EMPTY_LIST
    shadow_win_rate_trend: ShadowWinRateTrend | None = None
    source_set_comparison: SourceSetComparison | None = None
