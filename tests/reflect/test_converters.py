"""The behaviour that all converters share."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from reflexio_async import InvalidRequest
from reflexio_async.reflect.converters import (
    from_agent_framework,
    from_google_adk,
    from_langchain,
    from_openai_agents,
    from_pydantic_ai,
)
from reflexio_async.reflect.models import TraceCreate

Converter = Callable[[Any], list[dict[str, Any]]]
ALL = pytest.mark.parametrize(
    "convert",
    [from_agent_framework, from_google_adk, from_langchain, from_openai_agents, from_pydantic_ai],
    ids=lambda convert: convert.__name__,
)
FRAMEWORKS = ("agents", "langchain_core", "langgraph", "openai", "pydantic_ai")

CONVERT_ALL = f"""
import sys
from reflexio_async.reflect.converters import from_langchain, from_openai_agents, from_pydantic_ai
class Item:
    def __init__(self, **fields): self.__dict__.update(fields)
assert from_langchain([Item(type="human", content="hi")]) == [{{"role": "user", "content": "hi"}}]
assert from_openai_agents([{{"role": "user", "content": "hi"}}]) == [{{"role": "user", "content": "hi"}}]
prompt = Item(part_kind="user-prompt", content="hi")
assert from_pydantic_ai([Item(kind="request", parts=[prompt])]) == [{{"role": "user", "content": "hi"}}]
print([name for name in {FRAMEWORKS!r} if name in sys.modules])
"""


def test_converting_imports_no_framework() -> None:
    done = subprocess.run([sys.executable, "-c", CONVERT_ALL], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@ALL
def test_no_messages_make_an_empty_trajectory(convert: Converter) -> None:
    assert convert([]) == []


@ALL
@pytest.mark.parametrize("given", [None, "hello", 3, object(), {"no": "messages"}], ids=repr)
def test_an_argument_without_messages_is_refused_with_its_type(convert: Converter, given: object) -> None:
    with pytest.raises(InvalidRequest, match=rf"{convert.__name__}: .*{type(given).__name__}"):
        convert(given)


@ALL
@pytest.mark.parametrize("item", [None, "text", 3, b"bytes", ("user", "hi")], ids=repr)
def test_an_item_that_is_no_message_is_refused_with_position_and_type(
    convert: Converter, item: object
) -> None:
    with pytest.raises(InvalidRequest, match=rf"\b0\b.*{type(item).__name__}"):
        convert([item])


def test_a_mapping_without_role_and_type_is_refused_with_its_keys() -> None:
    with pytest.raises(InvalidRequest, match=r"item 1 has neither a role nor a type; its keys: \['x'\]"):
        from_openai_agents([{"role": "user", "content": "hi"}, {"x": 1}])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(ANYTHING, ANYTHING, st.text())
def test_any_arguments_and_results_of_tools_become_json(arguments: Any, answer: Any, said: str) -> None:
    conversations = (
        from_langchain(
            [
                {"type": "ai", "content": said, "tool_calls": [{"id": "1", "name": "t", "args": arguments}]},
                {"type": "tool", "content": answer, "tool_call_id": "1"},
            ]
        ),
        from_openai_agents(
            [
                {"role": "assistant", "content": said},
                {"type": "function_call", "name": "t", "arguments": arguments, "call_id": "1"},
                {"type": "function_call_output", "call_id": "1", "output": answer},
                {"type": "of_a_later_release", "about": answer},
            ]
        ),
        from_pydantic_ai(
            [
                {
                    "kind": "response",
                    "parts": [
                        {"part_kind": "text", "content": said},
                        {"part_kind": "tool-call", "tool_name": "t", "args": arguments, "tool_call_id": "1"},
                    ],
                },
                {
                    "kind": "request",
                    "parts": [{"part_kind": "tool-return", "content": answer, "tool_call_id": "1"}],
                },
            ]
        ),
    )
    for messages in conversations:
        TraceCreate(task="t", trajectory=messages)
        assert json.loads(json.dumps(messages, allow_nan=False).encode()) == messages
        assert all(isinstance(message["content"], str | None) for message in messages)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=str)
def test_numbers_that_json_lacks_become_text(value: float) -> None:
    call = {"type": "function_call", "name": "t", "arguments": {"x": value}, "call_id": "1"}
    (message,) = from_openai_agents([call])
    assert message["tool_calls"][0]["function"]["arguments"] == f'{{"x": "{value}"}}'


def test_a_value_that_refers_to_itself_is_cut() -> None:
    cycle: dict[str, Any] = {}
    cycle["cycle"] = cycle
    (message,) = from_openai_agents([{"type": "function_call_output", "call_id": "1", "output": cycle}])
    assert "[…]" in message["content"]


@pytest.mark.parametrize("identity", [["c1"], {"c": 1}, {1}], ids=repr)
def test_a_call_and_its_result_have_the_same_id_of_any_type(identity: Any) -> None:
    conversations = (
        from_langchain(
            [
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": identity, "name": "t"}],
                    "tool_calls": [{"id": identity, "name": "t", "args": {}}],
                },
                {"role": "tool", "content": "done", "tool_call_id": identity},
            ]
        ),
        from_openai_agents(
            [
                {"type": "function_call", "name": "t", "arguments": "{}", "call_id": identity},
                {"type": "function_call_output", "call_id": identity, "output": "done"},
            ]
        ),
        from_pydantic_ai(
            [
                {
                    "kind": "response",
                    "parts": [{"part_kind": "tool-call", "tool_name": "t", "tool_call_id": identity}],
                },
                {
                    "kind": "request",
                    "parts": [{"part_kind": "tool-return", "content": "done", "tool_call_id": identity}],
                },
            ]
        ),
    )
    for call, answer in conversations:
        assert [one["id"] for one in call["tool_calls"]] == [answer["tool_call_id"]]


def test_the_keys_of_a_refused_mapping_may_be_of_any_type() -> None:
    with pytest.raises(InvalidRequest, match=r"item 0 has neither a role nor a type; its keys: \['1', 'x'\]"):
        from_openai_agents([{"x": 1, 1: 2}])


class Run:
    """Has the attributes of a run's result."""

    input = "hi"
    last_agent = None

    def __init__(self, *new_items: object) -> None:
        self.new_items = list(new_items)


