"""Generations on virtual time: long, dead and failing ones, and the older dialects."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from reflexio_async.sandbox import VirtualClock
    from tests.sandbox.conftest import Opens

_RERUN = "/api/rerun_profile_generation"
_MANUAL = "/api/manual_profile_generation"


async def test_work_takes_its_time_per_user(opened: Opens, clock: VirtualClock) -> None:
    durations = {"a": 10.0, "b": 20.0}
    async with opened(rerun_seconds=durations.__getitem__) as (box, wire):
        for user in durations:
            box.seed(user)
        await wire.post(_RERUN)
        await clock.sleep(5)
        assert (await wire.operation())["current_user_id"] == "a"
        await clock.sleep(10)
        running = await wire.operation()
        assert (running["processed_user_ids"], running["progress_percentage"]) == (["a"], 50.0)
        assert running["stats"]["total_interactions_processed"] == 0
        await clock.sleep(15.001)
        ended = await wire.operation()
    assert (ended["status"], ended["completed_at"] - ended["started_at"]) == ("completed", 30)


async def test_hours_of_generations_take_little_real_time(opened: Opens, clock: VirtualClock) -> None:
    started = time.perf_counter()
    async with opened(rerun_seconds=60) as (box, wire):
        for index in range(100):
            box.seed(f"u{index}")
            assert (await wire.post(_RERUN, user_id=f"u{index}")).json["success"]
            await clock.sleep(60.5)
        done = [operation.processed for operation in box.operations()]
    assert done == [[f"u{index}"] for index in range(100)]
    assert clock.now() > 6000
    assert time.perf_counter() - started < 60


async def test_a_failing_user_fails_the_operation_and_the_others_are_kept(opened: Opens) -> None:
    async with opened(failing_users={"b"}) as (box, wire):
        for user in "abc":
            box.seed(user)
        await wire.post(_RERUN)
        ended = await wire.ended()
        assert await wire.profiles("c", "pending")
        manual = (await wire.post(_MANUAL)).json
    assert (ended["status"], ended["error_message"]) == ("failed", "Generation failed for 1 user(s)")
    assert ended["failed_user_ids"] == [{"user_id": "b", "error": "scripted failure of b"}]
    assert (ended["processed_users"], ended["failed_users"], ended["progress_percentage"]) == (2, 1, 100.0)
    assert manual == {
        "success": False,
        "msg": (
            "Generation incomplete: completed 2/3 user(s); "
            "check generation status for failures or cancellation"
        ),
        "profiles_generated": 2,
    }


async def test_after_600_seconds_a_poll_declares_a_live_operation_dead(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened(rerun_seconds=700) as (box, wire):
        box.seed("a")
        await wire.post(_RERUN, user_id="a")
        await clock.sleep(600)
        assert (await wire.operation())["status"] == "in_progress"
        await clock.sleep(2)
        dead = await wire.operation()
        assert dead["status"] == "failed"
        assert dead["error_message"] == "Auto-recovered: operation was stuck for 602s (threshold: 600s)"
        await clock.sleep(100)
        assert await wire.profiles("a", "pending"), "it works on and keeps its rows"
        ended = await wire.operation()
        assert (ended["status"], ended["error_message"]) == ("completed", dead["error_message"])


async def test_after_600_seconds_a_rerun_takes_the_slot_over(opened: Opens, clock: VirtualClock) -> None:
    async with opened(rerun_seconds=700) as (box, wire):
        for user in "abc":
            box.seed(user)
        await wire.post(_RERUN)
        await clock.sleep(599)
        assert not (await wire.post(_RERUN, user_id="c")).json["success"]
        await clock.sleep(1)
        assert (await wire.post(_RERUN, user_id="c")).json["success"]
        await clock.sleep(2000)
        first, second = box.operations()
        assert (first.processed, second.processed) == ([], ["c"])
        assert await wire.profiles("a", "pending")
        assert not await wire.profiles("b", "pending"), "the old one stops at its next user"


async def test_cancelling_is_noticed_before_the_next_user(opened: Opens, clock: VirtualClock) -> None:
    async with opened(rerun_seconds=10) as (box, wire):
        for user in "abc":
            box.seed(user)
        await wire.post(_RERUN)
        await clock.sleep(15)
        await wire.post("/api/cancel_operation", service_name="profile_generation")
        assert (await wire.operation())["status"] == "in_progress"
        await clock.sleep(10)
        ended = await wire.operation()
    assert (ended["status"], ended["processed_user_ids"]) == ("cancelled", ["a", "b"])
    assert ended["progress_percentage"] == pytest.approx(66.67, abs=0.01)


async def test_another_client_may_have_the_slot(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (box, wire):
        box.seed("a")
        foreign = box.start_foreign_operation("profile_generation", 30, user_id="theirs")
        with pytest.raises(RuntimeError, match="busy"):
            box.start_foreign_operation("profile_generation", 30)
        assert not (await wire.post(_RERUN, user_id="a")).json["success"]
        assert (await wire.operation())["request_params"]["operation_id"] == foreign.operation_id
        await clock.sleep(31)
        assert (await wire.post(_RERUN, user_id="a")).json["success"]


@pytest.mark.parametrize(("query", "seconds"), [("", 60), ("?wait_for_response=true", 600)])
async def test_a_manual_generation_past_its_deadline_is_504_and_continues(
    opened: Opens, clock: VirtualClock, query: str, seconds: float
) -> None:
    async with opened(rerun_seconds=seconds + 10) as (box, wire):
        box.seed("a")
        answer = await wire.send("POST", _MANUAL + query, json={"user_id": "a"})
        assert (answer.status, clock.now()) == (504, seconds)
        assert answer.json == {
            "detail": "Request timeout",
            "reason": "backstop_timeout",
            "correlation_id": answer.headers["x-correlation-id"],
        }
        await clock.sleep(11)
        assert len(await wire.profiles("a")) == 1


async def test_a_manual_generation_recovers_a_dead_slot(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (box, wire):
        box.seed("a")
        box.start_foreign_operation("profile_generation", 10_000)
        await clock.sleep(601)
        assert (await wire.post(_MANUAL, user_id="a")).json["success"]
        assert box.operations()[0].error == (
            "Auto-recovered: operation was stuck IN_PROGRESS for 601s (threshold: 600s)"
        )


async def test_the_uncorrelated_dialect_has_constant_ids(opened: Opens) -> None:
    async with opened(dialect="uncorrelated") as (box, wire):
        box.seed("a")
        answer = (await wire.post(_RERUN, user_id="a")).json
        assert answer["operation_id"] == "rerun_profile_generation"
        assert not (await wire.post(_RERUN, user_id="a")).json["success"] or box.operations()[0].completed_at
        expected = {"user_id": "a", "start_time": None, "end_time": None, "source": None}
        assert (await wire.ended())["request_params"] == expected


async def test_the_synchronous_dialect_runs_any_number_and_answers_when_done(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened(dialect="synchronous", rerun_seconds=30, failing_users={"c"}) as (box, wire):
        for user in "abc":
            box.seed(user)
        answers = await asyncio.gather(*(wire.post(_RERUN, user_id=user) for user in ("a", "b", "c", "x")))
        assert clock.now() == 30
    default = {"operation_id": "rerun_profile_generation"}
    done = {"success": True, "msg": "Completed for 1 user(s)", "profiles_generated": 1, **default}
    assert [answer.json for answer in answers[:2]] == [done, done]
    assert (answers[2].json["success"], answers[2].json["profiles_generated"]) == (False, 0)
    assert answers[3].json["msg"] == "No interactions found matching the specified filters"
