"""Aggregation, its change log, reviews and provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.rows import (
    add_agent_playbooks,
    add_playbooks,
    add_profiles,
    agent_playbooks,
    user_playbooks,
)

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire

_RUN = "/api/run_playbook_aggregation"


async def _learnt(wire: Wire, version: str) -> None:
    for index in range(2):
        await wire.publish(f"{version}-{index}", agent_version=version, source=version)
    await wire.post("/api/manual_playbook_generation", agent_version=version, source=version)


async def test_too_few_playbooks_are_skipped(wire: Wire, name: str) -> None:
    for count in range(2):
        answer = (await wire.post(_RUN, agent_version=name)).json
        expected = f"Skipped: not enough new playbooks ({count} < 2)"
        assert answer == {"success": True, "message": expected}
        await add_playbooks(wire, name, "greet")


async def test_without_a_configuration_nothing_is_aggregated(wire: Wire, name: str) -> None:
    part = "user_playbook_extractor_config"
    before = (await wire.get("/api/get_config")).json[part]
    for useless in (None, {**before, "aggregation_config": {"min_cluster_size": 1}}):
        await wire.post("/api/update_config", **{part: useless})
        try:
            answer = await wire.post(_RUN, agent_version=name)
        finally:
            await wire.post("/api/update_config", **{part: before})
        expected = "Skipped: no aggregator config or min_cluster_size < 2"
        assert answer.json == {"success": True, "message": expected}


async def test_user_playbooks_become_an_agent_playbook(wire: Wire, name: str) -> None:
    await _learnt(wire, name)
    expected = "Processed 2 user playbooks, found 1 clusters, generated 1 agent playbooks"
    for _ in range(2):  # and again, in place of the first
        # Whatever the playbook name, it is the version that counts.
        answer = (await wire.post(_RUN, agent_version=name, playbook_name="whatever")).json
        assert answer == {"success": True, "message": expected}
    [playbook] = await agent_playbooks(wire, agent_version=name)
    assert (playbook["playbook_name"], playbook["playbook_status"]) == ("playbook", "pending")
    assert playbook["playbook_metadata"] == "mock_generated"
    assert playbook["trigger"] == "user says something like 'I like sushi'"
    every = await agent_playbooks(wire, agent_version=name, status_filter=[])
    assert [row.get("status") for row in every] == [None, "superseded"]
    logs = await wire.get(
        "/api/playbook_aggregation_change_logs", playbook_name="playbook", agent_version=name
    )
    second, first = logs.json["change_logs"]
    assert (second["run_mode"], second["updated_agent_playbooks"]) == ("full_archive", [])
    assert second["added_agent_playbooks"][0]["agent_playbook_id"] == playbook["agent_playbook_id"]
    assert second["removed_agent_playbooks"] == first["added_agent_playbooks"]
    assert first["added_agent_playbooks"][0]["rationale"] is None, "nulls are kept"


async def test_an_unknown_version_has_no_history(wire: Wire, name: str) -> None:
    query = {"playbook_name": "playbook", "agent_version": name}
    answer = await wire.get("/api/playbook_aggregation_change_logs", **query)
    assert answer.json == {"success": True, "change_logs": []}
    incomplete = await wire.get("/api/playbook_aggregation_change_logs")
    assert [error["loc"] for error in incomplete.json["detail"]] == [
        ["query", "playbook_name"],
        ["query", "agent_version"],
    ]


@pytest.mark.parametrize("body", [{"request_id": " ", "agent_version": "v"}, {"request_id": "r" * 201}])
async def test_a_bad_durable_aggregation_is_422(wire: Wire, body: dict[str, str]) -> None:
    assert (await wire.post("/api/playbook_aggregation_operations", **body)).status == 422


async def test_the_report_of_a_review_is_in_the_response(wire: Wire, name: str) -> None:
    await add_playbooks(wire, name, "without evidence")
    [row] = await user_playbooks(wire, user_id=name)
    key = row["user_playbook_id"]
    window = {"start_time": "2020-01-01T00:00:00Z", "end_time": "2100-01-01T00:00:00Z"}
    report = (await wire.post("/api/review_user_playbooks", **window, top_k=1)).json
    assert report.pop("run_id").startswith("playbook_review_")
    assert report == {
        "success": True,
        "report_only": True,
        "selected_count": 1,
        "accepted_count": 0,
        "edited_count": 0,
        "rejected_count": 0,
        "skipped_count": 1,
        "results": [
            {
                "user_playbook_id": key,
                "decision": "skip",
                "reason_code": "evidence_unavailable",
                "reason": f"User playbook {key} lacks validated evidence",
                "applied": False,
            }
        ],
        "msg": "Reviewed 1 user playbook(s)",
    }


async def test_a_review_that_applies_is_answered_at_once(wire: Wire) -> None:
    window = {"start_time": "2019-01-01T00:00:00Z", "end_time": "2019-01-02T00:00:00Z"}
    answer = (await wire.post("/api/review_user_playbooks", **window, report_only=False)).json
    assert answer["run_id"].startswith("playbook_review_")
    assert (answer["msg"], answer["results"]) == ("User playbook review started", [])
    backward = {"start_time": window["end_time"], "end_time": window["start_time"]}
    assert (await wire.post("/api/review_user_playbooks", **backward)).status == 422


async def _provenance(wire: Wire, kind: str, key: object) -> Any:
    answer = (await wire.post("/api/get_learning_provenance", kind=kind, id=str(key))).json
    assert (answer.pop("target_kind"), answer.pop("target_id")) == (kind, str(key))
    return answer


@pytest.mark.parametrize(
    ("kind", "key", "msg"),
    [
        ("profile", "nope", "Profile not found"),
        ("user_playbook", "nope", "user_playbook id must be an integer"),
        ("user_playbook", "987654", "User playbook not found"),
        ("agent_playbook", "987654", "Agent playbook not found"),
    ],
    ids=["profile", "no number", "user playbook", "agent playbook"],
)
async def test_the_provenance_of_nothing(wire: Wire, kind: str, key: str, msg: str) -> None:
    assert await _provenance(wire, kind, key) == {
        "success": False,
        "provenance_status": "unavailable",
        "interactions": [],
        "source_user_playbooks": [],
        "msg": msg,
    }


async def test_the_provenance_of_learnt_rows(wire: Wire, name: str) -> None:
    await _learnt(wire, name)
    await wire.post("/api/manual_profile_generation", user_id=f"{name}-0")
    [profile] = await wire.profiles(f"{name}-0")
    found = await _provenance(wire, "profile", profile["profile_id"])
    assert (found["provenance_status"], found["trigger_request_id"]) == (
        "exact",
        profile["generated_from_request_id"],
    )
    assert [turn["content"] for turn in found["interactions"]] == ["I like sushi"]
    rows = await user_playbooks(wire, agent_version=name)
    found = await _provenance(wire, "user_playbook", rows[0]["user_playbook_id"])
    assert (found["provenance_status"], len(found["interactions"])) == ("exact", 1)
    await wire.post(_RUN, agent_version=name)
    [agent] = await agent_playbooks(wire, agent_version=name)
    found = await _provenance(wire, "agent_playbook", agent["agent_playbook_id"])
    assert (found["provenance_status"], found["interactions"]) == ("exact", [])
    sources = found["source_user_playbooks"]
    assert {source["user_playbook"]["user_id"] for source in sources} == {f"{name}-0", f"{name}-1"}
    assert [len(source["interactions"]) for source in sources] == [1, 1]


async def test_the_provenance_of_rows_written_by_callers(wire: Wire, name: str) -> None:
    [profile] = await add_profiles(wire, name, "likes tea")
    found = await _provenance(wire, "profile", profile)
    assert (found["success"], found["msg"]) == (False, "Profile generation request was not found")
    [user] = await add_playbooks(wire, name, "greet")
    found = await _provenance(wire, "user_playbook", user)
    assert (found["success"], found["msg"]) == (True, "No interactions found for this user playbook")
    [agent] = await add_agent_playbooks(wire, name, "greet")
    found = await _provenance(wire, "agent_playbook", agent)
    expected = "No source user playbooks are recorded for this agent playbook"
    assert (found["success"], found["msg"]) == (True, expected)
