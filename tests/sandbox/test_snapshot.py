"""Snapshots of what a sandbox has stored, and seeded rows in its routes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Opens


async def test_a_new_sandbox_is_empty(opened: Opens) -> None:
    async with opened() as (box, _):
        shown = box.snapshot()
    assert shown.pop("configuration")["window_size"] == 10
    assert shown.pop("stall_state")["stalled"] is False
    assert not any(shown.values())


async def test_a_snapshot_is_a_detached_copy_in_plain_json(opened: Opens) -> None:
    async with opened() as (box, wire):
        await wire.publish("ana", "I like tea", request_id="r")
        before = box.snapshot()
        copy = json.loads(json.dumps(before))
        await wire.publish("ana", "and biscuits", request_id="s")
        await wire.post("/api/update_config", window_size=20)
        assert before == copy
        assert [entry["request"]["request_id"] for entry in before["requests"]] == ["r"]
        assert [entry["request"]["request_id"] for entry in box.snapshot()["requests"]] == ["r", "s"]


async def test_a_snapshot_shows_every_kind_of_row(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.seed("ana", "I like tea")
        [profile] = box.seed_profile("ana", "likes tea")
        [playbook] = box.seed_playbook("ana", "offer tea")
        [lesson] = box.seed_agent_playbook("offer drinks")
        await wire.post("/api/rerun_profile_generation", user_id="ana")
        question = box.ask("Which tea?")
        memory = box.reflect.seed_memory("brew tea")
        shown = box.snapshot()
    assert [turn["content"] for entry in shown["requests"] for turn in entry["interactions"]] == [
        "I like tea"
    ]
    assert shown["profiles"][0]["profile_id"] == profile
    assert shown["user_playbooks"][0]["user_playbook_id"] == playbook
    assert shown["agent_playbooks"][0]["agent_playbook_id"] == lesson
    assert shown["operations"]["profile_generation"]["request_params"]["user_id"] == "ana"
    assert [row["id"] for row in shown["tool_calls"]] == [question]
    assert [row["id"] for row in shown["reflect"]["default"]["memories"]] == [memory.id]


async def test_a_snapshot_shows_no_key(opened: Opens) -> None:
    async with opened(api_key="k3y", logins={"ana": "pw"}) as (box, wire):
        login = await wire.send("POST", "/token", data={"username": "ana", "password": "pw"})
        url = f"{box.reflect_url}/v1/bootstrap"
        body = {"user_id": "ana", "project_id": "p"}
        headers = {"X-Bootstrap-Token": "sandbox-bootstrap"}
        async with wire.session.post(url, json=body, headers=headers) as response:
            secret = (await response.json())["api_key"]
        shown = json.dumps(box.snapshot())
        assert "public_id" in shown
        for hidden in ("k3y", login.json["api_key"], secret, box.reflect_key):
            assert hidden not in shown


@pytest.mark.parametrize("status", [None, "pending", "archived"])
async def test_seeded_profiles_are_found_under_their_status(opened: Opens, status: Any) -> None:
    async with opened() as (box, wire):
        ids = box.seed_profile("ana", "likes tea", "is tall", status=status, tags=["taste"])
        rows = await wire.profiles("ana", status)
        assert sorted(row["profile_id"] for row in rows) == sorted(ids)
        assert [row["tags"] for row in rows] == [["taste"]] * 2
        assert not await wire.profiles("bob", status)


async def test_seeded_profiles_are_searched_upgraded_and_deleted_as_any_other(opened: Opens) -> None:
    async with opened() as (box, wire):
        [pending] = box.seed_profile("ana", "likes tea", status="pending")
        await wire.post("/api/upgrade_all_profiles")
        found = (await wire.post("/api/search_profiles", user_id="ana", query="tea")).json["user_profiles"]
        assert [row["profile_id"] for row in found] == [pending]
        deleted = await wire.delete("/api/delete_profiles_by_ids", profile_ids=[pending])
        assert deleted.json["deleted_count"] == 1
        assert not box.stored_profiles


async def test_seeded_playbooks_are_searched_and_aggregated_as_any_other(opened: Opens) -> None:
    async with opened() as (box, wire):
        ids = box.seed_playbook("ana", "offer tea", trigger="a guest comes", agent_version="v1")
        ids += box.seed_playbook("bob", "offer coffee", agent_version="v1")
        found = (await wire.post("/api/search_user_playbooks", query="guest")).json["user_playbooks"]
        assert [row["user_playbook_id"] for row in found] == ids[:1]
        await wire.post("/api/run_playbook_aggregation", agent_version="v1", playbook_name="playbook")
        assert [row.sources for row in box.stored_agent_playbooks] == [ids]


async def test_seeded_agent_playbooks_have_the_approval_they_are_given(opened: Opens) -> None:
    async with opened() as (box, wire):
        [approved] = box.seed_agent_playbook("greet", approval="approved")
        box.seed_agent_playbook("shout", approval="rejected")
        body = {"playbook_status_filter": "approved"}
        found = (await wire.post("/api/get_agent_playbooks", **body)).json["agent_playbooks"]
        assert [row["agent_playbook_id"] for row in found] == [approved]
