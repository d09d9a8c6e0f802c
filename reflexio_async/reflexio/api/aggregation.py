"""Aggregation: from the lessons of many users to lessons for the agent."""

from __future__ import annotations

from uuid import uuid4

from reflexio_async._engine.routing.background_route import BackgroundRoute
from reflexio_async._engine.routing.route import Route
from reflexio_async._engine.routing.single_job_route import SingleJobRoute
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
    by_operation,
)


def _operation_id(operation: PlaybookAggregationOperation) -> str:
    return operation.operation_id


def _with_an_id(request: SubmitPlaybookAggregationRequest) -> SubmitPlaybookAggregationRequest:
    if request.request_id is not None:
        return request
    return request.model_copy(update={"request_id": uuid4().hex})


class AggregationAPI:
    """Aggregating user playbooks to agent playbooks."""

    run_playbook_aggregation = BackgroundRoute(
        "POST",
        "/api/run_playbook_aggregation",
        RunPlaybookAggregationRequest,
        RunPlaybookAggregationResponse,
        start=RunPlaybookAggregationStart,
        wait=RunPlaybookAggregationWait,
        per_minute=10,
        # The server answers when it is done; the parameter lifts its deadline to 600 s (fact).
        deadline=630,
        query=(("wait_for_response", "true"),),
    )
    """Aggregate the lessons of one agent version now; a server runs one at a time and answers 503 meanwhile.

    ``message`` says what came of it, also when there was too little to do.
    """

    submit_playbook_aggregation = SingleJobRoute(
        "/api/playbook_aggregation_operations",
        SubmitPlaybookAggregationRequest,
        PlaybookAggregationOperation,
        start=SubmitPlaybookAggregationStart,
        wait=SubmitPlaybookAggregationWait,
        kind=AGGREGATION,
        started=PlaybookAggregationOperation,
        job_id=_operation_id,
        per_minute=10,
        repeatable=True,
        prepare=_with_an_id,
    )
    """Aggregate durably, as a Job that survives restarts of the server.

    The same ``request_id`` is the same operation, however often it is submitted; one is made when you give
    none. Raises Conflict when it was used for another agent version, or one is running for this version.
    """

    get_playbook_aggregation_operation = Route(
        "GET",
        "/api/playbook_aggregation_operations/{operation_id}",
        by_operation,
        PlaybookAggregationOperation,
        model=ByOperation,
        per_minute=120,
    )
    """Where one durable aggregation stands."""

    get_playbook_aggregation_change_logs = Route(
        "GET",
        "/api/playbook_aggregation_change_logs",
        AggregationChanges,
        PlaybookAggregationChangeLogResponse,
        refusal="return",
    )
    """What aggregations changed of the lessons of one agent version."""
