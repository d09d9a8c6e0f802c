"""Evaluation without an LLM, dashboards, stalls and pending tool calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire

_REGENERATE = "/api/evaluations/regenerate"
_CALL = "/api/pending_tool_calls/nope"


async def _finished(wire: Wire, job_id: str) -> Any:
    for _ in range(600):
        job = (await wire.get(f"{_REGENERATE}/{job_id}")).json
        if job["status"] != "running":
            return job
        await asyncio.sleep(0.05)
    message = "the regeneration did not end"
    raise AssertionError(message)


async def test_a_regeneration_is_followed_to_its_end(wire: Wire) -> None:
    """Of a time without sessions: grading one without an LLM has hung the real server's worker."""
    started = (await wire.post(_REGENERATE, from_ts=0, to_ts=1)).json
    assert set(started) == {"job_id", "total"}
    assert started["total"] == 0
    done = await _finished(wire, started["job_id"])
    assert done.pop("finished_at") >= done.pop("started_at")
    assert done == {
        "job_id": started["job_id"],
        "status": "completed",
        "total": 0,
        "completed": 0,
        "failed": 0,
        "failures": [],
        "total_candidates": 0,
        "sampled_count": 0,
        "concurrency_limit": 10,
    }
    cancelled = await wire.send("DELETE", f"{_REGENERATE}/{started['job_id']}")
    assert cancelled.json == {"status": "cancelled"}, "the answer is the same for a finished one"
    assert (await wire.get(f"{_REGENERATE}/{started['job_id']}")).json["status"] == "completed"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_regeneration_is_404(wire: Wire, method: str) -> None:
    answer = await wire.send(method, f"{_REGENERATE}/nope")
    assert (answer.status, answer.json) == (404, {"detail": "Unknown job_id"})


async def test_a_regeneration_of_a_reversed_range_is_422(wire: Wire) -> None:
    answers = {
        _REGENERATE: "from_ts must be strictly before to_ts",
        "/api/get_evaluation_overview": "from_ts must be <= to_ts",
    }
    for path, message in answers.items():
        answer = await wire.post(path, from_ts=2, to_ts=1)
        [error] = answer.json["detail"]
        assert (answer.status, error["msg"]) == (422, f"Value error, {message}")


async def test_grading_an_unknown_session_returns_nulls(wire: Wire, name: str) -> None:
    answer = await wire.post("/api/evaluations/grade_on_demand", session_id=name, agent_version="v")
    assert answer.json == {
        "session_id": name,
        "result_id": None,
        "cached": False,
        "skipped_reason": "NO_REQUESTS",
        "retrieved_learning_status": None,
    }


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (
            "get_agent_success_evaluation_results",
            {
                "success": True,
                "agent_success_evaluation_results": [],
                "msg": "Found 0 evaluation result(s)",
            },
        ),
        (
            "get_retrieved_learning_evaluation_results",
            {"success": True, "results": [], "msg": "Found 0 retrieved-learning evaluation result(s)"},
        ),
    ],
    ids=["grades", "learnings"],
)
async def test_results_of_a_range_without_grades_are_empty(wire: Wire, path: str, answer: Any) -> None:
    assert (await wire.post(f"/api/{path}", end_time="2001-01-01T00:00:00Z")).json == answer


async def test_there_are_no_shadow_comparisons(wire: Wire) -> None:
    assert (await wire.get("/api/evaluations/shadow_comparisons/recent")).json == {"verdicts": []}


