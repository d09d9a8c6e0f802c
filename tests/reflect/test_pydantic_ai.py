"""``from_pydantic_ai``, with runs of the real framework on its test models."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic_ai import Agent, BinaryContent, ImageUrl, ModelRetry, capture_run_messages
from pydantic_ai.messages import (
    CachePoint,
    FilePart,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    SpeechPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from reflexio_async import InvalidRequest
from reflexio_async.reflect.converters import from_pydantic_ai

PNG = BinaryContent(b"\x89PNG", media_type="image/png")


def scripted(*turns: list[Any]) -> FunctionModel:
    left = list(turns)

    def answer(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=left.pop(0))

    return FunctionModel(answer)


def calls(call_id: str, **arguments: Any) -> ToolCallPart:
    return ToolCallPart("weather", arguments, call_id)


def called(name: str, call_id: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def weather(city: str) -> dict[str, float]:
    """The temperature in a city."""
    if city == "Nowhere":
        message = "no such city"
        raise ModelRetry(message)
    return {"celsius": 21.5}


async def test_a_run_without_tools_is_one_message() -> None:
    result = await Agent(TestModel(custom_output_text="Sunny.")).run("Weather?")
    assert from_pydantic_ai(result) == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "Sunny."},
    ]


async def test_calls_have_results_and_retries_have_a_status() -> None:
    turns = (
        [
            ThinkingPart("Two cities."),
            TextPart("I look."),
            calls("c1", city="Oslo"),
            calls("c2", city="Nowhere"),
        ],
        [TextPart("Sunny.")],
    )
    result = await Agent(scripted(*turns), tools=[weather]).run("Weather?")
    assert from_pydantic_ai(result) == [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "Two cities.",
            "tool_calls": [
                called("weather", "c1", '{"city": "Oslo"}'),
                called("weather", "c2", '{"city": "Nowhere"}'),
            ],
        },
        {"role": "tool", "content": '{"celsius": 21.5}', "tool_call_id": "c1", "name": "weather"},
        {
            "role": "tool",
            "content": "no such city",
            "tool_call_id": "c2",
            "name": "weather",
            "status": "retried",
        },
        {"role": "assistant", "content": "Sunny."},
    ]


async def test_instructions_appear_once_and_system_prompts_in_their_place() -> None:
    agent = Agent(
        scripted([calls("c1", city="Oslo")], [TextPart("Sunny.")]),
        tools=[weather],
        instructions="Be brief.",
        system_prompt="You know the weather.",
    )
    messages = from_pydantic_ai(await agent.run("Weather?"))
    assert [message["content"] for message in messages if message["role"] == "system"] == [
        "Be brief.",
        "You know the weather.",
    ]
    assert [message["role"] for message in messages] == [
        "system",
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]


async def test_a_rejected_output_is_followed_by_the_message_about_it() -> None:
    agent = Agent(scripted([TextPart("Dunno.")], [TextPart("Sunny.")]))

    @agent.output_validator
    def _no_guess(output: str) -> str:  # pyright: ignore[reportUnusedFunction]
        if output == "Dunno.":
            message = "do not guess"
            raise ModelRetry(message)
        return output

    messages = from_pydantic_ai(await agent.run("Weather?"))
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
    assert messages[2] == {"role": "user", "content": "do not guess", "name": "validation"}


def test_retries_of_earlier_releases_are_converted() -> None:
    parts = [
        {
            "part_kind": "retry-prompt",
            "content": [{"type": "missing", "loc": ["city"], "msg": "Field required"}],
            "tool_name": "weather",
            "tool_call_id": "c1",
        },
        {"part_kind": "retry-prompt", "content": "plain text is not allowed", "tool_call_id": "c2"},
    ]
    assert from_pydantic_ai([{"kind": "request", "parts": parts}]) == [
        {
            "role": "tool",
            "content": '[{"type": "missing", "loc": ["city"], "msg": "Field required"}]',
            "tool_call_id": "c1",
            "name": "weather",
            "status": "retried",
        },
        {"role": "user", "content": "plain text is not allowed", "name": "validation"},
    ]


def test_speech_is_its_transcript() -> None:
    messages = [
        ModelRequest(parts=[SpeechPart(speaker="user", transcript="Weather?")]),
        ModelResponse(
            parts=[SpeechPart(speaker="assistant", audio=BinaryContent(b"", media_type="audio/wav"))]
        ),
    ]
    assert from_pydantic_ai(messages) == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "[audio]"},
    ]


@dataclass
class Reading:
    station: str
    at: datetime


def test_results_of_tools_are_json() -> None:
    reading = Reading("Oslo", datetime(2026, 1, 2, tzinfo=UTC))
    messages = [ModelRequest(parts=[ToolReturnPart("read", [reading, Answer(celsius=21)], "c1")])]
    (message,) = from_pydantic_ai(messages)
    assert message["content"] == '[{"station": "Oslo", "at": "2026-01-02 00:00:00+00:00"}, {"celsius": 21}]'


class Answer(BaseModel):
    celsius: int


async def test_structured_output_is_a_tool_call() -> None:
    result = await Agent(TestModel(custom_output_args={"celsius": 21}), output_type=Answer).run("Weather?")
    messages = from_pydantic_ai(result)
    assert messages[1]["tool_calls"][0]["function"] == {
        "name": "final_result",
        "arguments": '{"celsius": 21}',
    }


async def test_new_messages_are_converted_without_the_history() -> None:
    agent = Agent(scripted([TextPart("Hello.")], [TextPart("Sunny.")]))
    first = await agent.run("Hi")
    second = await agent.run("Weather?", message_history=first.all_messages())
    assert [message["content"] for message in from_pydantic_ai(second)] == [
        "Hi",
        "Hello.",
        "Weather?",
        "Sunny.",
    ]
    assert [message["content"] for message in from_pydantic_ai(second.new_messages())] == [
        "Weather?",
        "Sunny.",
    ]


async def test_a_failed_run_is_converted_from_captured_messages() -> None:
    def broken(_city: str) -> str:
        message = "the station is down"
        raise OSError(message)

    call = ToolCallPart("broken", {"_city": "Oslo"}, "c1")
    with capture_run_messages() as captured, pytest.raises(OSError, match="station"):
        await Agent(scripted([call]), tools=[broken]).run("Weather?")
    messages = from_pydantic_ai(captured)
    assert messages[:2] == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [called("broken", "c1", '{"_city": "Oslo"}')]},
    ]


async def test_messages_may_be_dumped_ones() -> None:
    result = await Agent(scripted([calls("c1", city="Oslo")], [TextPart("Sunny.")]), tools=[weather]).run(
        "Weather?"
    )
    dumped = TypeAdapter(list[dict[str, Any]]).validate_json(
        ModelMessagesTypeAdapter.dump_json(result.all_messages())
    )
    assert from_pydantic_ai(dumped) == from_pydantic_ai(result)


async def test_media_become_placeholders_without_their_bytes_or_urls() -> None:
    prompt: list[UserContent] = [
        "What is this?",
        CachePoint(),
        ImageUrl("https://host/photo?signature=secret"),
        PNG,
    ]
    result = await Agent(TestModel(custom_output_text="A cat.")).run(prompt)
    assert from_pydantic_ai(result)[0] == {
        "role": "user",
        "content": "What is this?\n[image]\n[image: image/png]",
    }


def test_files_that_tools_and_models_return_become_placeholders() -> None:
    messages = [
        ModelRequest(parts=[ToolReturnPart("draw", ["a cat", PNG], "c1")]),
        ModelResponse(parts=[TextPart("Here:"), FilePart(PNG)]),
    ]
    assert from_pydantic_ai(messages) == [
        {
            "role": "tool",
            "content": '["a cat", "[image: image/png]"]',
            "tool_call_id": "c1",
            "name": "draw",
        },
        {"role": "assistant", "content": "Here:\n[image: image/png]"},
    ]


@pytest.mark.parametrize("outcome", ["failed", "denied", "interrupted"])
def test_a_result_that_is_no_success_has_a_status(outcome: Any) -> None:
    part = ToolReturnPart("delete", "no", "c1", outcome=outcome)
    assert from_pydantic_ai([ModelRequest(parts=[part])]) == [
        {"role": "tool", "content": "no", "tool_call_id": "c1", "name": "delete", "status": outcome}
    ]


def test_tools_that_ran_at_the_provider_are_calls_with_results() -> None:
    response = ModelResponse(
        parts=[
            NativeToolCallPart("web_search", '{"query": "oslo"}', "n1"),
            NativeToolReturnPart("web_search", [{"title": "Weather"}], "n1"),
            TextPart("Sunny."),
        ]
    )
    assert from_pydantic_ai([response]) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [called("web_search", "n1", '{"query": "oslo"}')],
        },
        {"role": "tool", "content": '[{"title": "Weather"}]', "tool_call_id": "n1", "name": "web_search"},
        {"role": "assistant", "content": "Sunny."},
    ]


def test_an_empty_response_is_a_message() -> None:
    assert from_pydantic_ai([ModelResponse(parts=[])]) == [{"role": "assistant", "content": ""}]


def test_an_unknown_part_is_readable_text() -> None:
    request = {"kind": "request", "parts": [{"part_kind": "mood", "level": 3}]}
    response = {"kind": "response", "parts": [{"part_kind": "mood", "level": 4}]}
    assert from_pydantic_ai([request, response]) == [
        {"role": "system", "content": '[mood] {"level": 3}'},
        {"role": "assistant", "content": '[mood] {"level": 4}'},
    ]


def test_a_part_in_place_of_a_message_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"messages\[0\] is UserPromptPart, not a ModelRequest or"):
        from_pydantic_ai([UserPromptPart("hi")])
