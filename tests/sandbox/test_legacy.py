"""A server of January: feedback and request groups, and none of today's routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire
    from tests.sandbox.conftest import Opens


async def _publish(wire: Wire, user_id: str, **fields: Any) -> Any:
    turns = [{"role": "user", "content": f"{user_id} likes sushi"}]
    return (
        await wire.post("/api/publish_interaction", user_id=user_id, interaction_data_list=turns, **fields)
    ).json


async def test_requests_come_in_groups(opened: Opens) -> None:
    async with opened(legacy=True) as (_, wire):
        for _ in range(2):
            published = await _publish(wire, "a", request_group="g", agent_version="v", session_id="ignored")
            assert published == {"success": True, "message": "Interaction published successfully"}
        await _publish(wire, "b")
        found = (await wire.post("/api/get_requests")).json
        alone, group = found["request_groups"]
        assert (group["request_group"], len(group["requests"])) == ("g", 2)
        assert alone["requests"][0]["request"]["request_group"] is None
        [turn] = group["requests"][0]["interactions"]
        assert (turn["content"], turn["embedding"], turn["image_encoding"]) == ("a likes sushi", [], "")
        deleted = await wire.send("DELETE", "/api/delete_request_group", json={"request_group": "g"})
        assert deleted.json["deleted_requests_count"] == 2
        single = alone["requests"][0]["request"]["request_id"]
        await wire.send("DELETE", "/api/delete_request", json={"request_id": single})
        assert (await wire.post("/api/get_requests")).json["request_groups"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/meta/version"),
        ("GET", "/api/whoami"),
        ("POST", "/api/search"),
        ("POST", "/api/get_user_playbooks"),
        ("POST", "/api/rerun_playbook_generation"),
        ("POST", "/api/cancel_operation"),
    ],
)
async def test_todays_routes_are_404(opened: Opens, method: str, path: str) -> None:
    async with opened(legacy=True) as (_, wire):
        assert (await wire.send(method, path)).status == 404


async def test_todays_server_has_no_feedback(opened: Opens) -> None:
    async with opened() as (_, wire):
        assert (await wire.post("/api/get_feedbacks")).status == 404


async def test_a_rerun_is_answered_when_it_is_done(opened: Opens) -> None:
    async with opened(legacy=True, dialect="synchronous", rerun_seconds=5.0) as (_, wire):
        for user in "ab":
            await _publish(wire, user, agent_version="v")
        profiles = (await wire.post("/api/rerun_profile_generation", user_id="a")).json
        assert (profiles["success"], profiles["profiles_generated"]) == (True, 1)
        feedback = (await wire.post("/api/rerun_feedback_generation", agent_version="v")).json
        assert (feedback["feedbacks_generated"], feedback["operation_id"]) == (2, "rerun_feedback_generation")
        pending = (await wire.get("/api/get_all_profiles", status_filter="pending")).json
        assert [row["profile_content"] for row in pending["user_profiles"]] == [
            "User mentioned: a likes sushi"
        ]
        promoted = (await wire.post("/api/upgrade_all_raw_feedbacks", agent_version="v")).json
        assert (promoted["success"], promoted["raw_feedbacks_promoted"]) == (True, 2)
        rows = (await wire.post("/api/get_raw_feedbacks")).json["raw_feedbacks"]
        assert [row["status"] for row in rows] == [None, None]
        aggregated = await wire.post("/api/run_feedback_aggregation", agent_version="v", feedback_name="f")
        assert aggregated.json["success"] is True
        [made] = (await wire.post("/api/get_feedbacks")).json["feedbacks"]
        status = {"feedback_id": made["feedback_id"], "feedback_status": "approved"}
        assert (await wire.send("PUT", "/api/update_feedback_status", json=status)).json["success"]
        approved = await wire.post("/api/search_feedbacks", query="sushi", feedback_status_filter="approved")
        assert len(approved.json["feedbacks"]) == 1
        await wire.send("DELETE", "/api/delete_feedback", json={"feedback_id": made["feedback_id"]})
        assert (await wire.post("/api/get_feedbacks")).json["feedbacks"] == []


async def test_a_rerun_has_a_status_in_newer_dialects(opened: Opens) -> None:
    async with opened(legacy=True, dialect="uncorrelated", rerun_seconds=5.0) as (_, wire):
        await _publish(wire, "a", agent_version="v")
        started = (await wire.post("/api/rerun_feedback_generation", agent_version="v")).json
        assert (started["success"], started["operation_id"]) == (True, "rerun_feedback_generation")
        ended = await wire.ended("feedback_generation")
        assert (ended["status"], ended["processed_user_ids"]) == ("completed", ["a"])
        manual = (await wire.post("/api/manual_feedback_generation", agent_version="v")).json
        assert manual == {"success": True, "msg": "Generated 1 feedback entries", "feedbacks_generated": 1}


async def test_feedback_is_written_by_hand(opened: Opens) -> None:
    async with opened(legacy=True) as (_, wire):
        row = {
            "agent_version": "v",
            "request_id": "r",
            "do_action": "greet",
            "do_not_action": "shout",
            "when_condition": "someone comes in",
        }
        added = await wire.post("/api/add_raw_feedback", raw_feedbacks=[row])
        assert added.json == {"success": True, "message": "Added 1 raw feedbacks", "added_count": 1}
        found = (await wire.post("/api/search_raw_feedbacks", query="comes")).json["raw_feedbacks"]
        assert row.items() <= found[0].items()
        key = {"raw_feedback_id": found[0]["raw_feedback_id"]}
        await wire.send("DELETE", "/api/delete_raw_feedback", json=key)
        assert (await wire.post("/api/get_raw_feedbacks")).json["raw_feedbacks"] == []
        cooked = {"agent_version": "v", "feedback_content": "smile", "feedback_status": "rejected"}
        await wire.post("/api/add_feedbacks", feedbacks=[cooked])
        [shown] = (await wire.post("/api/get_feedbacks", feedback_status_filter="rejected")).json["feedbacks"]
        assert cooked.items() <= shown.items()
        refused = await wire.post("/api/downgrade_all_raw_feedbacks")
        assert refused.json["message"] == "No archived items found to restore"