async def test_the_overview_of_a_range_without_grades(wire: Wire) -> None:
    body = {"from_ts": 1, "to_ts": 2, "source_sets": [{"label": "all", "sources": ["web", ""]}]}
    page = (await wire.post("/api/get_evaluation_overview", **body)).json
    tiles = {
        "success": {"current": 0.0, "delta_pp": 0.0},
        "behavior_success": {"eligible_sessions": 0, "excluded_system_errors": 0},
        "corrections": {"current": 0.0, "delta": 0.0},
        "turns": {"current": 0.0, "delta": 0.0},
        "escalation": {"current": 0.0, "delta_pp": 0.0},
    }
    bins = {
        "current_bins": [0] * 6,
        "baseline_bins": [0] * 6,
        "labels": ["0", "1", "2", "3", "4", "5+"],
    }
    no_shadows = {"n": 0, "wins": 0, "losses": 0, "ties": 0, "win_rate": 0.0, "net_win": 0.0}
    assert page == {
        "hero": {"state": "empty", "regular_success_rate_pp": 0.0, "buckets": []},
        "context_tiles": tiles,
        "rule_attribution": [],
        "score_distribution": bins,
        "braintrust_tiles": [],
        "shadow_win_rate_trend": {
            "daily": [],
            "window_total": no_shadows,
            "judge_prompt_version": "v1.1.0",
        },
        "recent_results": [],
        "source_set_comparison": {
            "available_sources": [],
            "source_sessions": [],
            "sets": [
                {
                    "label": "all",
                    "sources": ["web", ""],
                    "session_count": 0,
                    "session_ids": [],
                    "success_rate_pp": 0.0,
                    "buckets": [],
                    "context_tiles": tiles,
                    "score_distribution": bins,
                    "rule_attribution": [],
                    "braintrust_tiles": [],
                }
            ],
            "unmatched_session_count": 0,
        },
    }


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([{"label": "a", "sources": ["x"]}, {"label": "a", "sources": ["y"]}], "labels must be unique"),
        ([{"label": "a", "sources": ["x"]}, {"label": "b", "sources": ["x"]}], "multiple source sets: 'x'"),
        ([{"label": "a", "sources": ["x", "x"]}], "source set sources must be unique"),
    ],
    ids=["label", "overlap", "source"],
)
async def test_source_sets_must_be_distinct(wire: Wire, sets: list[Any], message: str) -> None:
    answer = await wire.post("/api/get_evaluation_overview", from_ts=1, to_ts=2, source_sets=sets)
    assert answer.status == 422
    assert message in answer.json["detail"][0]["msg"]


async def test_the_dashboard_counts_by_day(wire: Wire, name: str) -> None:
    async def stats() -> Any:
        answer = (await wire.post("/api/get_dashboard_stats", days_back=7)).json
        assert (answer["success"], answer["msg"]) == (True, "Retrieved dashboard stats successfully")
        return answer["stats"]

    before = (await stats())["current_period"]
    await wire.publish(name, "one", "two")
    after = await stats()
    assert set(after) == {
        "current_period",
        "previous_period",
        "interactions_time_series",
        "profiles_time_series",
        "playbooks_time_series",
        "evaluations_time_series",
    }
    assert after["current_period"]["total_interactions"] == before["total_interactions"] + 2
    today = after["interactions_time_series"][-1]
    assert today["timestamp"] % 86_400 == 0
    assert today["value"] >= 2.0
    refused = await wire.post("/api/get_dashboard_stats", days_back=0)
    assert (refused.status, refused.json["detail"][0]["type"]) == (422, "greater_than")


async def test_citations_are_counted(wire: Wire, name: str) -> None:
    cited = {"kind": "user_playbook", "real_id": name, "title": "Greet"}
    for index in range(2):
        turn = {"role": "assistant", "content": "hello", "citations": [cited]}
        await wire.publish(name, request_id=f"{name}-{index}", interaction_data_list=[turn])
    answer = (await wire.post("/api/get_playbook_application_stats")).json
    assert answer["msg"] == "Retrieved playbook application stats successfully"
    [row] = [row for row in answer["stats"] if row["real_id"] == name]
    assert {"kind": "user_playbook", "title": "Greet", "applied_count": 2}.items() <= row.items()
    assert {"last_applied_at", "last_interaction_id"} <= set(row)


