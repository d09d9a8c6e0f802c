"""Aggregation of playbooks, at once or as a durable operation (server-behaviour: Aggregation)."""

from __future__ import annotations

from typing import Any, Final

from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import (
    Response,
    error_response,
    refused,
    succeeded,
    timeout_response,
)
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.deadlines import deadline_of
from reflexio_async.sandbox.reflexio.schemas import aggregation as schemas
from reflexio_async.sandbox.reflexio.state import ReflexioState

_WAIT: Final = 1.0
"""Seconds for which a second run waits for the end of the first."""

routes: Final = Router()


@routes.post("/api/run_playbook_aggregation", per_minute=10)
async def run_playbook_aggregation(
    state: ReflexioState, context: RequestContext, body: schemas.RunPlaybookAggregationRequestSchema
) -> Response:
    """Aggregate one version now, whatever the playbook name. Only one run at a time."""
    aggregator = state.aggregator
    if aggregator.busy:
        await context.wait(_WAIT, aggregator.running)
        if aggregator.busy:
            return error_response(503, "aggregation concurrency limit reached", {"Retry-After": "1"})
    result: dict[str, Any] = {}

    async def work() -> None:
        await aggregator.work(aggregator.seconds)
        if body.agent_version not in aggregator.failing:
            result.update(aggregator.aggregate(body.agent_version))

    aggregator.running = task = state.spawn(work())
    await context.wait(deadline_of(context), task)
    if not task.done():
        return timeout_response(context.correlation_id)
    if not result:
        return refused(message=f"scripted failure of {body.agent_version}")
    return succeeded(message=_message(result))


def _message(result: dict[str, Any]) -> str:
    if result["skipped"]:
        return f"Skipped: {result['skipped']}"
    return (
        f"Processed {result['user_playbooks_processed']} user playbooks, "
        f"found {result['clusters_found']} clusters, "
        f"generated {result['playbooks_generated']} agent playbooks"
    )


@routes.post("/api/playbook_aggregation_operations", per_minute=10)
async def submit_playbook_aggregation(
    state: ReflexioState, body: schemas.SubmitPlaybookAggregationRequestSchema
) -> Response:
    """Queue an operation: one per request id, and one active per version. The same again is returned."""
    operations = state.aggregator.operations.values()
    same = next((known for known in operations if known.request_id == body.request_id), None)
    if same is not None:
        if same.agent_version != body.agent_version:
            return _conflict("request_id parameters changed", same.operation_id)
        return Response(same.view(), 202)
    active = next(
        (known for known in operations if known.active and known.agent_version == body.agent_version), None
    )
    if active is not None:
        return _conflict("aggregation operation already active", active.operation_id)
    operation = state.aggregator.submit(body.request_id, body.agent_version)
    view = operation.view()
    state.spawn(state.aggregator.run(operation))
    return Response(view, 202)


def _conflict(message: str, operation_id: str) -> Response:
    return error_response(409, {"message": message, "operation_id": operation_id})


@routes.get("/api/playbook_aggregation_operations/{operation_id}", per_minute=120)
async def get_playbook_aggregation_operation(state: ReflexioState, operation_id: str) -> Response:
    """One durable operation."""
    operation = state.aggregator.operations.get(operation_id)
    if operation is None:
        return error_response(404, "Aggregation operation not found")
    return Response(operation.view())


@routes.get("/api/playbook_aggregation_change_logs")
async def playbook_aggregation_change_logs(
    state: ReflexioState, query: schemas.AggregationChangeLogQuerySchema
) -> Response:
    """What each run replaced, latest first, with nulls. An entry goes with the playbook that it added."""
    kept = state.store.agent_playbooks
    logs = [
        log
        for log in reversed(state.aggregator.change_logs)
        if (log["playbook_name"], log["agent_version"]) == (query.playbook_name, query.agent_version)
        and log["added_agent_playbooks"][0]["agent_playbook_id"] in kept
    ]
    return succeeded(change_logs=logs)
