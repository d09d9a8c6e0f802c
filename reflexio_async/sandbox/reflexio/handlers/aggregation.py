"""Aggregation and review of playbooks."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, Final

from reflexio_async.sandbox.http.responses import Reply, late, problem

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.common import Nothing
    from reflexio_async.sandbox.reflexio.schemas.generation import Review, RunAggregation, SubmitAggregation
    from reflexio_async.sandbox.reflexio.schemas.reading import ChangeLogQuery
    from reflexio_async.sandbox.reflexio.state import World
    from reflexio_async.sandbox.reflexio.store.rows import Playbook

_DEADLINE: Final = 600.0
_PATIENCE: Final = 1.0
"""Seconds for which a second run waits for the first one's end."""


async def run(world: World, call: Call, body: RunAggregation) -> Reply:
    """Aggregate one version now, whatever the playbook name; one run at a time."""
    aggregator = world.aggregator
    if aggregator.busy:
        await call.wait(_PATIENCE, aggregator.running)
        if aggregator.busy:
            return problem(503, "aggregation concurrency limit reached", {"Retry-After": "1"})
    result: dict[str, Any] = {}

    async def work() -> None:
        await (world.clock.sleep(aggregator.seconds) if aggregator.seconds > 0 else asyncio.sleep(0))
        if body.agent_version not in aggregator.failing:
            result.update(aggregator.aggregate(body.agent_version))

    aggregator.running = task = world.spawn(work())
    await call.wait(_DEADLINE, task)
    if not task.done():
        return late(call.correlation_id)
    if not result:
        return Reply({"success": False, "message": f"scripted failure of {body.agent_version}"})
    return Reply({"success": True, "message": _message(result)})


def _message(result: dict[str, Any]) -> str:
    if result["skipped"]:
        return f"Skipped: {result['skipped']}"
    return (
        f"Processed {result['user_playbooks_processed']} user playbooks, "
        f"found {result['clusters_found']} clusters, "
        f"generated {result['playbooks_generated']} agent playbooks"
    )


async def submit(world: World, _call: Call, body: SubmitAggregation) -> Reply:
    """One operation per request id, one active one per version; the same again is answered as it stands."""
    operations = world.aggregator.operations.values()
    same = next((known for known in operations if known.request_id == body.request_id), None)
    if same is not None:
        if same.agent_version != body.agent_version:
            return _conflict("request_id parameters changed", same.operation_id)
        return Reply(same.view(), 202)
    busy = next(
        (known for known in operations if known.active and known.agent_version == body.agent_version), None
    )
    if busy is not None:
        return _conflict("aggregation operation already active", busy.operation_id)
    operation = world.aggregator.submit(body.request_id, body.agent_version)
    view = operation.view()
    world.spawn(world.aggregator.work_off(operation))
    return Reply(view, 202)


def _conflict(message: str, operation_id: str) -> Reply:
    return problem(409, {"message": message, "operation_id": operation_id})


async def get_operation(world: World, call: Call, _body: Nothing) -> Reply:
    """One operation."""
    operation = world.aggregator.operations.get(call.names["operation_id"])
    return problem(404, "Aggregation operation not found") if operation is None else Reply(operation.view())


async def change_logs(world: World, _call: Call, query: ChangeLogQuery) -> Reply:
    """What each run replaced, latest first, with the nulls; gone with the playbooks it is about."""
    kept = world.store.agent_playbooks
    logs = [
        log
        for log in reversed(world.aggregator.logs)
        if (log["playbook_name"], log["agent_version"]) == (query.playbook_name, query.agent_version)
        and log["added_agent_playbooks"][0]["agent_playbook_id"] in kept
    ]
    return Reply({"success": True, "change_logs": logs})


async def review(world: World, _call: Call, body: Review) -> Reply:
    """Look again at the latest current user playbooks: grounded ones are accepted, others are skipped."""
    run_id = f"playbook_review_{uuid.uuid4().hex}"
    if not body.report_only:
        msg = "User playbook review started"
        return Reply({**_tally([], report_only=False), "run_id": run_id, "msg": msg})
    start, end = int(body.start_time.timestamp()), int(body.end_time.timestamp())
    rows = [
        row
        for row in reversed(world.store.playbooks.values())
        if row.status is None and start <= row.created_at <= end
    ][: body.top_k]
    known = {turn.interaction_id for turn in world.store.turns()}
    results = [
        _reviewed(row, grounded=bool(row.interaction_ids) and set(row.interaction_ids) <= known)
        for row in rows
    ]
    msg = f"Reviewed {len(rows)} user playbook(s)"
    return Reply({**_tally(results, report_only=True), "run_id": run_id, "msg": msg})


def _reviewed(row: Playbook, *, grounded: bool) -> dict[str, Any]:
    key = row.user_playbook_id
    if grounded:
        verdict = {"decision": "accept", "reason_code": "grounded_useful"}
    else:
        reason = f"User playbook {key} lacks validated evidence"
        verdict = {"decision": "skip", "reason_code": "evidence_unavailable", "reason": reason}
    return {"user_playbook_id": key, **verdict, "applied": False}


def _tally(results: list[dict[str, Any]], *, report_only: bool) -> dict[str, Any]:
    def count(decision: str) -> int:
        return sum(result["decision"] == decision for result in results)

    return {
        "success": True,
        "report_only": report_only,
        "selected_count": len(results),
        "accepted_count": count("accept"),
        "edited_count": 0,
        "rejected_count": 0,
        "skipped_count": count("skip"),
        "results": results,
    }
