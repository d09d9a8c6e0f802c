"""Provenance: where a learning came from."""

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.models.provenance import (
    GetLearningProvenanceRequest,
    LearningProvenanceViewResponse,
)

GET_LEARNING_PROVENANCE = Endpoint(
    "POST", "/api/get_learning_provenance", LearningProvenanceViewResponse, repeatable=True
)


class ProvenanceAPI(API):
    """Calls about provenance."""

    @takes(GetLearningProvenanceRequest)
    async def get_learning_provenance(
        self, request: GetLearningProvenanceRequest
    ) -> LearningProvenanceViewResponse:
        """The interactions and user playbooks that one profile or playbook was learned from."""
        return await self._send(GET_LEARNING_PROVENANCE, request)
