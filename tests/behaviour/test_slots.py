"""Long generations: failing users, cancelling, and dead operations."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.behaviour.bench import Bench

_RERUN = "/api/rerun_profile_generation"
_RERUN_PLAYBOOKS = "/api/rerun_playbook_generation"
_MANUAL = "/api/manual_profile_generation"
_CANCEL = "/api/cancel_operation"


async def _users(bench: Bench, name: str, *kinds: str) -> list[str]:
    """Users of their own source and agent version, one of each kind."""
    users = [f"{name}-{index}-{kind}" for index, kind in enumerate(kinds)]
    for user in users:
        await bench.wire.publish(user, source=name, agent_version=name)
    return users


async def _working_on(bench: Bench, user: str) -> Any:
    """The operation, once it is at this user."""

    async def begun() -> bool:
        return bool((await bench.wire.operation()).get("current_user_id") == user)

    await bench.until(begun)
    return await bench.wire.operation()


async def test_a_busy_service_refuses_with_200_and_a_constant_id(bench: Bench, name: str) -> None:
    [slow] = await _users(bench, name, "works1")
    answers = await asyncio.gather(*(bench.wire.post(_RERUN, user_id=slow) for _ in range(5)))
    [admitted] = (answer.json for answer in answers if answer.json["success"])
    refusals = [answer.json for answer in answers if not answer.json["success"]]
    busy = "Another generation attempt is already in progress"
    assert refusals == [{"success": False, "msg": busy, "operation_id": "rerun_profile_generation"}] * 4
    manual = (await bench.wire.post(_MANUAL, user_id=slow)).json
    busy = "A profile_generation operation is already in progress. Please wait for it to complete."
    assert manual == {"success": False, "msg": busy, "profiles_generated": 0}
    ended = await bench.wire.ended()
    assert ended["request_params"]["operation_id"] == admitted["operation_id"]


@pytest.mark.parametrize("service", ["profile_generation", "playbook_generation"])
async def test_a_failing_user_fails_the_operation_and_the_others_are_kept(
    bench: Bench, name: str, service: str
) -> None:
    first, bad, last, worse = await _users(bench, name, "a", "fails", "b", "fails")
    start = {"source": name} if service == "profile_generation" else {"agent_version": name}
    await bench.wire.post(f"/api/rerun_{service}", **start)
    ended = await bench.wire.ended(service)
    assert (ended["status"], ended["error_message"]) == ("failed", "Generation failed for 2 user(s)")
    assert ended["failed_user_ids"] == [
        {"user_id": user, "error": f"scripted failure of {user}"} for user in (bad, worse)
    ]
    assert ended["processed_user_ids"] == [first, last]
    assert (ended["total_users"], ended["processed_users"], ended["failed_users"]) == (4, 2, 2)
    assert (ended["progress_percentage"], ended["stats"]["total_generated"]) == (100.0, 2)


async def test_while_it_runs_the_status_names_the_user(bench: Bench, name: str) -> None:
    [slow] = await _users(bench, name, "works1")
    admitted = (await bench.wire.post(_RERUN, user_id=slow)).json
    running = await _working_on(bench, slow)
    assert (running["status"], running["progress_percentage"]) == ("in_progress", 0.0)
    assert running["request_params"]["operation_id"] == admitted["operation_id"]
    assert not {"completed_at", "error_message"} & set(running)
    await bench.wire.ended()


async def test_failed_users_do_not_count_as_progress(bench: Bench, name: str) -> None:
    bad, slow, _ = await _users(bench, name, "fails", "works1.5", "c")
    await bench.wire.post(_RERUN, source=name)
    running = await _working_on(bench, slow)
    assert (running["status"], running["progress_percentage"]) == ("in_progress", 0.0)
    assert [failed["user_id"] for failed in running["failed_user_ids"]] == [bad]
    assert not {"completed_at", "error_message"} & set(running)
    await bench.wire.ended()


async def test_a_manual_generation_with_a_user_that_fails_is_incomplete(bench: Bench, name: str) -> None:
    await _users(bench, name, "a", "fails")
    answer = (await bench.wire.post("/api/manual_playbook_generation", agent_version=name, source=name)).json
    expected = (
        "Generation incomplete: completed 1/2 user(s); check generation status for failures or cancellation"
    )
    assert answer == {"success": False, "msg": expected, "playbooks_generated": 1}


async def test_a_cancellation_takes_effect_after_the_current_user(bench: Bench, name: str) -> None:
    first, slow, _ = await _users(bench, name, "a", "works1.5", "c")
    await bench.wire.post(_RERUN, source=name)
    await _working_on(bench, slow)
    assert (await bench.wire.post(_CANCEL)).json == {
        "success": True,
        "cancelled_services": ["profile_generation"],
        "msg": "Cancellation requested for: profile_generation",
    }
    await bench.sleep(0.3)
    assert (await bench.wire.operation())["status"] == "in_progress"
    ended = await bench.wire.ended()
    assert (ended["status"], ended["processed_user_ids"]) == ("cancelled", [first, slow])
    assert ended["progress_percentage"] == pytest.approx(66.67, abs=0.01)
    assert "error_message" not in ended
    assert ended["completed_at"] >= ended["started_at"]


async def test_a_cancellation_during_the_last_user_is_accepted_and_ignored(bench: Bench, name: str) -> None:
    users = await _users(bench, name, "a", "works1")
    await bench.wire.post(_RERUN, source=name)
    await _working_on(bench, users[-1])
    assert (await bench.wire.post(_CANCEL)).json["success"]
    ended = await bench.wire.ended()
    assert (ended["status"], ended["processed_user_ids"]) == ("completed", users)


async def test_a_cancellation_of_a_single_user_is_accepted_and_ignored(bench: Bench, name: str) -> None:
    [slow] = await _users(bench, name, "works1")
    await bench.wire.post(_RERUN, user_id=slow)
    await _working_on(bench, slow)
    answer = await bench.wire.post(_CANCEL, service_name="profile_generation")
    assert answer.json["cancelled_services"] == ["profile_generation"]
    assert (await bench.wire.ended())["status"] == "completed"


async def test_a_service_runs_while_the_other_works(bench: Bench, name: str) -> None:
    [slow] = await _users(bench, f"{name}-slow", "works2.5")
    await bench.wire.publish(name, agent_version=name)
    await bench.wire.post(_RERUN, user_id=slow)
    assert (await bench.wire.post(_RERUN_PLAYBOOKS, agent_version=name)).json["success"]
    assert (await bench.wire.ended("playbook_generation"))["status"] == "completed"
    assert (await bench.wire.operation())["status"] == "in_progress"
    await bench.wire.ended()


async def test_a_rerun_takes_over_a_dead_operation(bench: Bench, name: str) -> None:
    stale = bench.timings.stale
    slow, after = await _users(bench, name, f"works{stale + 1.5}", "b")
    await bench.wire.post(_RERUN, source=name)
    await bench.sleep(stale / 2)
    assert not (await bench.wire.post(_RERUN, user_id=after)).json["success"]
    await bench.sleep(stale / 2)
    taken = (await bench.wire.post(_RERUN, user_id=after)).json
    assert taken["success"]
    ended = await bench.wire.ended()
    assert (ended["status"], ended["request_params"]["operation_id"]) == ("completed", taken["operation_id"])

    async def works_on() -> bool:
        return len(await bench.wire.profiles(slow, "pending")) == 1

    await bench.until(works_on)
    assert (await bench.wire.operation()) == ended, "the old one writes its rows and no progress"
    assert len(await bench.wire.profiles(after, "pending")) == 1, "it stops at its next user"


async def test_polling_a_dead_operation_marks_it_failed_until_it_ends(bench: Bench, name: str) -> None:
    stale = bench.timings.stale
    [slow] = await _users(bench, name, f"works{stale + 3}")
    await bench.wire.post(_RERUN, user_id=slow)
    await bench.sleep(stale - 1)
    assert (await bench.wire.operation())["status"] == "in_progress"
    await bench.sleep(3)
    dead = await bench.wire.operation()
    assert (dead["status"], dead["processed_users"]) == ("failed", 0)
    found = re.fullmatch(
        r"Auto-recovered: operation was stuck for (\d+)s \(threshold: (\d+)s\)", dead["error_message"]
    )
    assert found is not None
    assert int(found[1]) > int(found[2]) == stale
    cancelled = await bench.wire.post(_CANCEL)
    assert cancelled.json["cancelled_services"] == []

    async def works_on() -> bool:
        return len(await bench.wire.profiles(slow, "pending")) == 1

    async def reports() -> bool:
        return bool((await bench.wire.operation())["status"] == "completed")

    await bench.until(works_on)
    # Its slot is still its own: at its end the record is completed, with the error of before.
    await bench.until(reports)
    ended = await bench.wire.operation()
    assert (ended["processed_user_ids"], ended["progress_percentage"]) == ([slow], 100.0)
    assert (ended["error_message"], ended["started_at"]) == (dead["error_message"], dead["started_at"])
    assert ended["completed_at"] >= dead["completed_at"]


async def test_a_manual_generation_takes_over_a_dead_operation(bench: Bench, name: str) -> None:
    stale = bench.timings.stale
    slow, after = await _users(bench, name, f"works{stale + 3}", "b")
    await bench.wire.post(_RERUN, user_id=slow)
    refused = (await bench.wire.post(_MANUAL, user_id=after)).json
    assert refused["msg"].startswith("A profile_generation operation is already in progress.")
    await bench.sleep(stale + 2)
    assert (await bench.wire.post(_MANUAL, user_id=after)).json["profiles_generated"] == 1


async def test_a_manual_generation_past_its_deadline_is_504_and_continues(bench: Bench, name: str) -> None:
    [slow] = await _users(bench, name, f"works{bench.timings.request + 0.6}")
    timed_out = await bench.wire.post(_MANUAL, user_id=slow)
    assert timed_out.status == 504
    assert timed_out.json == {
        "detail": "Request timeout",
        "reason": "backstop_timeout",
        "correlation_id": timed_out.headers["x-correlation-id"],
    }
    ended = await bench.wire.ended()
    assert (ended["status"], ended["request_params"]["mode"]) == ("completed", "manual_regular")


async def test_a_manual_generation_with_wait_for_response_has_a_longer_deadline(
    bench: Bench, name: str
) -> None:
    [slow] = await _users(bench, name, f"works{bench.timings.request + 0.6}")
    answer = await bench.wire.send("POST", f"{_MANUAL}?wait_for_response=true", json={"user_id": slow})
    assert (answer.status, answer.json["profiles_generated"]) == (200, 1)


async def test_a_manual_generation_with_wait_for_response_has_a_deadline(bench: Bench, name: str) -> None:
    [slow] = await _users(bench, name, f"works{bench.timings.extended + 0.6}")
    timed_out = await bench.wire.send("POST", f"{_MANUAL}?wait_for_response=true", json={"user_id": slow})
    assert (timed_out.status, timed_out.json["reason"]) == (504, "backstop_timeout")

    async def works_on() -> bool:
        return len(await bench.wire.profiles(slow)) == 1

    await bench.until(works_on)
