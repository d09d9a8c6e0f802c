"""NaN and infinity in a JSON body. JSON does not have them, but the server's parser reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.rows import add_profiles

if TYPE_CHECKING:
    from tests.behaviour.wire import Answer, Wire

_CONSTANTS = ("NaN", "Infinity", "-Infinity")
_NOT_FINITE = {"type": "finite_number", "msg": "Input should be a finite number"}


async def _post(wire: Wire, path: str, body: str) -> Answer:
    return await wire.send("POST", path, data=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("constant", _CONSTANTS)
async def test_a_non_finite_number_is_422_without_the_input(wire: Wire, constant: str) -> None:
    answer = await _post(wire, "/api/get_profiles", f'{{"user_id": "u", "top_k": {constant}}}')
    assert (answer.status, answer.json) == (422, {"detail": [{**_NOT_FINITE, "loc": ["body", "top_k"]}]})


async def test_one_non_finite_number_removes_input_and_context_of_all_errors(wire: Wire) -> None:
    body = '{"user_id": "u", "top_k": 0, "start_time": NaN}'
    answer = await _post(wire, "/api/get_profiles", body)
    assert answer.status == 422
    assert sorted(map(sorted, answer.json["detail"])) == [["loc", "msg", "type"]] * 2


async def test_an_error_keeps_its_input_if_a_number_elsewhere_is_not_finite(wire: Wire) -> None:
    answer = await _post(wire, "/api/get_profiles", '{"user_id": "u", "top_k": 0, "unknown": NaN}')
    [error] = answer.json["detail"]
    assert (error["input"], error["ctx"]) == (0, {"gt": 0})


@pytest.mark.parametrize("body", ["NaN", "[NaN]"])
async def test_a_body_that_is_no_object_is_422_without_the_input(wire: Wire, body: str) -> None:
    answer = await _post(wire, "/api/get_profiles", body)
    [error] = answer.json["detail"]
    assert (answer.status, error["type"], "input" in error) == (422, "model_attributes_type", False)


async def test_an_unknown_field_may_hold_a_non_finite_number(wire: Wire) -> None:
    answer = await _post(wire, "/api/get_profiles", '{"user_id": "u", "unknown": NaN}')
    assert answer.status == 200


async def test_a_stored_non_finite_number_is_returned_as_null(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "likes tea", custom_features={"a": float("nan"), "b": [float("-inf")]})
    [profile] = await wire.profiles(name)
    assert profile["custom_features"] == {"a": None, "b": [None]}


async def test_the_metadata_of_an_outcome_must_be_json(wire: Wire, name: str) -> None:
    outcome: dict[str, Any] = {"session_id": name, "outcome": "success", "occurred_at": 1}
    body = json.dumps({**outcome, "metadata": {"a": float("nan")}})
    answer = await _post(wire, "/api/session_outcome", body)
    [error] = answer.json["detail"]
    assert (answer.status, error["loc"]) == (422, ["body", "metadata"])
    assert error["msg"] == "Value error, metadata must contain only valid JSON values"


async def test_a_configuration_with_a_non_finite_number_is_422(wire: Wire) -> None:
    answer = await _post(wire, "/api/update_config", '{"window_size": NaN}')
    assert answer.status == 422
    assert answer.json["detail"]["validation_errors"] == [{**_NOT_FINITE, "loc": ["window_size"]}]
