"""Learning on virtual time: its duration, deletions meanwhile, and what is not learnt from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reflexio_async.sandbox import Sandbox, VirtualClock
    from tests.behaviour.wire import Wire
    from tests.sandbox.conftest import Opens


async def _status(wire: Wire, request_id: str) -> tuple[str, str]:
    answer = await wire.get("/api/learning_status", request_id=request_id)
    return answer.json["status"], answer.json["reason"]


def _quotes(box: Sandbox) -> list[str]:
    return [row.content.removeprefix("User mentioned: ") for row in box.stored_profiles]


async def test_learning_is_pending_then_processing_then_done(opened: Opens, clock: VirtualClock) -> None:
    async with opened(learning_seconds=10) as (_, wire):
        receipt = await wire.publish("a", request_id="r", force_extraction=True)
        seen = [receipt["learning_reason"]]
        for _ in range(3):
            seen.append((await wire.get("/api/learning_status", request_id="r")).json["status"])
            await clock.sleep(5.001)
    assert seen == ["queued", "pending", "processing", "done"]


async def test_windows_of_a_user_are_worked_off_one_after_the_other(
    opened: Opens, clock: VirtualClock
) -> None:
    words = [f"a{number}" for number in range(1, 26)]
    async with opened(learning_seconds=10) as (box, wire):
        await wire.publish("u", *words, request_id="r", force_extraction=True)
        for learnt in ([], ["a10"], ["a10", "a18"]):
            assert _quotes(box) == learnt
            assert (await _status(wire, "r"))[0] == "pending"
            await clock.sleep(10.001)
        assert _quotes(box) == ["a10", "a18", "a25"]
        assert await _status(wire, "r") == ("done", "covered")


async def test_a_waiting_publish_is_answered_when_its_last_window_is_done(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened(learning_seconds=10) as (_, wire):
        turns = [{"role": "user", "content": f"a{number}"} for number in range(18)]
        body = {"user_id": "u", "session_id": "s", "interaction_data_list": turns}
        answer = await wire.send("POST", "/api/publish_interaction?wait_for_response=true", json=body)
        assert clock.now() == 20
        assert (answer.json["learning_status"], answer.json["profiles_added"]) == ("done", 2)


async def test_a_window_with_a_deleted_interaction_is_opened_again(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened(learning_seconds=10) as (box, wire):
        await wire.publish("u", "a1", request_id="a")
        await wire.publish("u", "b1", request_id="b", force_extraction=True)
        await clock.sleep(6)
        await wire.delete("/api/delete_request", request_id="a")
        await clock.sleep(6)
        assert _quotes(box) == []
        await clock.sleep(10)
        [profile] = box.stored_profiles
        assert (_quotes(box), len(profile.source_interaction_ids)) == (["b1"], 1)


async def test_seeded_requests_are_not_learnt_from(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.seed("u", *"abcdefghi")
        await wire.publish("u", "j", request_id="r")
        await box.settled()
        assert await _status(wire, "r") == ("pending", "waiting_for_window")
        [seeded] = box.stored_requests.keys() - {"r"}
        assert await _status(wire, seeded) == ("not_tracked", "before_cutover")


async def test_a_publish_during_a_stall_is_never_learnt_from_unless_overridden(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.stall("auth_error")
        during = await wire.publish("u", "a1", request_id="a", force_extraction=True)
        anyway = await wire.publish(
            "u", "b1", request_id="b", force_extraction=True, override_learning_stall=True
        )
        box.stall(None)
        await box.settled()
        assert [warning[:46] for warning in during["warnings"]] == [
            "Reflexio learning is paused (auth_error); reau"
        ]
        assert anyway["warnings"] == []
        assert await _status(wire, "a") == ("done", "not_applicable")
        assert _quotes(box) == ["b1"]
