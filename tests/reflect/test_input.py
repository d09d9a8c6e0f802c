"""Unusable arguments are refused before anything is sent. The error names the field."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from reflexio_async import AsyncReflectClient, InvalidRequest
from reflexio_async.reflect.models.common import verdict
from reflexio_async.reflect.trajectory import check_trajectory
from tests.reflect.scene import scene

TASK: dict[str, Any] = {"task": "t", "trajectory": []}
NESTED: list[Any] = []
NESTED.append(NESTED)
DEEP: list[Any] = [{"role": "user", "content": json.loads("[" * 300 + "]" * 300)}]


@pytest.fixture
def client() -> Any:
    """There is no server at its address, so a call that is sent does not raise InvalidRequest."""
    return AsyncReflectClient(base_url="http://127.0.0.1:1", project_id="p")


async def problem(call: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        await call
    return str(caught.value)


@pytest.mark.parametrize(
    ("trajectory", "text"),
    [
        ("caf\udce9", "must be plain JSON"),
        (None, "must be text or a list of messages, not NoneType"),
        (b"[]", "not bytes"),
        ({"role": "user"}, "not dict"),
        (3, "not int"),
        ([{"content": "x"}], "message 0 must have a role"),
        ([{"role": ""}], "message 0 must have a role"),
        ([{"role": None}], "message 0 must have a role"),
        ([{"role": "user"}, "x"], "message 1 must be a mapping with role and content, not str"),
        ([{"role": "user", "content": object()}], "must be plain JSON"),
        ([{"role": "user", "content": math.nan}], "must be plain JSON"),
        ([{"role": "user", "content": NESTED}], "must be plain JSON"),
    ],
    ids=lambda value: f"{value!r:.30}",
)
async def test_an_unusable_trajectory_is_refused(client: Any, trajectory: Any, text: str) -> None:
    for call in (client.create_trace, client.create_trace_and_wait):
        message = await problem(call(task="t", trajectory=trajectory))
        assert message.startswith(f"{call.__name__}: trajectory: ")
        assert text in message


@pytest.mark.parametrize("task", ["", "  ", "\n", None, 3, ["t"]])
async def test_an_unusable_task_is_refused(client: Any, task: Any) -> None:
    for call in (
        client.create_trace(task=task, trajectory=[]),
        client.create_trace_and_wait(task=task, trajectory=[]),
        client.query_memories(task),
        client.query_memories(task=task),
        client.augment_with_memories(task),
        client.create_memory(task=task, summary="s", guidance="g", result="pass"),
    ):
        assert "task: " in await problem(call)


@pytest.mark.parametrize("result", ["maybe", "", "passed", "PASS!", True, 1, ["pass"]])
async def test_an_unusable_result_is_refused(client: Any, result: Any) -> None:
    assert "review_result: " in await problem(client.create_trace(**TASK, review_result=result))
    assert "review.result: " in await problem(client.create_trace(**TASK, review={"result": result}))
    assert "result: " in await problem(client.review_trace("t", result=result))
    memory = {"task": "t", "summary": "s", "guidance": "g", "result": result}
    assert "result: " in await problem(client.create_memory(**memory))


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("pass", "pass"), ("SUCCESS", "pass"), (" Fail ", "fail"), ("failure", "fail")],
)
def test_each_result_has_two_names_in_any_case(word: str, meaning: str) -> None:
    assert verdict(word) == meaning


@pytest.mark.parametrize("alpha", [-0.01, 1.01, math.nan, math.inf, "much"])
async def test_a_step_size_is_between_zero_and_one(client: Any, alpha: Any) -> None:
    assert "alpha: " in await problem(client.create_trace(**TASK, review_result="pass", alpha=alpha))
    assert "alpha: " in await problem(client.create_trace(**TASK, alpha=alpha))
    assert "alpha: " in await problem(client.review_trace("t", result="pass", alpha=alpha))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lambda_", 1.5),
        ("lambda_", math.nan),
        ("mmr_lambda", -1),
        ("limit", 0),
        ("limit", "many"),
        ("similarity_threshold", math.inf),
        ("metadata_filter", ["a"]),
        ("metadata_filter", {"a": object()}),
    ],
)
async def test_unusable_fields_of_a_query_are_refused(client: Any, field: str, value: Any) -> None:
    assert field in await problem(client.query_memories("t", **{field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metadata", [1]),
        ("metadata", {"a": {1, 2}}),
        ("metadata", {"a": math.nan}),
        ("retrieved_memory_ids", "m1"),
        ("retrieved_memory_ids", [""]),
        ("final_response", 3),
        ("model", ["gpt"]),
        ("project_id", " "),
        ("project_id", ".."),
    ],
)
async def test_unusable_fields_of_a_trace_are_refused(client: Any, field: str, value: Any) -> None:
    assert field in await problem(client.create_trace(**TASK, **{field: value}))


@pytest.mark.parametrize(
    "unreadable",
    [
        {"task": "caf\udce9"},
        {"trajectory": [{"role": "user", "content": "caf\udce9"}]},
        {"trajectory": [{"role": "user", "content": [{"caf\udce9": 1}]}]},
        {"trajectory": '[{"role": "user", "content": "caf\udce9"}]'},
        {"trajectory": '[{"role": "user", "content": "caf\\udce9"}]'},
        {"final_response": "caf\udce9"},
        {"feedback_text": "caf\udce9"},
        {"metadata": {"a": ["caf\udce9"]}},
        {"metadata": {"caf\udce9": 1}},
    ],
    ids=ascii,
)
async def test_text_that_is_not_unicode_is_refused_with_its_field(unreadable: dict[str, Any]) -> None:
    (field,) = unreadable
    async with scene() as s:
        trace: dict[str, Any] = {**TASK, "review_result": "fail", **unreadable}
        assert (await problem(s.client.create_trace(**trace))).startswith(f"create_trace: {field}")
        with pytest.raises(InvalidRequest, match=rf"traces\[1\]: .*{field}"):
            s.client.create_traces_many([TASK, trace])
        assert not s.box.requests


@pytest.mark.parametrize(
    ("argument", "value"),
    [("task", "caf\udce9"), ("reference_context", "caf\udce9"), ("metadata_filter", {"a": "caf\udce9"})],
    ids=ascii,
)
async def test_text_of_a_context_that_is_not_unicode_is_refused_with_its_argument(
    client: Any, argument: str, value: Any
) -> None:
    given = {"task": "t", argument: value}
    with pytest.raises(InvalidRequest, match=f"trace: {argument}: "):
        client.trace(**given)


@pytest.mark.parametrize("trajectory", [DEEP, json.dumps(DEEP)], ids=["messages", "text"])
async def test_a_trajectory_that_is_too_deep_for_json_is_refused(client: Any, trajectory: Any) -> None:
    text = await problem(client.create_trace(task="t", trajectory=trajectory))
    assert text.startswith("create_trace: trajectory: must be plain JSON: ")


async def test_review_and_review_result_together_are_refused(client: Any) -> None:
    both = {"review_result": "pass", "review": {"result": "pass"}}
    assert "not both" in await problem(client.create_trace(**TASK, **both))


async def test_the_error_of_a_misspelt_name_suggests_the_right_one(client: Any) -> None:
    message = await problem(client.create_trace(**TASK, reviev_result="pass"))
    assert "did you mean review_result?" in message
    with pytest.raises(TypeError, match="unexpected keyword argument 'lambda_weight'"):
        client.query_memories("t", lambda_weight=1)


@pytest.mark.parametrize("option", ["poll_interval", "wait_timeout"])
@pytest.mark.parametrize("value", [-0.001, -1, math.nan])
async def test_unusable_options_of_waiting_are_refused_before_a_trace_is_sent(
    client: Any, option: str, value: Any
) -> None:
    assert option in await problem(client.create_trace_and_wait(**TASK, **{option: value}))
    assert option in await problem(client.wait_for_trace("t", **{option: value}))


@pytest.mark.parametrize("identity", ["", " ", None, 3])
async def test_an_unusable_id_is_refused(client: Any, identity: Any) -> None:
    for call in (
        client.get_trace(identity),
        client.wait_for_trace(identity),
        client.review_trace(identity, result="pass"),
    ):
        assert "trace_id: " in await problem(call)
    assert "key_id: " in await problem(client.revoke_api_key(identity))
    assert "trace_ids.0: " in await problem(client.delete_traces([identity]))


async def test_one_id_in_place_of_a_list_is_refused(client: Any) -> None:
    assert "must be a list" in await problem(client.delete_traces("t1"))
    assert "must be a list" in await problem(client.create_api_key(label="l", scopes="trace:read"))


async def test_an_unknown_review_status_is_refused(client: Any) -> None:
    assert "review_status: " in await problem(client.list_traces(review_status="done"))


async def test_an_authored_memory_without_text_is_refused(client: Any) -> None:
    memory = {"task": "t", "summary": " ", "guidance": "", "result": "pass"}
    message = await problem(client.create_memory(memory))
    assert "summary: " in message
    assert "guidance: " in message


async def test_a_bootstrap_without_its_arguments_is_refused() -> None:
    parts: dict[str, Any] = {"bootstrap_token": "", "user_id": " ", "project_id": "p"}
    message = await problem(AsyncReflectClient.bootstrap(base_url="http://127.0.0.1:1", **parts))
    assert "bootstrap_token: " in message
    assert "user_id: " in message


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"role": "user", "content": "ü"}], indent=1),
        "User: 2 + 2?\nAssistant: 4",
        "",
        '["hello"]',
        '[{"content": "no role"}]',
        '{"role": "user"}',
        "[NaN]",
        "[" * 100_000,
    ],
    ids=lambda value: f"{value!r:.30}",
)
def test_a_trajectory_given_as_text_is_not_changed(text: str) -> None:
    assert check_trajectory(text) is text
