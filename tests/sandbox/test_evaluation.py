"""What takes long of grading, or counts all sessions. The rest is in ``tests/behaviour/test_grading.py``."""

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


async def test_a_regeneration_grades_ten_sessions_at_once(opened: Opens, clock: VirtualClock) -> None:
    async with opened(evaluation_seconds=10.0) as (_, wire):
        for number in range(11):
            await wire.publish(f"u{number}")
        job = await _start(wire, clock)
        await clock.sleep(15)
        running = await _job(wire, job)
        assert (running["status"], running["completed"]) == ("running", 10)
        assert "finished_at" not in running
        await clock.sleep(10)
        done = await _job(wire, job)
        assert (done["status"], done["completed"]) == ("completed", 11)
        assert done["finished_at"] - done["started_at"] == 20


async def test_a_cancelled_regeneration_ends_with_the_sessions_in_flight(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened(evaluation_seconds=10.0) as (_, wire):
        for number in range(11):
            await wire.publish(f"u{number}")
        job = await _start(wire, clock)
        await clock.sleep(5)
        await wire.send("DELETE", f"{_REGENERATE}/{job['job_id']}")
        assert (await _job(wire, job))["status"] == "running"
        await clock.sleep(6)
        ended = await _job(wire, job)
        assert (ended["status"], ended["completed"]) == ("cancelled", 10)


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


async def test_the_dashboard_has_the_rate_of_success(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (_, wire):
        await wire.publish("a", "fine")
        await wire.publish("b", "that is wrong")
        await _start(wire, clock)
        await clock.sleep(1)
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
