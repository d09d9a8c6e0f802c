"""Durable aggregation. The real server has it only with an extension of SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from reflexio_async.sandbox import Sandbox, VirtualClock
    from tests.behaviour.wire import Answer, Wire
    from tests.sandbox.conftest import Opens

_PATH = "/api/playbook_aggregation_operations"


async def _submit(wire: Wire, request_id: str = "r", agent_version: str = "v") -> Answer:
    return await wire.post(_PATH, request_id=request_id, agent_version=agent_version)


async def _look(wire: Wire, operation: Any) -> Any:
    return (await wire.get(f"{_PATH}/{operation['operation_id']}")).json


async def _learnt(box: Sandbox, wire: Wire, version: str = "v") -> None:
    for user in "ab":
        box.seed(user, agent_version=version)
    await wire.post("/api/manual_playbook_generation", agent_version=version)


async def test_an_operation_is_queued_runs_and_succeeds(opened: Opens, clock: VirtualClock) -> None:
    async with opened(aggregation_seconds=20.0) as (box, wire):
        await _learnt(box, wire)
        answer = await _submit(wire)
        queued = answer.json
        assert answer.status == 202
        assert (queued["status"], queued["attempts"], queued["started_at"]) == ("queued", 0, None)
        assert {"error": None, "result": None, "completed_at": None}.items() <= queued.items()
        await clock.sleep(11)
        assert (await _look(wire, queued))["status"] == "running"
        await clock.sleep(10)
        done = await _look(wire, queued)
        assert (done["status"], done["attempts"], done["error"]) == ("succeeded", 1, None)
        assert done["result"] == {
            "clusters_found": 1,
            "user_playbooks_processed": 2,
            "playbooks_generated": 1,
            "skipped": None,
        }
        [playbook] = box.stored_agent_playbooks
        assert playbook.agent_version == "v"


async def test_the_same_request_gets_the_operation_as_it_is(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (_, wire):
        first = (await _submit(wire)).json
        await clock.sleep(1)
        again = await _submit(wire)
        assert (again.status, again.json["operation_id"]) == (202, first["operation_id"])
        assert again.json["status"] == "succeeded"
        assert again.json["result"]["skipped"] == "not enough new playbooks (0 < 2)"


async def test_a_failing_operation_is_retried_five_times(opened: Opens, clock: VirtualClock) -> None:
    async with opened(failing_users={"v"}, aggregation_seconds=2.0) as (_, wire):
        operation = (await _submit(wire)).json
        await clock.sleep(3)
        retrying = await _look(wire, operation)
        assert (retrying["status"], retrying["error"]) == ("retrying", "execution_failed")
        assert retrying["next_attempt_at"] == retrying["updated_at"] + 60
        await clock.sleep(60 + 120 + 240 + 480 + 10)
        failed = await _look(wire, operation)
        assert (failed["status"], failed["attempts"], failed["error"]) == ("failed", 5, "attempts_exhausted")
        blocking = await wire.post("/api/run_playbook_aggregation", agent_version="v")
        assert blocking.json == {"success": False, "message": "scripted failure of v"}


async def test_a_run_of_more_than_ten_minutes_is_504(opened: Opens, clock: VirtualClock) -> None:
    async with opened(aggregation_seconds=601.0) as (_, wire):
        started = clock.now()
        answer = await wire.post("/api/run_playbook_aggregation", agent_version="v")
        assert (answer.status, answer.json["reason"]) == (504, "backstop_timeout")
        assert clock.now() - started == pytest.approx(600)
