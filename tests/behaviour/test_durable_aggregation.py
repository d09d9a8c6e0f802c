"""Durable aggregation: repeated requests, conflicts and retries."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.bench import AGGREGATION
from tests.behaviour.rows import add_playbooks

if TYPE_CHECKING:
    from tests.behaviour.bench import Bench

_PATH = "/api/playbook_aggregation_operations"


@pytest.fixture(autouse=True)
async def offered(bench: Bench) -> None:
    answer = await bench.wire.get(f"{_PATH}/nope")
    if answer.status == 503 and not os.environ.get("CI"):
        pytest.skip("there is no SQLite here that loads extensions")


async def _submitted(bench: Bench, request_id: str, version: str) -> Any:
    answer = await bench.wire.post(_PATH, request_id=request_id, agent_version=version)
    assert answer.status == 202, answer.text
    return answer.json


async def _reached(bench: Bench, operation_id: str, *statuses: str) -> Any:
    """The operation, once it is in one of these states."""
    seen: Any = None

    async def there() -> bool:
        nonlocal seen
        seen = (await bench.wire.get(f"{_PATH}/{operation_id}")).json
        return seen["status"] in statuses

    await bench.until(there)
    return seen


async def test_an_operation_is_queued_runs_and_succeeds(bench: Bench, name: str) -> None:
    version = f"{name}-works{AGGREGATION}"
    await add_playbooks(bench.wire, version, "greet", "smile")
    queued = await _submitted(bench, name, version)
    assert queued.pop("operation_id")
    created, due = queued.pop("created_at"), queued.pop("next_attempt_at")
    assert (queued.pop("updated_at"), due) == (created, created)
    assert queued == {
        "request_id": name,
        "agent_version": version,
        "status": "queued",
        "started_at": None,
        "completed_at": None,
        "attempts": 0,
        "error": None,
        "result": None,
    }
    operation_id = (await _submitted(bench, name, version))["operation_id"]
    running = await _reached(bench, operation_id, "running")
    assert (running["attempts"], running["error"], running["result"]) == (1, None, None)
    assert running["started_at"] is not None
    ended = await _reached(bench, operation_id, "succeeded", "failed")
    assert (ended["status"], ended["attempts"], ended["error"]) == ("succeeded", 1, None)
    assert ended["completed_at"] >= ended["started_at"]
    counts = ("clusters_found", "user_playbooks_processed", "playbooks_generated")
    assert set(ended["result"]) == {*counts, "skipped"}
    assert ended["result"]["user_playbooks_processed"] == 2


async def test_the_same_request_gets_the_same_operation(bench: Bench, name: str) -> None:
    first = await _submitted(bench, name, name)
    ended = await _reached(bench, first["operation_id"], "succeeded")
    assert await _submitted(bench, name, name) == ended


async def test_too_little_to_aggregate_is_a_success(bench: Bench, name: str) -> None:
    submitted = await _submitted(bench, name, name)
    ended = await _reached(bench, submitted["operation_id"], "succeeded")
    assert ended["result"]["playbooks_generated"] == 0


async def test_the_same_id_for_another_version_conflicts(bench: Bench, name: str) -> None:
    first = await _submitted(bench, name, name)
    conflict = await bench.wire.post(_PATH, request_id=name, agent_version=f"{name}-other")
    expected = {"message": "request_id parameters changed", "operation_id": first["operation_id"]}
    assert (conflict.status, conflict.json["detail"]) == (409, expected)


async def test_a_version_has_one_operation_at_a_time(bench: Bench, name: str) -> None:
    version = f"{name}-works{AGGREGATION}"
    first = await _submitted(bench, name, version)
    conflict = await bench.wire.post(_PATH, request_id=f"{name}-2", agent_version=version)
    expected = {"message": "aggregation operation already active", "operation_id": first["operation_id"]}
    assert (conflict.status, conflict.json["detail"]) == (409, expected)
    await _reached(bench, first["operation_id"], "succeeded")
    again = await _submitted(bench, f"{name}-2", version)
    assert again["operation_id"] != first["operation_id"]
    await _reached(bench, again["operation_id"], "succeeded")


async def test_a_failing_operation_is_tried_five_times(bench: Bench, name: str) -> None:
    submitted = await _submitted(bench, name, f"{name}-fails")
    operation_id = submitted["operation_id"]
    retrying = await _reached(bench, operation_id, "retrying")
    assert (retrying["error"], retrying["result"]) == ("execution_failed", None)
    assert retrying["next_attempt_at"] >= retrying["updated_at"]
    if bench.wire.clock is not None:
        await bench.sleep(15 * bench.timings.retry)  # 1 + 2 + 4 + 8
    failed = await _reached(bench, operation_id, "failed")
    assert (failed["attempts"], failed["error"], failed["result"]) == (5, "attempts_exhausted", None)
    assert failed["completed_at"] is not None
    assert await _submitted(bench, name, f"{name}-fails") == failed


async def test_an_unknown_operation_is_404(bench: Bench) -> None:
    answer = await bench.wire.get(f"{_PATH}/nope")
    assert (answer.status, answer.json) == (404, {"detail": "Aggregation operation not found"})
