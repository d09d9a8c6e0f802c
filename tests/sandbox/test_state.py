# small local files of the test
"""What is in the data file after a restart, and what was only in memory."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from reflexio_async.sandbox import ReflectSettings, Sandbox, faults
from tests.behaviour.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path

    from reflexio_async.sandbox import VirtualClock
    from tests.sandbox.conftest import Opens

_RERUN = "/api/rerun_profile_generation"
_SUBMIT = "/api/playbook_aggregation_operations"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.db"


@pytest.fixture
def opened(opened: Opens, file: Path) -> Opens:
    return partial(opened, data=file)


async def _live(box: Sandbox, wire: Wire) -> None:
    """Do something of every kind."""
    for user in ("ana", "bob"):
        for text in ("I like our product", "that is wrong", "tea, please"):
            await wire.publish(user, text, request_id=f"{user}-{text}", source="chat")
    await wire.publish("ana", "now", request_id="forced", force_extraction=True)
    await wire.publish("ana", "grade me", evaluation_only=True)
    await wire.post(_RERUN, user_id="ana")
    await wire.ended()
    await wire.post("/api/upgrade_all_profiles")
    await wire.post("/api/rerun_playbook_generation", agent_version="agent-v0")
    await wire.ended("playbook_generation")
    await wire.post("/api/upgrade_all_user_playbooks", agent_version="agent-v0")
    await wire.post(_SUBMIT, request_id="agg", agent_version="agent-v0")
    await wire.post("/api/run_playbook_aggregation", agent_version="agent-v0", playbook_name="playbook")
    await wire.post("/api/update_config", window_size=12)
    await wire.post("/api/retrieval_experiments", experiment_id="e", holdout_percentage=50)
    now = int(box.clock.time())
    await wire.post("/api/session_outcome", session_id="s-ana", outcome="success", occurred_at=now)
    await wire.post("/api/evaluations/grade_on_demand", session_id="s-bob", agent_version="agent-v0")
    question = box.ask("Which city?", user_id="bob")
    await wire.post(f"/api/pending_tool_calls/{question}/resolve", result={"answer": "Oslo"})
    box.ask("Which country?")
    box.stall("auth_error")
    await wire.post("/stall_state/notified")
    await wire.delete("/api/delete_request", request_id="bob-tea, please")
    await box.settled()


async def test_the_next_sandbox_has_everything_that_was_stored(opened: Opens) -> None:
    async with opened() as (box, wire):
        await _live(box, wire)
        before = box.snapshot()
    async with opened() as (box, _):
        assert box.snapshot() == before
    kinds = (
        *("requests", "profiles", "user_playbooks", "agent_playbooks", "operations", "tool_calls"),
        *("aggregation_operations", "session_outcomes", "evaluation_results"),
    )
    assert [kind for kind in kinds if not before[kind]] == []
    assert before["configuration"]["window_size"] == 12
    assert before["configuration"]["retrieval_experiment_config"]["experiment_id"] == "e"
    assert before["stall_state"]["notified_in_cc"] is True


@pytest.mark.parametrize("seed", range(5))
async def test_the_next_sandbox_has_the_result_of_any_changes_in_any_order(opened: Opens, seed: int) -> None:
    draws = random.Random(seed)  # noqa: S311  # a script, not a secret

    async def something(box: Sandbox, wire: Wire) -> None:
        user = draws.choice(("ana", "bob", "cleo"))
        requests, profiles = list(box.stored_requests), [row.profile_id for row in box.stored_profiles]
        playbooks = [row.user_playbook_id for row in box.stored_playbooks]
        agents = [row.agent_playbook_id for row in box.stored_agent_playbooks]
        acts = (
            lambda: wire.publish(user, *"abc"[: draws.randint(1, 3)], force_extraction=draws.random() < 0.5),
            lambda: wire.post("/api/manual_profile_generation", user_id=user),
            lambda: wire.post("/api/rerun_playbook_generation", agent_version="agent-v0"),
            lambda: wire.post("/api/upgrade_all_profiles"),
            lambda: wire.post("/api/downgrade_all_profiles"),
            lambda: wire.post("/api/upgrade_all_user_playbooks", agent_version="agent-v0"),
            lambda: wire.post(
                "/api/run_playbook_aggregation", agent_version="agent-v0", playbook_name="playbook"
            ),
            lambda: wire.delete("/api/delete_request", request_id=draws.choice(requests or ["none"])),
            lambda: wire.delete(
                "/api/delete_profiles_by_ids", profile_ids=[draws.choice(profiles or ["none"])]
            ),
            lambda: wire.put(
                "/api/update_user_playbook",
                user_playbook_id=draws.choice(playbooks or [1]),
                content=str(draws.random()),
            ),
            lambda: wire.put(
                "/api/update_agent_playbook",
                agent_playbook_id=draws.choice(agents or [1]),
                content=str(draws.random()),
            ),
            lambda: wire.post("/api/update_config", window_size=draws.randint(8, 30)),
        )
        await draws.choice(acts)()

    for _ in range(3):
        async with opened() as (box, wire):
            for _ in range(15):
                await something(box, wire)
            await box.settled()
            before = box.snapshot()
        async with opened() as (box, _):
            assert box.snapshot() == before


async def test_an_answered_write_is_in_the_file_while_the_sandbox_still_runs(
    opened: Opens, file: Path, tmp_path: Path
) -> None:
    async with opened() as (_, wire):
        await wire.publish("u", request_id="r")
        copy = tmp_path / "copy.db"
        for suffix in ("", "-wal"):
            copy.with_name(copy.name + suffix).write_bytes(file.with_name(file.name + suffix).read_bytes())
    with closing(sqlite3.connect(copy)) as database:
        kept = database.execute("SELECT key FROM rows WHERE kind = 'request'").fetchall()
    assert kept == [('"r"',)]


async def test_the_id_of_a_deleted_row_is_not_given_again(opened: Opens) -> None:
    async with opened() as (box, wire):
        await wire.publish("u", "one", "two", request_id="r")
        [first] = box.seed_playbook("u", "always greet")
        await wire.delete("/api/delete_request", request_id="r")
        await wire.delete("/api/delete_all_user_playbooks")
    async with opened() as (box, wire):
        await wire.publish("u", "three", request_id="r")
        [turn] = box.stored_requests["r"].interactions
        [second] = box.seed_playbook("u", "never shout")
    assert (turn.interaction_id, second) == (3, first + 1)


async def test_an_operation_under_way_is_dead_in_its_slot_until_it_is_taken_over(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened(rerun_seconds=50) as (box, wire):
        box.seed("u")
        await wire.post(_RERUN, user_id="u")
        await clock.sleep(10)
        before = await wire.operation()
    async with opened(rerun_seconds=50) as (_, wire):
        await clock.sleep(300)
        assert await wire.operation() == before
        assert not (await wire.post(_RERUN, user_id="u")).json["success"]
        await clock.sleep(290)
        assert (await wire.post(_RERUN, user_id="u")).json["success"]
        await clock.sleep(50)
        after = await wire.operation()
    assert after["status"] == "completed"
    assert after["started_at"] - before["started_at"] >= 600


async def test_interactions_that_wait_for_a_window_still_count_towards_it(opened: Opens) -> None:
    async with opened() as (_, wire):
        await wire.publish("u", *"abcdefghi", request_id="nine")
    async with opened() as (box, wire):
        assert (await wire.get("/api/learning_status", request_id="nine")).json["status"] == "pending"
        await wire.publish("u", "j", request_id="ten")
        await box.settled()
        assert (await wire.get("/api/learning_status", request_id="nine")).json["status"] == "done"
        assert len(box.stored_profiles) == 1


async def test_interactions_that_a_window_has_covered_are_not_learnt_from_again(opened: Opens) -> None:
    words = [f"a{number}" for number in range(1, 13)]
    async with opened() as (box, wire):
        await wire.publish("u", *words, request_id="twelve")
        await box.settled()
    async with opened() as (box, wire):
        await wire.publish("u", "b1", request_id="one", force_extraction=True)
        await box.settled()
        assert (await wire.get("/api/learning_status", request_id="twelve")).json["status"] == "done"
        assert [row.content for row in box.stored_profiles] == ["User mentioned: a10", "User mentioned: b1"]


async def test_a_window_that_was_open_is_learnt_from_after_the_start(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened(learning_seconds=60) as (_, wire):
        await wire.publish("u", request_id="r", force_extraction=True)
    async with opened(learning_seconds=60) as (box, wire):
        assert not box.stored_profiles
        await clock.sleep(60)
        assert (await wire.get("/api/learning_status", request_id="r")).json["status"] == "done"
        assert [row.generated_from_request_id for row in box.stored_profiles] == ["r"]


async def test_a_durable_aggregation_continues(opened: Opens, clock: VirtualClock) -> None:
    async with opened(aggregation_seconds=60) as (box, wire):
        box.seed_playbook("u", "greet", "smile")
        submitted = await wire.post(_SUBMIT, request_id="agg", agent_version="agent-v0")
    path = f"{_SUBMIT}/{submitted.json['operation_id']}"
    async with opened(aggregation_seconds=60) as (_, wire):
        assert (await wire.get(path)).json["status"] == "queued"
        await clock.sleep(61)
        assert (await wire.get(path)).json["status"] == "succeeded"


async def test_what_is_in_memory_is_lost(opened: Opens) -> None:
    options = {"rate_limits": True, "evaluation_seconds": 10}
    search = {"user_id": "u", "query": "tea", "session_id": "s"}
    async with opened(**options) as (box, wire):
        box.seed_profile("u", "likes tea")
        statuses = [(await wire.post(_RERUN, user_id="u")).status for _ in range(6)]
        assert statuses == [200] * 5 + [429]
        assert (await wire.post("/api/search", **search)).json["profiles"]
        assert not (await wire.post("/api/search", **search)).json["profiles"]
    async with opened(**options) as (_, wire):
        assert (await wire.post(_RERUN, user_id="u")).status == 200
        assert (await wire.post("/api/search", **search)).json["profiles"]


class Reflecting(Wire):
    """Sends requests to the Reflect server with its master key or another one."""

    async def ask(self, method: str, path: str, key: str = "", **kwargs: Any) -> Any:
        shown = {"Authorization": f"Bearer {key or 'rf_live_sandbox_master'}"}
        answer = await self.send(method, f"/v1/projects/p{path}", headers=shown, **kwargs)
        return answer.json

    async def trace(self, task: str, review: str | None = None) -> str:
        body: dict[str, Any] = {"task": task, "trajectory": [{"role": "assistant", "content": "Oslo"}]}
        if review is not None:
            body["review"] = {"result": review}
        trace_id: str = (await self.ask("POST", "/traces", json=body))["trace_id"]
        return trace_id


async def test_the_next_sandbox_has_what_reflect_stored(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (box, wire):
        reflect = Reflecting(box.reflect_url, wire.session, clock)
        for task, review in (("a", "pass"), ("b", "fail"), ("c", None)):
            await reflect.trace(task, review)
        await clock.settle()
        scoped = {"label": "k", "scopes": ["trace:read"]}
        key = (await reflect.ask("POST", "/api-keys", json=scoped))["api_key"]
        await reflect.ask("POST", "/skill/create", json={})
        box.reflect.seed_memory("d", guidance="look first", applicable_tools=["search"])
        await clock.settle()
        before = box.snapshot()["reflect"]
    async with opened() as (box, wire):
        assert box.snapshot()["reflect"] == before
        reflect = Reflecting(box.reflect_url, wire.session, clock)
        assert len(await reflect.ask("GET", "/traces", key)) == 3
        [found] = await reflect.ask("POST", "/memory/query", json={"task": "a", "limit": 1})
        assert found["guidance"] == "Follow what worked: Oslo"
    project = before["p"]
    assert [len(project[kind]) for kind in ("traces", "memories", "keys")] == [3, 2, 1]
    assert len(before["default"]["memories"]) == 1


async def test_traces_that_wait_for_ingest_still_wait(opened: Opens, clock: VirtualClock) -> None:
    slow = ReflectSettings(ingest_seconds=60, review_seconds=60)
    async with opened(reflect=slow) as (box, wire):
        reflect = Reflecting(box.reflect_url, wire.session, clock)
        stored = await reflect.trace("a", "pass")
        await clock.sleep(90)
        waiting = await reflect.trace("b", "pass")
    async with opened(reflect=slow) as (box, wire):
        assert [trace.id for trace in box.reflect.queued] == [stored, waiting]
        await clock.sleep(60)
        assert [trace.ingest_status for trace in box.reflect.traces("p")] == ["completed", "processing"]
        await clock.sleep(61)
        assert [memory.task for memory in box.reflect.memories("p")] == ["a", "b"]
    async with opened(reflect=slow) as (box, _):
        assert not box.reflect.queued
        assert len(box.reflect.memories("p")) == 2


async def test_a_deleted_project_stays_deleted(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (box, wire):
        reflect = Reflecting(box.reflect_url, wire.session, clock)
        await reflect.trace("a", "pass")
        await clock.settle()
        assert (await reflect.ask("DELETE", ""))["deleted"]
        again = await reflect.trace("b")
        await clock.settle()
    async with opened() as (box, _):
        assert [trace.id for trace in box.reflect.traces("p")] == [again]
        assert not box.reflect.memories("p")


async def test_a_token_is_valid_for_the_next_sandbox_until_it_expires(
    opened: Opens, clock: VirtualClock
) -> None:
    options: dict[str, Any] = {"logins": {"ana": "pw"}, "token_lifetime": 100}
    async with opened(**options) as (_, wire):
        login = await wire.send("POST", "/token", data={"username": "ana", "password": "pw"})
        shown = {"Authorization": f"Bearer {login.json['api_key']}"}
    async with opened(**options) as (_, wire):
        assert (await wire.send("GET", "/api/whoami", headers=shown)).status == 200
        await clock.sleep(100)
        assert (await wire.send("GET", "/api/whoami", headers=shown)).status == 401


@pytest.mark.parametrize("keep_data", [True, False])
async def test_a_restart_keeps_the_data_or_begins_anew(opened: Opens, *, keep_data: bool) -> None:
    async with opened() as (box, wire):
        await wire.publish("u", request_id="r")
        await box.restart(keep_data=keep_data)
        assert list(box.stored_requests) == (["r"] if keep_data else [])
        await wire.publish("u", request_id="s")
    async with opened() as (box, _):
        assert list(box.stored_requests) == (["r", "s"] if keep_data else ["s"])


async def test_a_scripted_restart_reads_the_file_again(opened: Opens) -> None:
    async with opened() as (box, wire):
        await wire.publish("u", request_id="r")
        box.faults.add(faults.restart(after_effect=True), method="POST")
        with pytest.raises(aiohttp.ClientError):
            await wire.publish("u", request_id="s")
        await box.settled()
        assert list(box.stored_requests) == ["r", "s"]


async def test_seeding_before_the_first_start_is_refused(file: Path) -> None:
    box = Sandbox(data=file)
    box.seed("u")
    with pytest.raises(RuntimeError, match="seed once it has started"):
        await box.start()


async def test_a_write_that_the_file_refuses_is_no_success_and_is_tried_again(
    opened: Opens, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened() as (box, wire):
        await _make_read_only(box, wire, only=True)
        refused = await wire.send("POST", "/api/publish_interaction", json=_publish("r"))
        assert (refused.status, refused.text) == (500, "Internal Server Error")
        assert "could not be written" in caplog.text
        await _make_read_only(box, wire, only=False)
        assert (await wire.publish("u", request_id="s"))["success"]
    async with opened() as (box, _):
        assert list(box.stored_requests) == ["r", "s"]


def _publish(request_id: str) -> dict[str, Any]:
    turn = {"role": "user", "content": "hi"}
    return {"user_id": "u", "session_id": "s", "request_id": request_id, "interaction_data_list": [turn]}


async def _make_read_only(box: Sandbox, wire: Wire, *, only: bool) -> None:
    """As when the disk is full."""
    await wire.get("/health")
    storage = box._process.data_file
    assert storage is not None
    database = storage._database
    assert database is not None
    await asyncio.wrap_future(storage._thread.submit(database.execute, f"PRAGMA query_only = {int(only)}"))
