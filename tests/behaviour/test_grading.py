"""Grading of sessions, which asks a model. The real server's is scripted: ``tests/real/patched_app.py``."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tests.behaviour.bench import GRADING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.behaviour.bench import Bench
    from tests.behaviour.wire import Answer

_REGENERATE = "/api/evaluations/regenerate"
_COMPLAINT = "that is wrong"


async def _grade(bench: Bench, user: str, version: str) -> Answer:
    return await bench.wire.post(
        "/api/evaluations/grade_on_demand", session_id=f"s-{user}", agent_version=version
    )


async def _grades(bench: Bench, version: str) -> list[Any]:
    answer = await bench.wire.post("/api/get_agent_success_evaluation_results", agent_version=version)
    grades: list[Any] = answer.json["agent_success_evaluation_results"]
    return grades


async def _forget_interactions(bench: Bench, user: str) -> None:
    for row in (await bench.wire.post("/api/get_interactions", user_id=user)).json["interactions"]:
        answer = await bench.wire.send(
            "DELETE",
            "/api/delete_interaction?wait_for_response=true",
            json={"user_id": user, "interaction_id": row["interaction_id"]},
        )
        assert answer.json["success"]


async def _next_second(bench: Bench) -> int:
    """A second in which no other test has published: its sessions can be graded alone."""
    await bench.sleep(1.1)
    return int(bench.now)


async def _start(bench: Bench, begun: int) -> Any:
    """A regeneration of what was published since ``begun``."""
    return (await bench.wire.post(_REGENERATE, from_ts=begun, to_ts=int(bench.now) + 1)).json


async def _ended(bench: Bench, job: Any) -> Any:
    seen: Any = None

    async def ended() -> bool:
        nonlocal seen
        seen = (await bench.wire.get(f"{_REGENERATE}/{job['job_id']}")).json
        return str(seen["status"]) != "running"

    await bench.until(ended)
    return seen


async def _publish_each(bench: Bench, users: Sequence[str], version: str) -> None:
    for user in users:
        await bench.wire.publish(user, "thanks", agent_version=version)


async def test_a_session_has_failed_when_its_user_complained(bench: Bench, name: str) -> None:
    await bench.wire.publish(f"{name}-pleased", "hello", "thanks", agent_version=name)
    await bench.wire.publish(f"{name}-cross", "hello", _COMPLAINT, agent_version=name)
    for user in ("pleased", "cross"):
        assert (await _grade(bench, f"{name}-{user}", name)).json["result_id"]
    cross, pleased = sorted(await _grades(bench, name), key=itemgetter("user_id"))
    for row in (pleased, cross):
        assert row.pop("result_id")
        assert row.pop("created_at")
    shared = {"agent_version": name, "evaluation_name": "agent_success", "is_escalated": False}
    assert pleased == {
        **shared,
        "user_id": f"{name}-pleased",
        "session_id": f"s-{name}-pleased",
        "is_success": True,
        "failure_type": "",
        "failure_reason": "",
        "number_of_correction_per_session": 0,
        "user_turns_to_resolution": 2,
    }
    assert cross == {
        **shared,
        "user_id": f"{name}-cross",
        "session_id": f"s-{name}-cross",
        "is_success": False,
        "failure_type": "wrong_answer",
        "failure_reason": "The user complained.",
        "number_of_correction_per_session": 1,
    }


async def test_a_grade_on_demand_is_kept(bench: Bench, name: str) -> None:
    await bench.wire.publish(name, "thanks", agent_version=name)
    first, again = (await _grade(bench, name, name)).json, (await _grade(bench, name, name)).json
    assert first == {
        "session_id": f"s-{name}",
        "result_id": first["result_id"],
        "cached": False,
        "skipped_reason": None,
        "retrieved_learning_status": "not_applicable",
    }
    assert again == {**first, "cached": True}


async def test_a_grade_on_demand_that_fails_is_500(bench: Bench, name: str) -> None:
    await bench.wire.publish(f"{name}-fails", agent_version=name)
    assert (await _grade(bench, f"{name}-fails", name)).status == 500


async def test_a_session_without_interactions_has_no_grade(bench: Bench, name: str) -> None:
    await bench.wire.publish(name, agent_version=name)
    await _forget_interactions(bench, name)
    for _ in range(2):
        assert (await _grade(bench, name, name)).json == {
            "session_id": f"s-{name}",
            "result_id": None,
            "cached": False,
            "skipped_reason": None,
            "retrieved_learning_status": "skipped",
        }
    assert await _grades(bench, name) == []


async def test_a_grade_has_the_time_at_which_its_session_began(bench: Bench, name: str) -> None:
    await bench.wire.publish(name, agent_version=name)
    await _next_second(bench)
    await bench.wire.publish(name, agent_version=name)
    await _grade(bench, name, name)
    [grade] = await _grades(bench, name)
    listed = (await bench.wire.post("/api/get_requests", user_id=name)).json["sessions"]
    began = [each["request"]["created_at"] for session in listed for each in session["requests"]]
    assert grade["created_at"] == min(began) < max(began)


async def test_a_regeneration_grades_every_session_and_names_the_failures(bench: Bench, name: str) -> None:
    pleased, failing, silent = f"{name}-pleased", f"{name}-fails", f"{name}-silent"
    begun = await _next_second(bench)
    await _publish_each(bench, (pleased, failing, silent), name)
    await _forget_interactions(bench, silent)
    job = await _start(bench, begun)
    assert job == {"job_id": job["job_id"], "total": 3}
    done = await _ended(bench, job)
    assert done.pop("finished_at") >= done.pop("started_at")
    cause = f"identifier={failing}: scripted failure of {failing} (type=RuntimeError)"
    assert done == {
        **job,
        "status": "completed",
        "completed": 2,
        "failed": 1,
        "failures": [
            {
                "session_id": f"s-{failing}",
                "reason": f"Extractor failed for agent_success_evaluation {cause}",
            }
        ],
        "total_candidates": 3,
        "sampled_count": 3,
        "concurrency_limit": 10,
    }
    assert [row["user_id"] for row in await _grades(bench, name)] == [pleased]


async def test_a_regeneration_replaces_the_last_grade(bench: Bench, name: str) -> None:
    begun = await _next_second(bench)
    await bench.wire.publish(name, agent_version=name)
    first = (await _grade(bench, name, name)).json["result_id"]
    await _ended(bench, await _start(bench, begun))
    [grade] = await _grades(bench, name)
    assert grade["result_id"] > first


async def test_a_session_counts_for_each_version_and_source_in_it(bench: Bench, name: str) -> None:
    begun = await _next_second(bench)
    for version, source in (("v1", "web"), ("v2", "web"), ("v2", "mail")):
        await bench.wire.publish(name, agent_version=f"{name}-{version}", source=source)
    done = await _ended(bench, await _start(bench, begun))
    assert done["total"] == 3  # on the real server two of one version may collide, and one fails
    [grade] = await _grades(bench, f"{name}-v1")
    assert grade["user_turns_to_resolution"] == 3, "all of the session is read"


async def test_only_one_regeneration_runs_and_it_can_be_cancelled(bench: Bench, name: str) -> None:
    begun = await _next_second(bench)
    await _publish_each(bench, [f"{name}-{number}-works{GRADING}" for number in range(11)], name)
    job = await _start(bench, begun)
    again = await bench.wire.post(_REGENERATE, from_ts=0, to_ts=1)
    assert (again.status, again.json) == (409, {"detail": "A regenerate is already running for this org"})
    cancelled = await bench.wire.send("DELETE", f"{_REGENERATE}/{job['job_id']}")
    assert cancelled.json == {"status": "cancelled"}
    done = await _ended(bench, job)
    assert (done["status"], done["total"]) == ("cancelled", 11)
    assert done["completed"] <= 10, "no session begins after that"


async def test_the_overview_compares_sources(bench: Bench, name: str) -> None:
    begun = await _next_second(bench)
    await bench.wire.publish(f"{name}-pleased", "hello", "thanks", agent_version=name, source="web")
    await _next_second(bench)
    await bench.wire.publish(f"{name}-cross", _COMPLAINT, agent_version=name, source="mail")
    for user in ("cross", "pleased"):
        await _grade(bench, f"{name}-{user}", name)
    sets = [{"label": source, "sources": [source]} for source in ("web", "mail")]
    page = (
        await bench.wire.post(
            "/api/get_evaluation_overview",
            from_ts=begun,
            to_ts=int(bench.now),
            source_sets=sets,
            bucket="day",
        )
    ).json
    [bucket] = page["hero"].pop("buckets")
    assert bucket.pop("ts") == begun - begun % 86400
    assert page["hero"] == {"state": "shadow_off", "regular_success_rate_pp": 50.0}
    assert bucket == {
        "regular_rate": 0.5,
        "regular_n": 2,
        "shadow_n": 0,
        "avg_corrections": 0.5,
        "escalation_rate": 0.0,
    }
    tiles = page["context_tiles"]
    assert tiles["behavior_success"].pop("eligible_sessions") == 2
    assert {name: tile["current"] for name, tile in tiles.items()} == {
        "success": 50.0,
        "behavior_success": 50.0,
        "corrections": 0.5,
        "turns": 2.0,  # only of sessions that succeeded
        "escalation": 0.0,
    }
    assert page["score_distribution"]["current_bins"] == [1, 1, 0, 0, 0, 0]
    newest_session_first = [f"{name}-cross", f"{name}-pleased"]
    assert [row["user_id"] for row in page["recent_results"]] == newest_session_first
    compared = page["source_set_comparison"]
    assert compared["available_sources"] == ["mail", "web"]
    assert compared["unmatched_session_count"] == 0
    shown = [(each["label"], each["session_ids"], each["success_rate_pp"]) for each in compared["sets"]]
    assert shown == [
        ("web", [f"s-{name}-pleased"], 100.0),
        ("mail", [f"s-{name}-cross"], 0.0),
    ]
