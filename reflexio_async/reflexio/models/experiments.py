"""Experiments that keep retrieval from a share of the users."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reflexio_async._engine.models import NotBlank, RequestModel, ResponseModel, empty_list


class StartRetrievalExperimentRequest(RequestModel):
    """An experiment that keeps retrieval from a share of the users."""

    experiment_id: Annotated[str, Field(max_length=128)]
    holdout_percentage: Annotated[float, Field(lt=100.0, gt=0.0)]


class StopRetrievalExperimentRequest(RequestModel):
    """The experiment to stop."""

    experiment_id: Annotated[str, Field(max_length=128)]


class RetrievalExperimentRecord(ResponseModel):
    """One experiment; times are epoch seconds."""

    experiment_id: str
    holdout_percentage: float
    started_at: int
    ended_at: int | None = None


class RetrievalExperimentListResponse(ResponseModel):
    """The experiment that runs, and all there were."""

    active_experiment: RetrievalExperimentRecord | None = None
    experiments: list[RetrievalExperimentRecord] = Field(default_factory=empty_list)


class RetrievalExperimentArmMetrics(ResponseModel):
    """How one arm fared."""

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
    """How the arms of one experiment compare."""

    experiment: RetrievalExperimentRecord
    treatment: RetrievalExperimentArmMetrics
    holdout: RetrievalExperimentArmMetrics
    confidence_interval_95_percentage_points: list[float] | None = None
    evaluated_session_coverage: float | None = None
    relative_success_lift: float | None = None
    success_rate_lift_percentage_points: float | None = None
    unattributed_evaluated_session_count: int = 0


class ByExperiment(RequestModel):
    """Names one experiment."""

    experiment_id: NotBlank


def by_experiment(experiment_id: str) -> ByExperiment:
    """The experiment, given by position."""
    return ByExperiment(experiment_id=experiment_id)


def start_experiment(experiment_id: str, holdout_percentage: float) -> StartRetrievalExperimentRequest:
    """The experiment, given by position."""
    return StartRetrievalExperimentRequest(experiment_id=experiment_id, holdout_percentage=holdout_percentage)


def stop_experiment(experiment_id: str) -> StopRetrievalExperimentRequest:
    """The experiment, given by position."""
    return StopRetrievalExperimentRequest(experiment_id=experiment_id)
