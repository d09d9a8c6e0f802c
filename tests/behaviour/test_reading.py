"""Reading back: requests by session, profiles and playbooks by status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire


async def _requests(wire: Wire, **fields: Any) -> Any:
    return (await wire.post("/api/get_requests", **fields)).json


async def test_a_request_is_found_by_its_id_with_its_interactions_in_order(wire: Wire, name: str) -> None:
    await wire.publish(name, "one", "two", request_id=name, source=name, agent_version="v9")
    found = await _requests(wire, request_id=name)
    [session] = found["sessions"]
    [entry] = session["requests"]
    assert {key: value for key, value in entry["request"].items() if key != "created_at"} == {
        "request_id": name,
        "user_id": name,
        "source": name,
        "agent_version": "v9",
        "session_id": f"s-{name}",
        "evaluation_only": False,
    }
    assert [turn["content"] for turn in entry["interactions"]] == ["one", "two"]
    assert set(entry["interactions"][0]) == {
        "interaction_id",
        "user_id",
        "request_id",
        "created_at",
        "role",
        "content",
        "user_action",
        "user_action_description",
        "interacted_image_url",
        "shadow_content",
        "expert_content",
        "tools_used",
        "retrieved_learnings",
    }
    assert (found["success"], found["has_more"]) == (True, False)
    assert found["msg"] == "Found 1 request(s) in 1 session(s)"


async def test_an_unknown_request_is_an_empty_answer(wire: Wire, name: str) -> None:
    empty: dict[str, Any] = {
        "success": True,
        "sessions": [],
        "has_more": False,
        "msg": "Found 0 request(s) in 0 session(s)",
    }
    assert await _requests(wire, request_id=name) == empty


async def test_pages_count_sessions(wire: Wire, name: str) -> None:
    for session in "ab":
        for turn in "12":
            await wire.publish(
                name, turn, session_id=f"{name}-{session}", request_id=f"{name}-{session}{turn}"
            )
    first = await _requests(wire, user_id=name, top_k=1)
    second = await _requests(wire, user_id=name, top_k=1, offset=1)
    third = await _requests(wire, user_id=name, top_k=1, offset=2)
    # A full page says that there is more, even if it is the last.
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]
    assert [len(page["sessions"]) for page in (first, second, third)] == [1, 1, 0]
    assert len(first["sessions"][0]["requests"]) == 2
    both = {page["sessions"][0]["session_id"] for page in (first, second)}
    assert both == {f"{name}-a", f"{name}-b"}


async def test_requests_are_found_by_session(wire: Wire, name: str) -> None:
    await wire.publish(name, session_id=name, request_id=f"{name}-1")
    await wire.publish(f"{name}-other", session_id=f"{name}-other")
    found = await _requests(wire, session_id=name)
    assert [entry["request"]["request_id"] for entry in found["sessions"][0]["requests"]] == [f"{name}-1"]


@pytest.mark.parametrize(
    ("fields", "kind"), [({"top_k": 0}, "greater_than"), ({"offset": -1}, "greater_than_equal")]
)
async def test_an_invalid_page_is_422(wire: Wire, fields: dict[str, int], kind: str) -> None:
    answer = await wire.post("/api/get_requests", **fields)
    assert (answer.status, answer.json["detail"][0]["type"]) == (422, kind)


async def test_sessions_are_sorted_by_their_latest_second_and_then_by_name(wire: Wire, name: str) -> None:
    for session in "abca":
        await wire.publish(name, session_id=f"{name}-{session}")
    sessions = (await _requests(wire, user_id=name))["sessions"]
    times = [[entry["request"]["created_at"] for entry in session["requests"]] for session in sessions]
    assert times == [sorted(each, reverse=True) for each in times]
    order = [(each[0], session["session_id"]) for each, session in zip(times, sessions, strict=True)]
    assert order == sorted(order, reverse=True)


async def test_an_empty_source_is_a_source(wire: Wire, name: str) -> None:
    await wire.publish(name, session_id=f"{name}-1", source=name)
    await wire.publish(name, session_id=f"{name}-2")
    found = await _requests(wire, user_id=name, source="")
    assert [session["session_id"] for session in found["sessions"]] == [f"{name}-2"]
    assert len((await _requests(wire, user_id=name, source=None))["sessions"]) == 2


async def test_an_unknown_user_has_no_profiles(wire: Wire, name: str) -> None:
    answer = await wire.post("/api/get_profiles", user_id=name)
    assert answer.json == {"success": True, "user_profiles": [], "msg": "Found 0 profile(s)"}


async def _one_current_two_pending(wire: Wire, name: str) -> None:
    await wire.publish(name)
    await wire.post("/api/manual_profile_generation", user_id=name)
    for _ in range(2):
        await wire.post("/api/rerun_profile_generation", user_id=name)
        await wire.ended()


async def test_the_status_filter_of_profiles(wire: Wire, name: str) -> None:
    await _one_current_two_pending(wire, name)

    async def count(**fields: Any) -> int:
        return len((await wire.post("/api/get_profiles", user_id=name, **fields)).json["user_profiles"])

    assert await count() == 1, "absent: current only"
    assert await count(status_filter=None) == 1, "null: the same"
    assert await count(status_filter=[None]) == 1, "null within: current"
    assert await count(status_filter=["pending"]) == 2
    assert await count(status_filter=["pending", None]) == 3
    assert await count(status_filter=[]) == 3, "empty: every status"
    assert await count(status_filter=["None"]) == 0, '"None" matches nothing'
    assert await count(status_filter=[], top_k=2) == 2
    assert await count(status_filter=[], top_k=None) == 3, "null: all"


async def test_current_is_not_a_value_of_the_status_filter(wire: Wire, name: str) -> None:
    answer = await wire.post("/api/get_profiles", user_id=name, status_filter=["current"])
    [error] = answer.json["detail"]
    words = "'None', 'archived', 'pending', 'archive_in_progress', 'merged', 'superseded' or 'expired'"
    assert (answer.status, error["type"], error["loc"]) == (422, "enum", ["body", "status_filter", 0])
    assert error["msg"] == f"Input should be {words}"


async def test_a_profile_shows_where_it_comes_from(wire: Wire, name: str) -> None:
    await wire.publish(name, "I like tea")
    await wire.post("/api/rerun_profile_generation", user_id=name)
    await wire.ended()
    [profile] = await wire.profiles(name, "pending")
    assert profile["content"] == "User mentioned: I like tea"
    assert profile["status"] == "pending"
    assert profile["generated_from_request_id"].startswith("rerun_")
    assert profile["profile_time_to_live"] == "one_month"
    assert profile["expiration_timestamp"] - profile["last_modified_timestamp"] == 30 * 86400
    assert len(profile["source_interaction_ids"]) == 1
    assert (profile["source"], profile["tags"], profile["user_id"]) == ("", [], name)


async def test_a_profile_quotes_the_start_and_the_first_interaction_with_a_highlighted_word(
    wire: Wire, name: str
) -> None:
    await wire.publish(name, "x" * 60, "hm", "our product is great", "their product is not")
    await wire.post("/api/rerun_profile_generation", user_id=name)
    await wire.ended()
    [profile] = await wire.profiles(name, "pending")
    assert profile["content"] == f"User mentioned: {'x' * 50} Key context: our product is great"


async def test_playbooks_without_a_filter_are_of_every_status(wire: Wire, name: str) -> None:
    await wire.publish(name, "hello", agent_version=name)
    await wire.post("/api/manual_playbook_generation", agent_version=name)
    await wire.post("/api/rerun_playbook_generation", agent_version=name)
    await wire.ended("playbook_generation")

    async def statuses(**fields: Any) -> list[str]:
        answer = await wire.post("/api/get_user_playbooks", user_id=name, **fields)
        return sorted(str(row.get("status")) for row in answer.json["user_playbooks"])

    assert await statuses() == ["None", "pending"]
    assert await statuses(status_filter=[]) == ["None", "pending"]
    assert await statuses(status_filter=[None]) == ["None"]
    assert await statuses(status_filter=["pending"], agent_version=name) == ["pending"]
    assert await statuses(agent_version="nobody's") == []
    assert len(await statuses(limit=1)) == 1


async def test_a_playbook_shows_where_it_comes_from(wire: Wire, name: str) -> None:
    await wire.publish(name, "first", "last", agent_version=name)
    await wire.post("/api/rerun_playbook_generation", agent_version=name)
    await wire.ended("playbook_generation")
    answer = await wire.post("/api/get_user_playbooks", user_id=name)
    [playbook] = answer.json["user_playbooks"]
    assert answer.json["msg"] == "Found 1 user playbook(s)"
    assert playbook["trigger"] == "user says something like 'first'"
    assert (playbook["source_span"], len(playbook["source_interaction_ids"])) == ("last", 1)
    assert playbook["request_id"].startswith("rerun_playbook_")
    assert (playbook["agent_version"], playbook["playbook_name"]) == (name, "playbook")


async def test_upgrading_profiles_promotes_those_of_all_users(wire: Wire, name: str) -> None:
    await _one_current_two_pending(wire, name)
    body = {"user_id": f"{name}-other", "profile_ids": ["x"], "only_affected_users": True}
    answer = (await wire.post("/api/upgrade_all_profiles", **body)).json
    assert answer["success"]
    assert answer["profiles_promoted"] >= 2
    assert answer["profiles_archived"] >= 1
    counts = [answer[f"profiles_{what}"] for what in ("promoted", "archived", "deleted")]
    expected = "Upgraded: {} promoted, {} archived, {} old archived deleted"
    assert answer["message"] == expected.format(*counts)
    assert len(await wire.profiles(name)) == 2
    assert len(await wire.profiles(name, "archived")) == 1


async def test_with_nothing_pending_an_upgrade_is_refused(wire: Wire) -> None:
    await wire.post("/api/upgrade_all_profiles")
    assert (await wire.post("/api/upgrade_all_profiles")).json == {
        "success": False,
        "profiles_archived": 0,
        "profiles_promoted": 0,
        "profiles_deleted": 0,
        "message": "No pending items found to upgrade",
    }


async def test_upgrading_playbooks_can_be_for_one_agent_version(wire: Wire, name: str) -> None:
    for version in ("a", "b"):
        await wire.publish(name, "hello", agent_version=f"{name}-{version}")
        await wire.post("/api/rerun_playbook_generation", agent_version=f"{name}-{version}")
        await wire.ended("playbook_generation")
    answer = (await wire.post("/api/upgrade_all_user_playbooks", agent_version=f"{name}-a")).json
    assert answer["user_playbooks_promoted"] == 1
    pending = await wire.post("/api/get_user_playbooks", user_id=name, status_filter=["pending"])
    assert [row["agent_version"] for row in pending.json["user_playbooks"]] == [f"{name}-b"]
