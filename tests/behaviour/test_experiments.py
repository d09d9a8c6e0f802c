"""Experiments: starting, stopping, and what they withhold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.rows import add_profiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.behaviour.wire import Answer, Wire

_PATH = "/api/retrieval_experiments"


async def _stop(wire: Wire, experiment_id: str) -> Answer:
    return await wire.post(f"{_PATH}/stop", experiment_id=experiment_id)


@pytest.fixture
async def running(wire: Wire, name: str) -> AsyncIterator[str]:
    """An experiment that is stopped at the end."""
    answer = await wire.post(_PATH, experiment_id=name, holdout_percentage=50)
    yield name
    await _stop(wire, name)
    assert answer.json["active_experiment"] in answer.json["experiments"]


async def test_one_experiment_runs_at_a_time_under_an_unused_id(wire: Wire, running: str) -> None:
    listed = (await wire.get(_PATH)).json
    assert set(listed["active_experiment"]) == {"experiment_id", "holdout_percentage", "started_at"}
    second = await wire.post(_PATH, experiment_id=f"{running}-2", holdout_percentage=50)
    expected = "Stop the active retrieval experiment before starting another"
    assert (second.status, second.json) == (409, {"detail": expected})
    wrong = await _stop(wire, f"{running}-2")
    expected = "The requested retrieval experiment is not active"
    assert (wrong.status, wrong.json) == (409, {"detail": expected})
    stopped = (await _stop(wire, running)).json
    assert "active_experiment" not in stopped
    [mine] = [row for row in stopped["experiments"] if row["experiment_id"] == running]
    assert mine["ended_at"] >= mine["started_at"]
    again = await wire.post(_PATH, experiment_id=running, holdout_percentage=50)
    assert (again.status, again.json) == (409, {"detail": "Retrieval experiment IDs cannot be reused"})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"experiment_id": " ", "holdout_percentage": 5}, "value_error"),
        ({"experiment_id": "x", "holdout_percentage": 100}, "less_than"),
        ({"experiment_id": "x", "holdout_percentage": 0}, "greater_than"),
    ],
    ids=["name", "all", "none"],
)
async def test_a_bad_experiment_is_422(wire: Wire, body: dict[str, Any], kind: str) -> None:
    answer = await wire.post(_PATH, **body)
    assert (answer.status, answer.json["detail"][0]["type"]) == (422, kind)


async def test_an_unknown_experiment_has_no_results(wire: Wire) -> None:
    answer = await wire.get(f"{_PATH}/nope/results")
    assert (answer.status, answer.json) == (404, {"detail": "Retrieval experiment not found"})


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("path", ["search", "search_user_playbooks", "search_agent_playbooks"])
async def test_a_search_without_a_user_is_422_while_an_experiment_runs(wire: Wire, path: str) -> None:
    answer = await wire.post(f"/api/{path}", query="q")
    expected = "user_id is required while a retrieval experiment is active"
    assert (answer.status, answer.json) == (422, {"detail": expected})


async def test_users_in_the_holdout_find_nothing(wire: Wire, running: str) -> None:
    arms: dict[str, Any] = {}
    for index in range(12):
        user = f"{running}-{index}"
        await add_profiles(wire, user, "sushi fan")
        arms[user] = (await wire.post("/api/search", query="sushi", user_id=user)).json
    by_arm = {answer["experiment"]["arm"]: answer for answer in arms.values()}
    assert set(by_arm) == {"treatment", "holdout"}
    assert by_arm["holdout"] == {
        "success": True,
        "profiles": [],
        "agent_playbooks": [],
        "user_playbooks": [],
        "msg": "Retrieval withheld by experiment assignment",
        "degraded": False,
        "experiment": {"experiment_id": running, "arm": "holdout"},
    }
    assert len(by_arm["treatment"]["profiles"]) == 1
    held_out = next(user for user, answer in arms.items() if answer["experiment"]["arm"] == "holdout")
    profiles = await wire.post("/api/search_profiles", query="sushi", user_id=held_out)
    assert profiles.json["user_profiles"] == []
    wrong = {"retrieval_experiment_id": running, "retrieval_experiment_arm": "treatment"}
    assert await wire.publish(held_out, **wrong) == {
        "success": False,
        "message": "retrieval experiment arm does not match the user assignment",
        "warnings": [],
    }
    right = {**wrong, "retrieval_experiment_arm": "holdout"}
    assert (await wire.publish(held_out, **right))["success"]
    results = (await wire.get(f"{_PATH}/{running}/results")).json
    assert results["holdout"] == {
        "arm": "holdout",
        "assigned_user_count": 1,
        "published_session_count": 1,
        "evaluated_user_count": 0,
        "evaluated_session_count": 0,
        "average_output_tokens": 0.0,
        "output_token_session_count": 1,
    }


async def test_an_experiment_id_without_an_arm_is_422(wire: Wire, name: str) -> None:
    answer = await wire.publish(name, retrieval_experiment_id=name)
    expected = "retrieval_experiment_id and retrieval_experiment_arm must be provided together"
    assert answer["detail"][0]["msg"] == f"Value error, {expected}"


async def test_the_arm_of_a_user_is_the_same_on_every_server(wire: Wire) -> None:
    name = "a-fixed-name"
    await wire.post(_PATH, experiment_id=name, holdout_percentage=50)
    answers = [(await wire.post("/api/search", query="q", user_id=user)).json for user in "abcdefgh"]
    await _stop(wire, name)
    arms = [answer["experiment"]["arm"] for answer in answers]
    assert [arm[0] for arm in arms] == list("tthhtttt")
