"""Experiments that keep retrieval from a share of the users."""

from __future__ import annotations

from reflexio_async._engine.models import Empty
from reflexio_async._engine.routing.route import Route
from reflexio_async.reflexio.models.experiments import (
    ByExperiment,
    RetrievalExperimentListResponse,
    RetrievalExperimentResultsResponse,
    StartRetrievalExperimentRequest,
    StopRetrievalExperimentRequest,
    by_experiment,
    start_experiment,
    stop_experiment,
)


class ExperimentsAPI:
    """Retrieval experiments."""

    list_retrieval_experiments = Route(
        "GET", "/api/retrieval_experiments", Empty, RetrievalExperimentListResponse
    )
    """The experiment that runs, and all there were."""

    start_retrieval_experiment = Route(
        "POST",
        "/api/retrieval_experiments",
        start_experiment,
        RetrievalExperimentListResponse,
        model=StartRetrievalExperimentRequest,
        per_minute=10,
    )
    """Start an experiment; Conflict while another runs, or when the id was used before.

    While it runs, ``search`` needs a ``user_id``.
    """

    stop_retrieval_experiment = Route(
        "POST",
        "/api/retrieval_experiments/stop",
        stop_experiment,
        RetrievalExperimentListResponse,
        model=StopRetrievalExperimentRequest,
        per_minute=10,
    )
    """Stop the experiment that runs; Conflict when it is another one."""

    get_retrieval_experiment_results = Route(
        "GET",
        "/api/retrieval_experiments/{experiment_id}/results",
        by_experiment,
        RetrievalExperimentResultsResponse,
        model=ByExperiment,
    )
    """How the arms of one experiment compare."""