async def test_the_stall_state_is_clean(wire: Wire) -> None:
    clean = {
        "stalled": False,
        "reason": None,
        "stalled_at": None,
        "reset_estimate": None,
        "notified_in_cc": False,
        "error_message": None,
    }
    assert (await wire.get("/stall_state")).json == clean
    assert (await wire.send("POST", "/stall_state/notified")).json == {"notified_in_cc": False}


@pytest.mark.parametrize("path", ["/healthz", "/healthz/eval"])
async def test_more_probes(wire: Wire, path: str) -> None:
    answer = await wire.get(path)
    expected = {
        "/healthz": {"pid", "uptime_sec", "request_count", "rss_mb"},
        "/healthz/eval": {
            "skip_counts",
            "producer_failures_24h",
            "last_tick_monotonic",
            "retrieved_learning",
            "liveness",
        },
    }
    assert (answer.status, set(answer.json)) == (200, expected[path])


async def test_there_are_no_pending_tool_calls(wire: Wire) -> None:
    assert (await wire.get("/api/pending_tool_calls")).json == {"pending_tool_calls": []}


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "501"}, {"status": "bogus"}, {"status": ""}])
async def test_a_bad_list_of_tool_calls_is_422(wire: Wire, query: dict[str, str]) -> None:
    answer = await wire.get("/api/pending_tool_calls", **query)
    assert (answer.status, answer.json["detail"][0]["loc"]) == (422, ["query", *query])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", _CALL, None),
        ("POST", f"{_CALL}/resolve", {"result": {}}),
        ("PATCH", f"{_CALL}/answer", {"answer": "a"}),
        ("POST", f"{_CALL}/not_applicable", {}),
        ("POST", f"{_CALL}/cancel", None),
    ],
)
async def test_an_unknown_tool_call_is_404(wire: Wire, method: str, path: str, body: Any) -> None:
    answer = await wire.send(method, path, json=body)
    assert (answer.status, answer.json) == (404, {"detail": "Pending tool call not found"})


@pytest.mark.parametrize(
    ("method", "path", "body", "kind"),
    [
        ("POST", "resolve", {"result": {}, "z": 1}, "extra_forbidden"),
        ("POST", "resolve", {}, "missing"),
        ("PATCH", "answer", {"answer": ""}, "string_too_short"),
        ("POST", "not_applicable", {"valid_for_seconds": 0}, "greater_than"),
    ],
    ids=["unknown", "no result", "no answer", "no time"],
)
async def test_a_bad_answer_to_a_tool_call_is_422(
    wire: Wire, method: str, path: str, body: Any, kind: str
) -> None:
    answer = await wire.send(method, f"{_CALL}/{path}", json=body)
    assert (answer.status, answer.json["detail"][0]["type"]) == (422, kind)


async def test_another_method_of_a_named_path_is_405(wire: Wire) -> None:
    answer = await wire.send("PUT", f"{_REGENERATE}/nope")
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(", ")) <= {"DELETE", "GET"}


async def test_braintrust_is_connected_and_disconnected(wire: Wire) -> None:
    nothing = {"connected": False, "workspace_id": "", "workspace_name": "", "project_count": 0}
    await wire.send("DELETE", "/api/braintrust/connection")
    assert (await wire.get("/api/braintrust/status")).json == nothing
    unconnected = (await wire.send("POST", "/api/braintrust/sync")).json
    assert unconnected == {"success": False, "scored_count": 0, "msg": "Not connected to Braintrust."}
    body = {"api_key": "k", "workspace_id": "w", "project_ids": ["p", "q"]}
    selected = await wire.post("/api/braintrust/select_projects", **body)
    assert selected.json == {"success": True, "msg": "Connected."}
    status = (await wire.get("/api/braintrust/status")).json
    assert status == {"connected": True, "workspace_id": "w", "workspace_name": "", "project_count": 2}
    assert (await wire.send("DELETE", "/api/braintrust/connection")).json == {"success": True}
    assert (await wire.get("/api/braintrust/status")).json == nothing
