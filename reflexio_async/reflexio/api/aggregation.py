"""Aggregation: from the lessons of many users to lessons for the agent."""

from uuid import uuid4

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.tasks import BackgroundCall
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.jobs import AGGREGATION
from reflexio_async.reflexio.models.aggregation import (
    AggregationChanges,
    ByOperation,
    PlaybookAggregationChangeLogResponse,
    PlaybookAggregationOperation,
    RunPlaybookAggregationRequest,
    RunPlaybookAggregationResponse,
    RunPlaybookAggregationStart,
    RunPlaybookAggregationWait,
    SubmitPlaybookAggregationRequest,
    SubmitPlaybookAggregationStart,
    SubmitPlaybookAggregationWait,
)
from reflexio_async.reflexio.service import SLOW_CALL_DEADLINE

RUN_PLAYBOOK_AGGREGATION = Endpoint(
    "POST",
    "/api/run_playbook_aggregation",
    RunPlaybookAggregationResponse,
    per_minute=10,
    # The server responds when it is done; the parameter raises its deadline to 600 s
    # (server-behaviour: Deadlines).
    deadline=SLOW_CALL_DEADLINE,
    query=(("wait_for_response", "true"),),
)
SUBMIT_PLAYBOOK_AGGREGATION = Endpoint(
    "POST",
    "/api/playbook_aggregation_operations",
    PlaybookAggregationOperation,
    per_minute=10,
    repeatable=True,
    writes=True,
)
GET_PLAYBOOK_AGGREGATION_OPERATION = Endpoint(
    "GET", "/api/playbook_aggregation_operations/{operation_id}", PlaybookAggregationOperation, per_minute=120
)
GET_PLAYBOOK_AGGREGATION_CHANGE_LOGS = Endpoint(
    "GET", "/api/playbook_aggregation_change_logs", PlaybookAggregationChangeLogResponse, refusal="return"
)


class AggregationAPI(API):
    """Calls about aggregation."""

    @takes(RunPlaybookAggregationStart, waiting=RunPlaybookAggregationWait)
    async def run_playbook_aggregation(
        self, request: RunPlaybookAggregationRequest
    ) -> BackgroundCall[RunPlaybookAggregationResponse]:
        """Aggregate the lessons of one agent version now.

        ``message`` of the response says what was done, or why nothing was done. A server runs one aggregation
        at a time. Meanwhile others raise ServerError (503).
        """
        return self._send_in_background(RUN_PLAYBOOK_AGGREGATION, request)

    @takes(SubmitPlaybookAggregationStart, waiting=SubmitPlaybookAggregationWait)
    async def submit_playbook_aggregation(
        self, request: SubmitPlaybookAggregationRequest
    ) -> Job[PlaybookAggregationOperation]:
        """Aggregate the lessons of one agent version as a Job that survives restarts of the server.

        The same ``request_id`` is the same operation, however often it is submitted. The client makes one if
        none is given. Raises Conflict when the ``request_id`` was used for another agent version, or when an
        aggregation of this version is running.
        """
        if request.request_id is None:
            request = request.model_copy(update={"request_id": uuid4().hex})
        began = self._engine.caller.clock.now()
        settings = self._settings_within(request)
        operation = await self._send(SUBMIT_PLAYBOOK_AGGREGATION, request, settings=settings)
        return self._follow(AGGREGATION, operation.operation_id, began=began)

    async def get_playbook_aggregation_operation(self, operation_id: str) -> PlaybookAggregationOperation:
        """The state of one operation that ``submit_playbook_aggregation`` started."""
        request = ByOperation(operation_id=operation_id)
        return await self._send(GET_PLAYBOOK_AGGREGATION_OPERATION, request)

    @takes(AggregationChanges)
    async def get_playbook_aggregation_change_logs(
        self, request: AggregationChanges
    ) -> PlaybookAggregationChangeLogResponse:
        """What aggregations changed in the lessons of one agent version."""
        return await self._send(GET_PLAYBOOK_AGGREGATION_CHANGE_LOGS, request)
