"""Publishing: storing once, warnings and learning."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire

_PATH = "/api/publish_interaction"


def _request(name: str, **fields: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": "I like sushi"}]
    return {"user_id": name, "session_id": name, "interaction_data_list": turns, **fields}


async def test_a_publish_is_acknowledged_in_full(wire: Wire, name: str) -> None:
    answer = await wire.post(_PATH, **_request(name, request_id=name))
    assert answer.json == {
        "success": True,
        "message": "Interaction published successfully",
        "warnings": [],
        "request_id": name,
        "storage_type": "sqlite",
        "storage_label": "<default sqlite>",
        "profiles_added": 0,
        "playbooks_added": 0,
        "learning_status": "deferred",
        "learning_reason": "waiting_for_window",
    }


async def test_an_absent_request_id_is_made_up(wire: Wire, name: str) -> None:
    first, second = [(await wire.publish(name))["request_id"] for _ in range(2)]
    assert len({first, second}) == 2


async def test_a_used_request_id_is_refused_with_200_and_nothing_is_stored(wire: Wire, name: str) -> None:
    await wire.publish(name, "first", request_id=name)
    again = await wire.publish(f"{name}-other", "second", request_id=name)
    assert again == {"success": False, "message": f"request_id '{name}' already exists", "warnings": []}
    assert (await wire.post("/api/get_requests", user_id=f"{name}-other")).json["sessions"] == []


async def test_only_one_of_simultaneous_duplicates_is_stored(wire: Wire, name: str) -> None:
    answers = await asyncio.gather(*(wire.publish(name, request_id=name) for _ in range(10)))
    assert sum(answer["success"] for answer in answers) == 1


async def test_names_are_stripped(wire: Wire, name: str) -> None:
    await wire.publish(f" {name} ", session_id=f" {name} ", request_id=f" {name} ")
    found = (await wire.post("/api/get_requests", request_id=name)).json["sessions"][0]
    stored = found["requests"][0]["request"]
    assert (stored["user_id"], stored["session_id"], stored["request_id"]) == (name, name, name)


async def test_unknown_fields_are_ignored_with_a_warning(wire: Wire, name: str) -> None:
    turn = {"content": "x", "foo": 1, "bar": 2}
    answer = await wire.publish(name, interaction_data_list=[turn], baz=3)
    assert answer["warnings"] == [
        "interaction_data_list[0]: ignored unrecognised field(s) bar, foo",
        "publish request: ignored unrecognised field(s) baz",
    ]


async def test_unknown_fields_of_the_parts_of_an_interaction_are_ignored_with_a_warning(
    wire: Wire, name: str
) -> None:
    parts = {
        "tools_used": [{"tool_name": "t", "b": 1}],
        "citations": [{"kind": "profile", "real_id": "p", "c": 1}],
        "retrieved_learnings": [{"kind": "profile", "learning_id": "p", "d": 1}],
    }
    turns = [{"role": "user", "content": "x", "a": 1, **parts}]
    answer = (await wire.post(_PATH, **{**_request(name), "interaction_data_list": turns})).json
    unknown = "a, citations[0].c, retrieved_learnings[0].d, tools_used[0].b"
    assert answer["warnings"] == [f"interaction_data_list[0]: ignored unrecognised field(s) {unknown}"]
    [interaction] = (await wire.post("/api/get_interactions", user_id=name)).json["interactions"]
    assert interaction["tools_used"] == [{"tool_name": "t", "tool_data": {}, "status": ""}]
    assert interaction["retrieved_learnings"] == [{"kind": "profile", "learning_id": "p"}]


async def test_a_warning_names_five_unknown_fields(wire: Wire, name: str) -> None:
    answer = await wire.publish(name, **dict.fromkeys("gfedcba", 1))
    assert answer["warnings"] == ["publish request: ignored unrecognised field(s) a, b, c, d, e, +2 more"]


@pytest.mark.parametrize("given", [{"tools_used": [{"status": "ok"}]}, {"created_at": None}], ids=str)
async def test_a_bad_interaction_is_422(wire: Wire, name: str, given: dict[str, Any]) -> None:
    turns = [{"role": "user", "content": "x", **given}]
    answer = await wire.post(_PATH, **{**_request(name), "interaction_data_list": turns})
    assert answer.status == 422


async def test_the_digest_of_an_exposure_receipt_is_the_servers_own(wire: Wire, name: str) -> None:
    learning = {"kind": "profile", "learning_id": "p", "exposure_receipt_digest": "0" * 64}
    turns = [{"role": "user", "content": "x", "retrieved_learnings": [learning]}]
    turns.append({**turns[0], "retrieved_learnings": [{**learning, "exposure_receipt": "abc"}]})
    await wire.post(_PATH, **{**_request(name), "interaction_data_list": turns})
    found = (await wire.post("/api/get_interactions", user_id=name)).json["interactions"]
    digests = {
        learnt.get("exposure_receipt_digest") for row in found for learnt in row["retrieved_learnings"]
    }
    assert digests == {None, sha256(b"abc").hexdigest()}


async def test_empty_interactions_are_dropped_with_a_warning(wire: Wire, name: str) -> None:
    turns: list[dict[str, str]] = [{"content": "x"}, {"content": "  "}, {}]
    answer = await wire.publish(name, request_id=name, interaction_data_list=turns)
    expected = "skipped 2 empty interaction(s) that carried no content, at index(es) 1, 2"
    assert answer["warnings"] == [expected]
    found = (await wire.post("/api/get_requests", request_id=name)).json["sessions"][0]
    assert [turn["content"] for turn in found["requests"][0]["interactions"]] == ["x"]


@pytest.mark.parametrize(
    ("fields", "place", "kind", "echo"),
    [
        ({"session_id": " "}, ["session_id"], "value_error", " "),
        ({"user_id": ""}, ["user_id"], "value_error", ""),
        ({"user_id": 3}, ["user_id"], "string_type", 3),
        ({"interaction_data_list": []}, ["interaction_data_list"], "too_short", []),
        (
            {"interaction_data_list": [{"content": "x", "user_action": "zap"}]},
            ["interaction_data_list", 0, "user_action"],
            "enum",
            "zap",
        ),
    ],
    ids=["blank session", "empty user", "user of another type", "no turns", "unknown action"],
)
async def test_a_bad_field_is_422_and_echoed(
    wire: Wire, name: str, *, fields: dict[str, Any], place: list[Any], kind: str, echo: Any
) -> None:
    answer = await wire.post(_PATH, **_request(name, **fields))
    assert answer.status == 422
    [error] = answer.json["detail"]
    assert (error["loc"], error["type"], error["input"]) == (["body", *place], kind, echo)
    assert set(error) <= {"type", "loc", "msg", "input", "ctx"}


async def test_a_bad_source_fails_both_of_its_alternatives(wire: Wire, name: str) -> None:
    errors = (await wire.post(_PATH, **_request(name, source="Bad Source"))).json["detail"]
    assert [error["loc"][-1] for error in errors] == ["literal['']", "constrained-str"]
    assert errors[1]["msg"] == "String should match pattern '^[a-z0-9][a-z0-9._:-]{0,127}$'"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"interaction_data_list": [{"content": " "}]}, "every interaction is empty: at least one must set"),
        (
            {"evaluation_only": True, "force_extraction": True},
            "evaluation_only cannot be combined with force_extraction",
        ),
        (
            {"interaction_data_list": [{"content": "x", "user_action": "click"}]},
            "interaction_data_list[0] user_action requires a user_action_description",
        ),
    ],
    ids=["all empty", "contradiction", "unexplained action"],
)
async def test_an_inconsistent_publish_is_422_and_echoed(
    wire: Wire, name: str, fields: dict[str, Any], message: str
) -> None:
    given = _request(name, **fields)
    [error] = (await wire.post(_PATH, **given)).json["detail"]
    assert error["msg"].startswith(f"Value error, {message}")
    assert (error["loc"], error["input"], error["ctx"]) == (["body"], given, {"error": {}})


@pytest.mark.parametrize(
    ("body", "content_type", "kind"),
    [
        (b"[1]", "application/json", "model_attributes_type"),
        (b"null", "application/json", "model_attributes_type"),
        (b'{"user_id": "u"}', "text/plain", "model_attributes_type"),
        (b"{bad", "application/json", "json_invalid"),
        (b'{"a":1}x', "application/json", "json_invalid"),
        (b"", "application/json", "missing"),
    ],
    ids=["list", "null", "text", "broken", "trailing", "nothing"],
)
async def test_a_body_that_is_no_json_object_is_422(
    wire: Wire, body: bytes, content_type: str, kind: str
) -> None:
    answer = await wire.send("POST", _PATH, data=body, headers={"Content-Type": content_type})
    assert (answer.status, answer.json["detail"][0]["type"]) == (422, kind)


async def test_waiting_for_a_window_that_is_not_full_returns_at_once(wire: Wire, name: str) -> None:
    answer = await wire.send("POST", f"{_PATH}?wait_for_response=true", json=_request(name, request_id=name))
    assert answer.json["learning_reason"] == "waiting_for_window"
    status = await wire.get("/api/learning_status", request_id=name)
    assert status.json == {"status": "pending", "reason": "waiting_for_window"}


async def test_waiting_for_forced_learning_waits_until_it_is_done(wire: Wire, name: str) -> None:
    given = _request(name, request_id=name, force_extraction=True)
    answer = (await wire.send("POST", f"{_PATH}?wait_for_response=true", json=given)).json
    assert (answer["learning_status"], answer["learning_reason"]) == ("done", "covered")
    assert (answer["profiles_added"], answer["playbooks_added"]) == (1, 1)
    [profile] = await wire.profiles(name)
    assert profile["content"] == "User mentioned: I like sushi"
    assert profile["generated_from_request_id"] == name
    assert "status" not in profile


async def test_learning_from_an_evaluation_only_publish_is_done_at_once(wire: Wire, name: str) -> None:
    answer = await wire.publish(name, request_id=name, evaluation_only=True)
    assert (answer["learning_status"], answer["learning_reason"]) == ("done", "not_applicable")


async def test_ten_interactions_of_a_user_fill_a_window(wire: Wire, name: str) -> None:
    await wire.publish(name, *"abcdefghi", request_id=f"{name}-1")
    before = (await wire.get("/api/learning_status", request_id=f"{name}-1")).json
    await wire.publish(name, "j", request_id=f"{name}-2")
    after = before
    while after["status"] != "done":
        await asyncio.sleep(0.025)
        after = (await wire.get("/api/learning_status", request_id=f"{name}-1")).json
    assert before["reason"] == "waiting_for_window"
    assert after["reason"] == "covered"
    assert [row["content"] for row in await wire.profiles(name)] == ["User mentioned: j"]


async def test_learning_of_an_unknown_request_is_404(wire: Wire, name: str) -> None:
    answer = await wire.get("/api/learning_status", request_id=name)
    assert (answer.status, answer.json) == (404, {"detail": "request not found"})


async def test_learning_status_without_a_request_id_is_422(wire: Wire) -> None:
    answer = await wire.get("/api/learning_status")
    expected = {"type": "missing", "loc": ["query", "request_id"], "msg": "Field required", "input": None}
    assert (answer.status, answer.json) == (422, {"detail": [expected]})
