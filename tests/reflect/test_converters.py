"""What every converter promises, whatever the framework."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexio_async import InvalidRequest
from reflexio_async.reflect.converters import from_langchain, from_openai_agents, from_pydantic_ai
from reflexio_async.reflect.requests import TraceCreate

Converter = Callable[[Any], list[dict[str, Any]]]
ALL = pytest.mark.parametrize(
    "convert", [from_langchain, from_openai_agents, from_pydantic_ai], ids=lambda convert: convert.__name__
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
def test_what_is_no_conversation_is_refused_by_type(convert: Converter, given: object) -> None:
    with pytest.raises(InvalidRequest, match=rf"{convert.__name__}: .*{type(given).__name__}"):
        convert(given)


@ALL
@pytest.mark.parametrize("stranger", [None, "text", 3, b"bytes", ("user", "hi")], ids=repr)
def test_what_is_no_message_is_refused_by_position_and_type(convert: Converter, stranger: object) -> None:
    with pytest.raises(InvalidRequest, match=rf"\b0\b.*{type(stranger).__name__}"):
        convert([stranger])


def test_a_mapping_that_says_nothing_about_itself_is_refused_with_its_keys() -> None:
    with pytest.raises(InvalidRequest, match=r"item 1 has neither a role nor a type; its keys: \['x'\]"):
        from_openai_agents([{"role": "user", "content": "hi"}, {"x": 1}])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(ANYTHING, ANYTHING, st.text())
def test_whatever_a_tool_is_given_and_returns_is_json_afterwards(
    arguments: Any, answer: Any, said: str
) -> None:
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


def test_what_refers_to_itself_comes_to_an_end() -> None:
    ring: dict[str, Any] = {}
    ring["ring"] = ring
    (message,) = from_openai_agents([{"type": "function_call_output", "call_id": "1", "output": ring}])
    assert "[…]" in message["content"]
