"""Grading. The real server cannot do it offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reflexio_async.sandbox import VirtualClock
    from tests.behaviour.wire import Wire
    from tests.sandbox.conftest import Opens

_REGENERATE = "/api/evaluations/regenerate"
_GRADE = "/api/evaluations/grade_on_demand"


async def _start(wire: Wire, clock: VirtualClock) -> Any:
    return (await wire.post(_REGENERATE, from_ts=0, to_ts=int(clock.time()) + 10)).json


async def _job(wire: Wire, job: Any) -> Any:
    return (await wire.get(f"{_REGENERATE}/{job['job_id']}")).json


async def test_a_regeneration_grades_one_session_after_the_other(opened: Opens, clock: VirtualClock) -> None:
    async with opened(evaluation_seconds=10.0, failing_users={"b"}) as (_, wire):
        for user, text in (("a", "thanks"), ("b", "hm"), ("c", "that is wrong")):
            await wire.publish(user, text)
        job = await _start(wire, clock)
        assert job["total"] == 3
        await clock.sleep(25)
        running = await _job(wire, job)
        assert (running["status"], running["completed"], running["failed"]) == ("running", 1, 1)
        assert "finished_at" not in running
        assert running["failures"] == [{"session_id": "s-b", "reason": "scripted failure of b"}]
        again = await wire.post(_REGENERATE, from_ts=0, to_ts=1)
        assert (again.status, again.json["detail"]) == (409, "A regenerate is already running for this org")
        await clock.sleep(10)
        done = await _job(wire, job)
        assert (done["status"], done["completed"], done["failed"]) == ("completed", 2, 1)
        assert done["finished_at"] - done["started_at"] == 30
        results = await wire.post("/api/get_agent_success_evaluation_results")
        verdicts = results.json["agent_success_evaluation_results"]
        assert {row["session_id"]: row["is_success"] for row in verdicts} == {"s-a": True, "s-c": False}


async def test_a_cancelled_regeneration_ends_after_the_current_session(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened(evaluation_seconds=10.0) as (_, wire):
        for user in "abc":
            await wire.publish(user)
        job = await _start(wire, clock)
        await clock.sleep(5)
        cancelled = await wire.send("DELETE", f"{_REGENERATE}/{job['job_id']}")
        assert cancelled.json == {"status": "cancelled"}
        assert (await _job(wire, job))["status"] == "running"
        await clock.sleep(6)
        ended = await _job(wire, job)
        assert (ended["status"], ended["completed"]) == ("cancelled", 1)


async def test_a_finished_regeneration_is_forgotten_after_an_hour(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (_, wire):
        job = await _start(wire, clock)
        await clock.sleep(3599)
        assert (await _job(wire, job))["status"] == "completed"
        await clock.sleep(2)
        assert (await wire.get(f"{_REGENERATE}/{job['job_id']}")).status == 404


async def test_a_grade_on_demand_is_kept_for_a_day(opened: Opens, clock: VirtualClock) -> None:
    async with opened(failing_users={"b"}) as (_, wire):
        await wire.publish("a")
        await wire.publish("b")
        first = (await wire.post(_GRADE, session_id="s-a", agent_version="v")).json
        again = (await wire.post(_GRADE, session_id="s-a", agent_version="v")).json
        await clock.sleep(24 * 3600)
        later = (await wire.post(_GRADE, session_id="s-a", agent_version="v")).json
        assert [answer["cached"] for answer in (first, again, later)] == [False, True, False]
        assert again["result_id"] == first["result_id"] < later["result_id"]
        assert (await wire.post(_GRADE, session_id="s-b", agent_version="v")).status == 500


async def test_the_overview_compares_sources(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (_, wire):
        await wire.publish("a", "fine", source="web")
        await wire.publish("b", "that is wrong", source="mail")
        await _start(wire, clock)
        await clock.sleep(1)
        sets = [{"label": "web", "sources": ["web"]}, {"label": "mail", "sources": ["mail"]}]
        body = {"from_ts": 0, "to_ts": int(clock.time()), "source_sets": sets, "bucket": "day"}
        page = (await wire.post("/api/get_evaluation_overview", **body)).json
        assert (page["hero"]["state"], page["hero"]["regular_success_rate_pp"]) == ("shadow_off", 50.0)
        compared = page["source_set_comparison"]
        assert [each["success_rate_pp"] for each in compared["sets"]] == [100.0, 0.0]
        assert compared["available_sources"] == ["mail", "web"]
        assert page["score_distribution"]["current_bins"] == [1, 1, 0, 0, 0, 0]
        stats = (await wire.post("/api/get_dashboard_stats")).json["stats"]
        assert stats["current_period"]["success_rate"] == 50.0


async def test_experiment_results_compare_the_arms(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (_, wire):
        await wire.post("/api/retrieval_experiments", experiment_id="x1", holdout_percentage=50)
        for user in "ab":  # a is held out, b is not
            found = (await wire.post("/api/search", query="q", user_id=user)).json
            arm = found["experiment"]["arm"]
            text = "that is wrong" if arm == "holdout" else "thanks"
            await wire.publish(user, text, retrieval_experiment_id="x1", retrieval_experiment_arm=arm)
        await wire.publish("c")
        await _start(wire, clock)
        await clock.sleep(1)
        results = (await wire.get("/api/retrieval_experiments/x1/results")).json
        assert (results["treatment"]["success_rate"], results["holdout"]["success_rate"]) == (1.0, 0.0)
        assert results["success_rate_lift_percentage_points"] == 100.0
        assert results["unattributed_evaluated_session_count"] == 1