@pytest.mark.parametrize("item", [None, 3, {"type": "message_output_item"}], ids=repr)
def test_an_item_that_is_none_of_a_run_is_refused_with_position_and_type(item: object) -> None:
    kind = type(item).__name__
    with pytest.raises(InvalidRequest, match=rf"from_openai_agents: new_items\[0\] is {kind}"):
        from_openai_agents(Run(item))


@pytest.mark.parametrize("role", ["", " "], ids=repr)
def test_a_blank_role_is_no_role(role: str) -> None:
    for convert in (from_langchain, from_openai_agents):
        with pytest.raises(InvalidRequest, match=convert.__name__):
            convert([{"role": role, "content": "hi"}])


class Settings(BaseModel):
    """A class that is used as a value by mistake."""

    path: str = "/"


@pytest.mark.parametrize(
    "odd", [Settings, 10**5000, PurePosixPath("caf\udce9")], ids=["class", "huge", "surrogate"]
)
def test_values_of_unknown_types_become_text(odd: object) -> None:
    conversations = (
        from_langchain(
            [
                {
                    "role": "assistant",
                    "content": odd,
                    "tool_calls": [{"id": odd, "name": odd, "args": {"x": odd}}],
                },
                {"role": "tool", "content": odd, "tool_call_id": odd},
            ]
        ),
        from_openai_agents(
            [
                {"role": "assistant", "content": odd},
                {"type": "function_call", "name": odd, "arguments": {"x": odd}, "call_id": odd},
                {"type": "function_call_output", "output": odd, "call_id": odd},
            ]
        ),
        from_pydantic_ai(
            [
                {
                    "kind": "response",
                    "parts": [
                        {"part_kind": "tool-call", "tool_name": odd, "args": {"x": odd}, "tool_call_id": odd}
                    ],
                },
                {
                    "kind": "request",
                    "instructions": odd,
                    "parts": [
                        {"part_kind": "tool-return", "tool_name": odd, "content": odd, "tool_call_id": odd}
                    ],
                },
            ]
        ),
    )
    for messages in conversations:
        TraceCreate(task="t", trajectory=messages)
