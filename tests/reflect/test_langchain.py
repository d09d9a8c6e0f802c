"""``from_langchain``, with messages of the real LangChain classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    messages_to_dict,
)
from langchain_core.messages.tool import invalid_tool_call
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool

from reflexio_async import InvalidRequest
from reflexio_async.reflect.converters import from_langchain

CALL = ToolCall(id="c1", name="weather", args={"city": "Oslo"})
CALLED = {
    "id": "c1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
}


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


async def agent(question: str) -> list[BaseMessage]:
    """An agent: the model calls a tool, gets its result, and answers."""
    model = GenericFakeChatModel(messages=iter([AIMessage("I look.", tool_calls=[CALL]), "Sunny."]))
    messages: list[BaseMessage] = [SystemMessage("Be brief."), HumanMessage(question)]
    while True:
        answer = await model.ainvoke(messages)
        messages.append(answer)
        if not answer.tool_calls:
            return messages
        messages += [await weather.ainvoke(call) for call in answer.tool_calls]


RUN = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Weather?"},
    {"role": "assistant", "content": "I look.", "tool_calls": [CALLED]},
    {"role": "tool", "content": "sunny in Oslo", "tool_call_id": "c1", "name": "weather"},
    {"role": "assistant", "content": "Sunny."},
]


async def test_a_run_with_a_tool() -> None:
    assert from_langchain(await agent("Weather?")) == RUN


@dataclass
class State:
    messages: list[BaseMessage]
    steps: int = 0


async def test_the_messages_may_be_in_a_state() -> None:
    messages = await agent("Weather?")
    assert from_langchain({"messages": messages, "steps": 2}) == RUN
    assert from_langchain(State(messages)) == RUN


@dataclass
class Output:  # like LangGraph's GraphOutput
    value: dict[str, Any]
    interrupts: tuple[()] = ()


@dataclass
class Snapshot:  # like LangGraph's StateSnapshot
    values: dict[str, Any]
    next: tuple[str, ...] = ()


async def test_the_state_may_be_wrapped_as_langgraph_does() -> None:
    messages = await agent("Weather?")
    assert from_langchain(Output({"messages": messages})) == RUN
    assert from_langchain(Snapshot({"messages": messages})) == RUN


async def test_messages_may_be_dumped_ones() -> None:
    messages = await agent("Weather?")
    assert from_langchain(messages_to_dict(messages)) == RUN
    assert from_langchain([message.model_dump() for message in messages]) == RUN


def test_messages_may_be_mappings_with_role_and_content() -> None:
    assert from_langchain(RUN) == RUN


def test_a_prompt_value_is_a_state() -> None:
    value = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{q}")]).invoke(
        {"q": "Weather?"}
    )
    assert from_langchain(value) == RUN[:2]


def test_the_result_of_a_failed_tool_has_a_status() -> None:
    failed = ToolMessage("no such city", tool_call_id="c1", status="error", name="weather")
    assert from_langchain([failed]) == [
        {
            "role": "tool",
            "content": "no such city",
            "tool_call_id": "c1",
            "name": "weather",
            "status": "error",
        }
    ]


def test_an_invalid_call_has_the_reason() -> None:
    faulty = invalid_tool_call(id="c1", name="weather", args='{"city": ', error="cut off")
    assert from_langchain([AIMessage("I look.", invalid_tool_calls=[faulty])]) == [
        {
            "role": "assistant",
            "content": "I look.\n[invalid arguments for weather: cut off]",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": '},
                }
            ],
        }
    ]


def test_media_become_placeholders_without_their_bytes_or_urls() -> None:
    parts: list[str | dict[Any, Any]] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
        {"type": "image_url", "image_url": {"url": "https://host/x.png?signature=secret"}},
        {"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"},
        {"type": "file", "file": {"filename": "report.pdf", "file_data": "AAAA"}},
        {"type": "text-plain", "text": "an attached note", "mime_type": "text/plain"},
        "and a string",
    ]
    assert from_langchain([HumanMessage(parts, name="ana")]) == [
        {
            "role": "user",
            "content": "What is this?\n[image: image/png]\n[image]\n[audio: audio/wav]\n[file: report.pdf]\n"
            "an attached note\nand a string",
            "name": "ana",
        }
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "thinking", "thinking": "It rains there.", "signature": "AAAA"},
        {"type": "reasoning", "reasoning": "It rains there."},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "It rains there."}]},
        {"type": "reasoning_content", "reasoning_content": {"text": "It rains there.", "signature": "AAAA"}},
    ],
    ids=["Anthropic", "standard", "OpenAI", "Bedrock"],
)
def test_reasoning_is_in_reasoning_content(part: dict[Any, Any]) -> None:
    assert from_langchain([AIMessage([part, {"type": "text", "text": "Rainy."}])]) == [
        {"role": "assistant", "content": "Rainy.", "reasoning_content": "It rains there."}
    ]


def test_reasoning_in_additional_kwargs_is_found() -> None:
    message = AIMessage("Rainy.", additional_kwargs={"reasoning_content": "It rains there."})
    assert from_langchain([message]) == [
        {"role": "assistant", "content": "Rainy.", "reasoning_content": "It rains there."}
    ]


def test_text_parts_are_joined() -> None:
    parts: list[str | dict[Any, Any]] = [
        {"type": "text", "text": "It is "},
        {"type": "text", "text": "sunny."},
    ]
    assert from_langchain([AIMessage(parts)]) == [{"role": "assistant", "content": "It is sunny."}]


def test_a_call_that_is_repeated_in_the_content_appears_once() -> None:
    part = {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Oslo"}}
    assert from_langchain([AIMessage([part], tool_calls=[CALL])]) == [
        {"role": "assistant", "content": None, "tool_calls": [CALLED]}
    ]


def test_a_call_that_is_only_in_the_content_is_found() -> None:
    part = {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Oslo"}}
    assert from_langchain([{"role": "assistant", "content": [part]}]) == [
        {"role": "assistant", "content": None, "tool_calls": [CALLED]}
    ]


def test_joined_chunks_are_a_message() -> None:
    whole = AIMessageChunk(content="It is ") + AIMessageChunk(content="sunny.")
    assert from_langchain([whole]) == [{"role": "assistant", "content": "It is sunny."}]


def test_other_roles_are_unchanged() -> None:
    assert from_langchain(
        [ChatMessage(content="No.", role="critic"), FunctionMessage(content="4", name="add")]
    ) == [
        {"role": "critic", "content": "No."},
        {"role": "tool", "content": "4", "name": "add"},
    ]


def test_the_name_of_an_agent_is_in_its_message() -> None:
    assert from_langchain([AIMessage("Routed.", name="triage")]) == [
        {"role": "assistant", "content": "Routed.", "name": "triage"}
    ]


def test_a_refusal_is_the_content_of_the_message() -> None:
    assert from_langchain([AIMessage("", additional_kwargs={"refusal": "I will not."})]) == [
        {"role": "assistant", "content": "I will not."}
    ]


def test_a_function_call_is_a_tool_call() -> None:
    old = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    assert from_langchain([AIMessage("", additional_kwargs={"function_call": old})]) == [
        {"role": "assistant", "content": None, "tool_calls": [{**CALLED, "id": None}]}
    ]


def test_an_empty_message_is_a_message() -> None:
    assert from_langchain([AIMessage("")]) == [{"role": "assistant", "content": ""}]


def test_an_unknown_part_is_readable_text() -> None:
    parts: list[str | dict[Any, Any]] = [
        {"type": "text", "text": "Look:"},
        {"type": "hologram", "frames": 3},
    ]
    assert from_langchain([AIMessage(parts)]) == [
        {"role": "assistant", "content": 'Look:\n[hologram] {"frames": 3}'}
    ]


def test_a_remove_message_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"messages\[1\] is RemoveMessage, not a message"):
        from_langchain([HumanMessage("hi"), RemoveMessage(id="m1")])


def test_a_state_without_messages_is_refused_with_its_keys() -> None:
    with pytest.raises(InvalidRequest, match=r"under 'messages', not dict with the keys \['history'\]"):
        from_langchain({"history": []})
