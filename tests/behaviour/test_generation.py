"""Generation: one slot per service, admission, progress, outcome, cancelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.rows import user_playbooks

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire

_RERUN = "/api/rerun_profile_generation"
_RERUN_PLAYBOOKS = "/api/rerun_playbook_generation"


async def _users(wire: Wire, name: str, count: int, **fields: Any) -> list[str]:
    """Users of their own source, so that a rerun of "all" means these."""
    users = [f"{name}-{index}" for index in range(count)]
    for user in users:
        await wire.publish(user, source=name, **fields)
    return users


async def test_a_service_that_never_ran_has_no_status(wire: Wire) -> None:
    answer = await wire.get("/api/get_operation_status", service_name="nope")
    assert answer.json == {"success": False, "msg": "No operation found for service: nope"}


async def test_a_rerun_is_admitted_under_an_id_that_the_status_echoes(wire: Wire, name: str) -> None:
    await wire.publish(name)
    admitted = (await wire.post(_RERUN, user_id=name)).json
    operation_id = admitted.pop("operation_id")
    assert admitted == {"success": True, "msg": "Profile generation started"}
    ended = await wire.ended()
    started, completed = ended.pop("started_at"), ended.pop("completed_at")
    assert isinstance(started, int)
    assert completed >= started
    assert ended == {
        "service_name": "profile_generation",
        "status": "completed",
        "total_users": 1,
        "processed_users": 1,
        "failed_users": 0,
        "processed_user_ids": [name],
        "failed_user_ids": [],
        "request_params": {
            "user_id": name,
            "start_time": None,
            "end_time": None,
            "source": None,
            "operation_id": operation_id,
        },
        "stats": {"total_interactions_processed": 1, "total_generated": 1},
        "progress_percentage": 100.0,
    }


async def test_the_two_services_do_not_block_each_other(wire: Wire, name: str) -> None:
    await wire.publish(name, agent_version=name)
    first = await wire.post(_RERUN, user_id=name)
    second = await wire.post(_RERUN_PLAYBOOKS, agent_version=name)
    assert (first.json["success"], second.json["success"]) == (True, True)
    assert second.json["msg"] == "Playbook generation started"
    await wire.ended()
    await wire.ended("playbook_generation")


async def test_a_rerun_that_matches_nothing_is_admitted_and_fails(wire: Wire, name: str) -> None:
    admitted = (await wire.post(_RERUN, user_id=name)).json
    failed = await wire.ended()
    assert (admitted["success"], failed["status"], failed["total_users"]) == (True, "failed", 0)
    assert failed["error_message"] == "No interactions found matching the specified filters"
    assert failed["progress_percentage"] == 0.0
    # What the claim wrote down: the body as it came.
    assert failed["request_params"] == {
        "user_id": name,
        "start_time": None,
        "end_time": None,
        "source": None,
        "extractor_names": None,
        "operation_id": admitted["operation_id"],
    }


async def test_a_playbook_rerun_that_matches_nothing_fails(wire: Wire, name: str) -> None:
    admitted = (await wire.post(_RERUN_PLAYBOOKS, agent_version=name)).json
    failed = await wire.ended("playbook_generation")
    assert failed["request_params"] == {
        "agent_version": name,
        "start_time": None,
        "end_time": None,
        "playbook_name": None,
        "source": None,
        "operation_id": admitted["operation_id"],
    }


async def test_source_and_times_select_users(wire: Wire, name: str) -> None:
    users = await _users(wire, name, 3)
    await wire.post(_RERUN, source=name, start_time="2020-01-01T00:00:00Z", user_id="")
    ended = await wire.ended()
    assert ended["processed_user_ids"] == users
    assert ended["stats"] == {"total_interactions_processed": 3, "total_generated": 3}
    assert ended["request_params"]["source"] == name
    assert ended["request_params"]["start_time"] == "2020-01-01T00:00:00+00:00"
    await wire.post(_RERUN, source=name, end_time="2020-01-01T00:00:00Z")
    assert (await wire.ended())["status"] == "failed"


async def test_a_playbook_rerun_selects_by_agent_version(wire: Wire, name: str) -> None:
    users = await _users(wire, name, 2, agent_version=name)
    admitted = (await wire.post(_RERUN_PLAYBOOKS, agent_version=name, user_id=users[0])).json
    ended = await wire.ended("playbook_generation")
    assert ended["processed_user_ids"] == users
    assert ended["request_params"] == {
        "agent_version": name,
        "start_time": None,
        "end_time": None,
        "operation_id": admitted["operation_id"],
    }


async def test_profile_reruns_accumulate_and_playbook_reruns_replace(wire: Wire, name: str) -> None:
    await wire.publish(name, agent_version=name)
    for expected in (1, 2):
        await wire.post(_RERUN, user_id=name)
        assert (await wire.ended())["stats"]["total_generated"] == expected
    for _ in range(2):
        await wire.post(_RERUN_PLAYBOOKS, agent_version=name)
        assert (await wire.ended("playbook_generation"))["stats"]["total_generated"] == 1


@pytest.mark.parametrize(
    ("fields", "place", "kind"),
    [
        ({"user_id": 3}, ["user_id"], "string_type"),
        ({"start_time": "nonsense"}, ["start_time"], "datetime_from_date_parsing"),
        ({"start_time": "2025-01-01T00:00:00Z", "end_time": "2024-01-01T00:00:00Z"}, [], "value_error"),
    ],
    ids=["user of another type", "not a time", "end before start"],
)
async def test_a_bad_rerun_is_422(wire: Wire, fields: dict[str, Any], place: list[str], kind: str) -> None:
    answer = await wire.post(_RERUN, **fields)
    [error] = answer.json["detail"]
    assert (answer.status, error["type"], error["loc"]) == (422, kind, ["body", *place])


async def test_a_manual_generation_is_answered_when_done_and_writes_current_rows(
    wire: Wire, name: str
) -> None:
    await wire.publish(name)
    for count in (1, 2):
        answer = (await wire.post("/api/manual_profile_generation", user_id=name)).json
        expected = f"Generated {count} profiles for 1 user(s)"
        assert answer == {"success": True, "msg": expected, "profiles_generated": count}
    operation = await wire.operation()
    assert operation["request_params"].pop("operation_id")
    assert operation["request_params"] == {"user_id": name, "source": None, "mode": "manual_regular"}
    assert len(await wire.profiles(name)) == 2


async def test_rows_show_the_source_that_their_generation_was_asked_for(wire: Wire, name: str) -> None:
    await wire.publish(name, source="web", agent_version=name)
    for source in (None, "web"):
        asked = {} if source is None else {"source": source}
        await wire.post(_RERUN, user_id=name, **asked)
        await wire.ended()
        await wire.post(_RERUN_PLAYBOOKS, agent_version=name, **asked)
        await wire.ended("playbook_generation")
        [playbook] = await user_playbooks(wire, agent_version=name)
        assert playbook.get("source") == source
    assert sorted(row["source"] for row in await wire.profiles(name, "pending")) == ["", "web"]
    await wire.post("/api/manual_profile_generation", user_id=name, source="web")
    assert [row["source"] for row in await wire.profiles(name)] == ["web"]


async def test_the_status_of_a_manual_playbook_generation_counts_pending_playbooks(
    wire: Wire, name: str
) -> None:
    await wire.publish(name, source=name, agent_version=name)
    for count in (1, 2):
        answer = await wire.post("/api/manual_playbook_generation", agent_version=name, source=name)
        assert answer.json["playbooks_generated"] == count
    assert (await wire.operation("playbook_generation"))["stats"]["total_generated"] == 0


async def test_a_manual_generation_of_an_unknown_user_succeeds_with_nothing(wire: Wire, name: str) -> None:
    answer = (await wire.post("/api/manual_profile_generation", user_id=name)).json
    assert answer == {"success": True, "msg": "Generated 0 profiles for 1 user(s)", "profiles_generated": 0}


async def test_a_manual_playbook_generation_runs_every_user_of_the_source(wire: Wire, name: str) -> None:
    users = await _users(wire, name, 2)
    await wire.publish(users[0], source=name, agent_version=name)
    answer = (await wire.post("/api/manual_playbook_generation", agent_version=name, source=name)).json
    assert answer == {"success": True, "msg": "Generated 1 playbook entries", "playbooks_generated": 1}
    operation = await wire.operation("playbook_generation")
    assert sorted(operation["processed_user_ids"]) == users
    assert operation["request_params"].pop("operation_id")
    assert operation["request_params"] == {"agent_version": name, "source": name, "mode": "manual_regular"}


async def test_a_manual_playbook_generation_without_users_does_not_use_the_slot(
    wire: Wire, name: str
) -> None:
    answer = (await wire.post("/api/manual_playbook_generation", source=name)).json
    expected = "No interactions found to process"
    assert answer == {"success": True, "msg": expected, "playbooks_generated": 0}


@pytest.mark.parametrize("service", [None, "", "nope", "profile_generation"])
async def test_cancelling_nothing_succeeds(wire: Wire, service: str | None) -> None:
    answer = await wire.post("/api/cancel_operation", service_name=service)
    expected = "No in-progress operations found to cancel"
    assert answer.json == {"success": True, "cancelled_services": [], "msg": expected}
