"""Deleting: which rows are deleted, and what is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.rows import (
    add_agent_playbooks,
    add_playbooks,
    add_profiles,
    agent_playbooks,
    turns,
    user_playbooks,
)

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire

_DONE = {"success": True, "message": "Deleted successfully"}


def _counted(count: int) -> dict[str, Any]:
    return {"success": True, "deleted_count": count, "message": f"Deleted {count} item(s)"}


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("delete_interaction", {"user_id": "nobody", "interaction_id": 987_654}, _DONE),
        ("delete_request", {"request_id": "nope"}, _DONE),
        (
            "delete_session",
            {"session_id": "nope"},
            {"success": True, "message": "Deleted 0 item(s)", "deleted_requests_count": 0},
        ),
        ("delete_profile", {"user_id": "nobody", "profile_id": "nope"}, _DONE),
        ("delete_user_playbook", {"user_playbook_id": 987_654}, _DONE),
        ("delete_agent_playbook", {"agent_playbook_id": 987_654}, _DONE),
        ("delete_requests_by_ids", {"request_ids": ["nope"]}, _counted(0)),
        ("delete_profiles_by_ids", {"profile_ids": ["nope"]}, _counted(0)),
        ("delete_user_playbooks_by_ids", {"user_playbook_ids": [987_654]}, _counted(0)),
        ("delete_agent_playbooks_by_ids", {"agent_playbook_ids": [987_654, 987_655]}, _counted(2)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_deleting_an_unknown_id_succeeds(
    wire: Wire, path: str, body: dict[str, Any], answer: dict[str, Any]
) -> None:
    assert (await wire.delete(f"/api/{path}", **body)).json == answer


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("delete_requests_by_ids", "request_ids"),
        ("delete_profiles_by_ids", "profile_ids"),
        ("delete_user_playbooks_by_ids", "user_playbook_ids"),
        ("delete_agent_playbooks_by_ids", "agent_playbook_ids"),
    ],
)
async def test_deleting_an_empty_list_is_422(wire: Wire, path: str, field: str) -> None:
    answer = await wire.delete(f"/api/{path}", **{field: []})
    assert (answer.status, answer.json["detail"][0]["type"]) == (422, "too_short")


async def test_a_delete_without_a_body_is_422(wire: Wire) -> None:
    answer = await wire.send("DELETE", "/api/delete_request")
    missing = {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}
    assert (answer.status, answer.json) == (422, {"detail": [missing]})


async def test_deleting_an_interaction_keeps_its_request(wire: Wire, name: str) -> None:
    await wire.publish(name, "one", "two", request_id=name)
    first, _ = await turns(wire, name)
    key = first["interaction_id"]
    assert (await wire.delete("/api/delete_interaction", user_id=name, interaction_id=key)).json == _DONE
    assert [turn["content"] for turn in await turns(wire, name)] == ["two"]
    found = (await wire.post("/api/get_requests", request_id=name)).json
    assert len(found["sessions"][0]["requests"][0]["interactions"]) == 1


async def test_the_id_of_a_deleted_request_can_be_used_again(wire: Wire, name: str) -> None:
    await wire.publish(name, request_id=name)
    assert (await wire.delete("/api/delete_request", request_id=name)).json == _DONE
    assert await turns(wire, name) == []
    status = await wire.get("/api/learning_status", request_id=name)
    assert (status.status, status.json) == (404, {"detail": "request not found"})
    assert (await wire.publish(name, request_id=name))["success"]


async def test_deleting_a_session_deletes_its_requests(wire: Wire, name: str) -> None:
    for index in range(2):
        await wire.publish(name, request_id=f"{name}-{index}")
    answer = await wire.delete("/api/delete_session", session_id=f"s-{name}")
    assert answer.json == {"success": True, "message": "Deleted 2 item(s)", "deleted_requests_count": 2}
    assert await turns(wire, name) == []


async def test_requests_are_deleted_by_their_ids(wire: Wire, name: str) -> None:
    for index in range(3):
        await wire.publish(name, request_id=f"{name}-{index}")
    ids = [f"{name}-0", f"{name}-2", "nope"]
    assert (await wire.delete("/api/delete_requests_by_ids", request_ids=ids)).json == _counted(2)
    assert len(await turns(wire, name)) == 1


async def test_profiles_are_deleted(wire: Wire, name: str) -> None:
    first, second, third = await add_profiles(wire, name, "a", "b", "c")
    assert (await wire.delete("/api/delete_profile", user_id=name, profile_id=first)).json == _DONE
    answer = await wire.delete("/api/delete_profiles_by_ids", profile_ids=[second, "nope"])
    assert answer.json == _counted(1)
    assert [row["profile_id"] for row in await wire.profiles(name)] == [third]


async def test_a_search_query_deletes_no_profile(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "likes ramen")
    assert (await wire.delete("/api/delete_profile", user_id=name, search_query="ramen")).json == _DONE
    assert len(await wire.profiles(name)) == 1
    neither = await wire.delete("/api/delete_profile", user_id=name)
    assert neither.json == {"success": False, "message": "Profile id or search query is required"}


async def test_user_playbooks_are_deleted(wire: Wire, name: str) -> None:
    first, second, third = await add_playbooks(wire, name, "a", "b", "c")
    assert (await wire.delete("/api/delete_user_playbook", user_playbook_id=first)).json == _DONE
    answer = await wire.delete("/api/delete_user_playbooks_by_ids", user_playbook_ids=[second, 987_654])
    assert answer.json == _counted(1)
    assert [row["user_playbook_id"] for row in await user_playbooks(wire, user_id=name)] == [third]


async def test_agent_playbooks_are_deleted_and_the_given_ids_are_counted(wire: Wire, name: str) -> None:
    first, second, third = await add_agent_playbooks(wire, name, "a", "b", "c")
    assert (await wire.delete("/api/delete_agent_playbook", agent_playbook_id=first)).json == _DONE
    answer = await wire.delete("/api/delete_agent_playbooks_by_ids", agent_playbook_ids=[second, 987_654])
    assert answer.json == _counted(2)
    assert [row["agent_playbook_id"] for row in await agent_playbooks(wire, agent_version=name)] == [third]


async def test_deleting_everything_counts_zero(wire: Wire, name: str) -> None:
    """One test, for it is about the whole organisation."""
    everything = {"success": True, "deleted_count": 0, "message": "Deleted successfully"}

    async def fill() -> None:
        await wire.publish(name)
        await add_profiles(wire, name, "a")
        await add_playbooks(wire, name, "a")
        await add_agent_playbooks(wire, name, "a")

    async def left() -> list[int]:
        kept: list[list[Any]] = [
            await turns(wire, name),
            await wire.profiles(name),
            await user_playbooks(wire, user_id=name),
            await agent_playbooks(wire, agent_version=name),
        ]
        return [len(rows) for rows in kept]

    for path, expected in (
        ("delete_all_interactions", [0, 1, 1, 1]),
        ("delete_all_profiles", [1, 0, 1, 1]),
        ("delete_all_user_playbooks", [1, 1, 0, 1]),
        ("delete_all_agent_playbooks", [1, 1, 1, 0]),
        ("delete_all_playbooks", [1, 1, 0, 0]),
    ):
        await wire.delete("/api/delete_all_interactions")
        await wire.delete("/api/delete_all_profiles")
        await wire.delete("/api/delete_all_playbooks")
        await fill()
        assert (await wire.send("DELETE", f"/api/{path}")).json == everything
        assert await left() == expected, path


async def test_a_users_data_is_cleared_and_counted(wire: Wire, name: str) -> None:
    await wire.publish(name, "one", "two")
    await add_profiles(wire, name, "a")
    await add_playbooks(wire, name, "a")
    await add_agent_playbooks(wire, name, "a")
    assert (await wire.post("/api/clear_user_data", user_id=name)).json == {
        "success": True,
        "deleted_counts": {
            "session_outcomes": 0,
            "interactions": 2,
            "user_playbooks": 1,
            "profiles": 1,
            "requests": 1,
            "purged_profiles": 0,
            "purged_user_playbooks": 0,
        },
        "message": f"Cleared 5 row(s) for user {name!r}",
    }
    assert await turns(wire, name) == []
    assert len(await agent_playbooks(wire, agent_version=name)) == 1, "they belong to no user"


async def test_clearing_without_a_user_is_422(wire: Wire) -> None:
    answer = await wire.post("/api/clear_user_data", user_id=" ")
    assert (answer.status, answer.json["detail"][0]["type"]) == (422, "value_error")
