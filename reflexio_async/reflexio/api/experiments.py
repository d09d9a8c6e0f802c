"""Retrieval experiments: a share of the users gets no learnings, so that both groups can be compared."""

from reflexio_async._engine.engine import API
from reflexio_async._engine.models import Empty
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.models.experiments import (
    ByExperiment,
    RetrievalExperimentListResponse,
    RetrievalExperimentResultsResponse,
    StartRetrievalExperimentRequest,
    StopRetrievalExperimentRequest,
)

LIST_RETRIEVAL_EXPERIMENTS = Endpoint("GET", "/api/retrieval_experiments", RetrievalExperimentListResponse)
START_RETRIEVAL_EXPERIMENT = Endpoint(
    "POST", "/api/retrieval_experiments", RetrievalExperimentListResponse, per_minute=10
)
STOP_RETRIEVAL_EXPERIMENT = Endpoint(
    "POST", "/api/retrieval_experiments/stop", RetrievalExperimentListResponse, per_minute=10
)
GET_RETRIEVAL_EXPERIMENT_RESULTS = Endpoint(
    "GET", "/api/retrieval_experiments/{experiment_id}/results", RetrievalExperimentResultsResponse
)


class ExperimentsAPI(API):
    """Calls about retrieval experiments."""

    async def list_retrieval_experiments(self) -> RetrievalExperimentListResponse:
        """The experiment that is running, and all experiments so far."""
        return await self._send(LIST_RETRIEVAL_EXPERIMENTS, Empty())

    async def start_retrieval_experiment(
        self, experiment_id: str, holdout_percentage: float
    ) -> RetrievalExperimentListResponse:
        """Start an experiment. While it runs, ``search`` needs a ``user_id``.

        Args:
            experiment_id: A new id for it.
            holdout_percentage: The share of users that gets no learnings: more than 0, less than 100.

        Raises:
            Conflict: Another experiment is running, or the id was used before.
        """
        request = StartRetrievalExperimentRequest(
            experiment_id=experiment_id, holdout_percentage=holdout_percentage
        )
        return await self._send(START_RETRIEVAL_EXPERIMENT, request)

    async def stop_retrieval_experiment(self, experiment_id: str) -> RetrievalExperimentListResponse:
        """Stop the experiment that is running. Raises Conflict when that is another one."""
        request = StopRetrievalExperimentRequest(experiment_id=experiment_id)
        return await self._send(STOP_RETRIEVAL_EXPERIMENT, request)

    async def get_retrieval_experiment_results(
        self, experiment_id: str
    ) -> RetrievalExperimentResultsResponse:
        """How the two groups of one experiment compare: users with learnings and users without."""
        request = ByExperiment(experiment_id=experiment_id)
        return await self._send(GET_RETRIEVAL_EXPERIMENT_RESULTS, request)
