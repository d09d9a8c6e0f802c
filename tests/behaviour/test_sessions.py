"""Sessions: finalizing them and their outcomes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire

_DAY = 24 * 3600


async def _outcome(wire: Wire, session_id: str, **fields: Any) -> Any:
    body = {"session_id": session_id, "outcome": "success", "occurred_at": int(time.time()) + 1, **fields}
    return (await wire.post("/api/session_outcome", **body)).json


async def test_the_end_of_a_known_session_is_accepted(wire: Wire, name: str) -> None:
    await wire.publish(name)
    answers = [
        (await wire.post("/api/finalize_session", user_id=user, session_id=f"s-{name}")).json
        for user in (name, f"{name}-other")
    ]
    accepted = "Completion hint accepted; learning is asynchronous."
    assert answers == [
        {"success": True, "accepted": True, "message": accepted},
        {"success": True, "accepted": False, "message": "No saved session to finalize."},
    ]


async def test_the_first_outcome_counts(wire: Wire, name: str) -> None:
    await wire.publish(name, source="src")
    report: dict[str, Any] = {
        "occurred_at": int(time.time()) + 1,
        "label": " L ",
        "value": 1.5,
        "metadata": {"a": 1},
    }
    first = await _outcome(wire, f"s-{name}", **report)
    again = await _outcome(wire, f"s-{name}", **report)
    other = await _outcome(wire, f"s-{name}", outcome="failure")
    keys = {
        "user_id",
        "source",
        "outcome_id",
        "outcome_revision",
        "outcome_contract_digest",
        "finalized_trajectory_digest",
    }
    assert {key: value for key, value in first.items() if key not in keys} == {
        "success": True,
        "recorded": True,
        "message": "Outcome recorded",
    }
    assert (first["user_id"], first["source"], first["outcome_revision"]) == (name, "src", 1)
    about = {key: first[key] for key in keys}
    assert again == {"success": True, "recorded": False, "message": "Outcome already exists", **about}
    assert other == {
        "success": False,
        "recorded": False,
        "reason": "conflicting_finalization",
        "message": "Outcome was not recorded",
        **about,
    }
    [row] = (await wire.post("/api/get_session_outcomes", user_id=name)).json["session_outcomes"]
    assert row.pop("created_at") >= report["occurred_at"] - 2
    assert row == {
        **about,
        "session_id": f"s-{name}",
        "outcome": "success",
        "occurred_at": report["occurred_at"],
        "label": "L",
        "value": 1.5,
        "metadata": {"a": 1},
        "is_inferred": False,
    }


async def test_an_impossible_outcome_is_not_recorded(wire: Wire, name: str) -> None:
    unknown = await _outcome(wire, f"{name}-nope")
    assert unknown == {
        "success": False,
        "recorded": False,
        "reason": "unknown_session",
        "message": "Session has no published requests",
    }
    await wire.publish(name)
    early = await _outcome(wire, f"s-{name}", occurred_at=1)
    assert (early["reason"], early["user_id"]) == ("occurred_before_session", name)
    assert early["message"] == "Outcome occurred before the session began"
    future = await _outcome(wire, f"s-{name}", occurred_at=int(time.time()) + _DAY + 60)
    assert future == {
        "success": False,
        "recorded": False,
        "reason": "occurred_in_future",
        "message": "Outcome occurred too far in the future",
    }


@pytest.mark.parametrize(
    ("fields", "kind", "place"),
    [
        ({"outcome": "fine"}, "enum", ["outcome"]),
        ({"label": " "}, "value_error", ["label"]),
        ({"metadata": {"a": "x" * 16_400}}, "value_error", ["metadata"]),
        ({"occurred_at": -1}, "greater_than_equal", ["occurred_at"]),
    ],
    ids=["outcome", "label", "metadata", "time"],
)
async def test_a_bad_outcome_is_422(wire: Wire, fields: dict[str, Any], kind: str, place: list[str]) -> None:
    [error] = (await _outcome(wire, "s", **fields))["detail"]
    assert (error["type"], error["loc"]) == (kind, ["body", *place])


async def test_outcomes_are_read_latest_first_in_pages(wire: Wire, name: str) -> None:
    now = int(time.time()) + 1
    for index, outcome in enumerate(("success", "failure", "success")):
        await wire.publish(name, session_id=f"{name}-{index}")
        await _outcome(wire, f"{name}-{index}", outcome=outcome, occurred_at=now + index, unheard_of=1)

    async def sessions(**fields: Any) -> list[str]:
        answer = await wire.post("/api/get_session_outcomes", **{"user_id": name, **fields})
        return [row["session_id"].removeprefix(f"{name}-") for row in answer.json["session_outcomes"]]

    assert await sessions() == ["2", "1", "0"]
    assert await sessions(session_ids=[]) == ["2", "1", "0"]
    assert await sessions(session_ids=[f"{name}-1"]) == ["1"]
    assert await sessions(outcome="failure") == ["1"]
    assert await sessions(top_k=2) == ["2", "1"]
    assert await sessions(top_k=2, offset=2) == ["0"]
    assert await sessions(start_time=now + 1, end_time=now + 1) == ["1"]
    assert await sessions(user_id=f"{name}-other") == []


async def test_an_outcome_outlives_its_session(wire: Wire, name: str) -> None:
    await wire.publish(name)
    await _outcome(wire, f"s-{name}")
    await wire.delete("/api/delete_session", session_id=f"s-{name}")
    answer = await wire.post("/api/get_session_outcomes", user_id=name)
    assert len(answer.json["session_outcomes"]) == 1


async def test_a_reversed_range_of_outcomes_is_422(wire: Wire) -> None:
    answer = await wire.post("/api/get_session_outcomes", start_time=2, end_time=1)
    [error] = answer.json["detail"]
    assert (answer.status, error["type"], error["loc"]) == (422, "value_error", ["body"])
