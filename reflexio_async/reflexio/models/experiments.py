"""Retrieval experiments: a share of the users gets no learnings, so that both groups can be compared."""

from typing import Annotated

from pydantic import Field

from reflexio_async._engine.models import (
    EMPTY_LIST,
    NotBlank,
    RequestModel,
    ResponseModel,
)


class RetrievalExperimentAssignment(ResponseModel):
    """Which arm of an experiment a search fell into."""

    experiment_id: str
    arm: str


class StartRetrievalExperimentRequest(RequestModel, title="start_retrieval_experiment"):
    """A new experiment, and the share of the users that gets no learnings."""

    experiment_id: Annotated[str, Field(max_length=128)]
    holdout_percentage: Annotated[float, Field(lt=100.0, gt=0.0)]


class StopRetrievalExperimentRequest(RequestModel, title="stop_retrieval_experiment"):
    """The experiment to stop."""

    experiment_id: Annotated[str, Field(max_length=128)]


class RetrievalExperimentRecord(ResponseModel):
    """One experiment. Times are epoch seconds."""

    experiment_id: str
    holdout_percentage: float
    started_at: int
    ended_at: int | None = None


class RetrievalExperimentListResponse(ResponseModel):
    """The experiment that is running, and all experiments so far."""

    active_experiment: RetrievalExperimentRecord | None = None
    experiments: list[RetrievalExperimentRecord] = EMPTY_LIST


class RetrievalExperimentArmMetrics(ResponseModel):
    """How the sessions of one group went."""

    arm: str
    assigned_user_count: int = 0
    average_corrections: float | None = None
    average_output_tokens: float | None = None
    average_turns_to_resolution: float | None = None
    escalation_rate: float | None = None
    evaluated_session_count: int = 0
    evaluated_user_count: int = 0
    output_token_session_count: int = 0
    published_session_count: int = 0
    success_rate: float | None = None


class RetrievalExperimentResultsResponse(ResponseModel):
    """How the two groups of one experiment compare."""

    experiment: RetrievalExperimentRecord
    treatment: RetrievalExperimentArmMetrics
    holdout: RetrievalExperimentArmMetrics
    confidence_interval_95_percentage_points: list[float] | None = None
    evaluated_session_coverage: float | None = None
    relative_success_lift: float | None = None
    success_rate_lift_percentage_points: float | None = None
    unattributed_evaluated_session_count: int = 0


class ByExperiment(RequestModel, title="get_retrieval_experiment_results"):
    """Names one experiment."""

    experiment_id: NotBlank
