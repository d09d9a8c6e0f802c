"""User and agent playbooks that callers write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.rows import (
    add_agent_playbooks,
    add_playbooks,
    agent_playbooks,
    user_playbooks,
)

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire


async def test_a_written_user_playbook_gets_an_id_of_its_own(wire: Wire, name: str) -> None:
    [key] = await add_playbooks(wire, name, "greet", user_playbook_id=987_654, tags=["t"], trigger="hello")
    [row] = await user_playbooks(wire, user_id=name)
    assert key != 987_654
    assert row.pop("created_at") > 1_700_000_000
    assert row == {
        "user_playbook_id": key,
        "user_id": name,
        "agent_version": name,
        "request_id": f"r-{name}",
        "playbook_name": "playbook",
        "content": "greet",
        "trigger": "hello",
        "source_interaction_ids": [],
        "tags": ["t"],
    }


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"playbook_name": "other"}, 0),
        ({"playbook_name": "playbook"}, 2),
        ({"query": "GREE"}, 1),
        ({"tags": ["t"]}, 0),
        ({"request_id": "other"}, 0),
        ({"start_time": "2100-01-01T00:00:00Z"}, 0),
    ],
    ids=["other name", "name", "words", "tag", "request", "time"],
)
async def test_filters_of_user_playbooks(wire: Wire, name: str, wanted: dict[str, Any], count: int) -> None:
    await add_playbooks(wire, name, "greet", "smile")
    assert len(await user_playbooks(wire, user_id=name, **wanted)) == count


async def test_a_user_playbook_is_changed_in_part(wire: Wire, name: str) -> None:
    [key] = await add_playbooks(wire, name, "greet", trigger="hello")
    answer = await wire.put("/api/update_user_playbook", user_playbook_id=key, content="sing")
    assert answer.json == {"success": True, "msg": "User playbook updated successfully"}
    [row] = await user_playbooks(wire, user_id=name)
    assert (row["content"], row["trigger"]) == ("sing", "hello")


async def test_changing_an_unknown_user_playbook_is_a_success(wire: Wire) -> None:
    answer = await wire.put("/api/update_user_playbook", user_playbook_id=987_654, content="x")
    assert answer.json == {"success": True, "msg": "User playbook updated successfully"}


async def test_a_downgrade_of_user_playbooks_can_be_for_one_version(wire: Wire, name: str) -> None:
    await add_playbooks(wire, name, "new")
    await add_playbooks(wire, name, "old", status="archived")
    answer = (await wire.post("/api/downgrade_all_user_playbooks", agent_version=name)).json
    assert answer == {
        "success": True,
        "user_playbooks_demoted": 1,
        "user_playbooks_restored": 1,
        "message": "Downgraded: 1 archived, 1 restored",
    }
    states = {row["content"]: row.get("status") for row in await user_playbooks(wire, user_id=name)}
    assert states == {"old": None, "new": "archived"}


async def test_with_nothing_archived_a_downgrade_is_refused(wire: Wire, name: str) -> None:
    answer = (await wire.post("/api/downgrade_all_user_playbooks", agent_version=name)).json
    assert answer == {
        "success": False,
        "user_playbooks_demoted": 0,
        "user_playbooks_restored": 0,
        "message": "No archived items found to restore",
    }


_BAD: list[tuple[list[Any], str, list[Any]]] = [
    ([], "too_short", ["user_playbooks"]),
    ([{}], "missing", ["user_playbooks", 0, "agent_version"]),
    ([{"agent_version": "v", "request_id": "r"}], "value_error", []),
]


@pytest.mark.parametrize(("rows", "kind", "place"), _BAD, ids=["none", "empty", "says nothing"])
async def test_a_bad_user_playbook_is_422(wire: Wire, rows: list[Any], kind: str, place: list[Any]) -> None:
    answer = await wire.post("/api/add_user_playbook", user_playbooks=rows)
    error = answer.json["detail"][0]
    assert (answer.status, error["type"], error["loc"]) == (422, kind, ["body", *place])


async def test_a_written_agent_playbook_is_current_and_untagged(wire: Wire, name: str) -> None:
    [key] = await add_agent_playbooks(
        wire, name, "greet", tags=["t"], status="archived", agent_playbook_id=987_654, trigger="hello"
    )
    [row] = await agent_playbooks(wire, agent_version=name)
    assert key != 987_654
    assert row.pop("created_at") > 1_700_000_000
    assert row == {
        "agent_playbook_id": key,
        "playbook_name": "",
        "agent_version": name,
        "content": "greet",
        "trigger": "hello",
        "playbook_status": "pending",
        "playbook_metadata": "",
        "tags": [],
    }


async def test_filters_of_agent_playbooks(wire: Wire, name: str) -> None:
    await add_agent_playbooks(wire, name, "greet", playbook_name="one")
    await add_agent_playbooks(wire, name, "smile", playbook_status="approved")

    async def contents(**fields: Any) -> list[str]:
        return [row["content"] for row in await agent_playbooks(wire, agent_version=name, **fields)]

    assert await contents() == ["smile", "greet"], "newest first"
    assert await contents(playbook_status_filter="approved") == ["smile"]
    assert await contents(playbook_name="one") == ["greet"]
    assert await contents(query="GREE") == ["greet"]
    assert await contents(status_filter=["archived"]) == []
    assert await contents(limit=1) == ["smile"]


async def test_an_agent_playbook_is_changed_and_approved(wire: Wire, name: str) -> None:
    [key] = await add_agent_playbooks(wire, name, "greet")
    changed = await wire.put("/api/update_agent_playbook", agent_playbook_id=key, content="sing")
    assert changed.json == {"success": True, "msg": "Agent playbook updated successfully"}
    approved = await wire.put(
        "/api/update_agent_playbook_status", agent_playbook_id=key, playbook_status="approved"
    )
    assert approved.json == {"success": True, "msg": "Playbook status updated successfully"}
    [row] = await agent_playbooks(wire, agent_playbook_id=key)
    assert (row["content"], row["playbook_status"]) == ("sing", "approved")


@pytest.mark.parametrize("path", ["update_agent_playbook", "update_agent_playbook_status"])
async def test_changing_an_unknown_agent_playbook_returns_a_traceback(wire: Wire, path: str) -> None:
    answer = await wire.put(f"/api/{path}", agent_playbook_id=987_654, playbook_status="approved")
    assert answer.json["success"] is False
    assert answer.json["msg"].startswith(
        "StorageError: Agent playbook with ID 987654 not found\nStack trace:"
    )


async def test_changing_nothing_of_an_unknown_agent_playbook_is_a_success(wire: Wire) -> None:
    answer = await wire.put("/api/update_agent_playbook", agent_playbook_id=987_654)
    assert answer.json == {"success": True, "msg": "Agent playbook updated successfully"}
