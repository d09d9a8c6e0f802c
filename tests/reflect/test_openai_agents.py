"""``from_openai_agents``, with runs of the real SDK on a model that follows a script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from agents import (
    Agent,
    MaxTurnsExceeded,
    Model,
    ModelResponse,
    RunConfig,
    RunErrorDetails,
    Runner,
    Usage,
    function_tool,
)
from openai.types.responses import (
    ResponseCodeInterpreterToolCall,
    ResponseFunctionToolCall,
    ResponseFunctionWebSearch,
    ResponseOutputItem,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseOutputText,
    ResponseReasoningItem,
)
from openai.types.responses.response_function_web_search import ActionSearch
from openai.types.responses.response_reasoning_item import Summary

from reflexio_async import InvalidRequest
from reflexio_async.reflect.converters import from_openai_agents

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUIET = RunConfig(tracing_disabled=True)


class Scripted(Model):
    def __init__(self, *turns: list[ResponseOutputItem]) -> None:
        self.turns = list(turns)

    async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
        return ModelResponse(output=self.turns.pop(0), usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    if city == "Nowhere":
        raise LookupError(city)
    return f"sunny in {city}"


@function_tool(needs_approval=True)
def delete(path: str) -> str:
    """Delete a file."""
    return f"deleted {path}"


def text_item(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(type="output_text", text=text, annotations=[])
    return ResponseOutputMessage(
        id="m", type="message", role="assistant", status="completed", content=[content]
    )


def call_item(name: str, call_id: str, **arguments: str) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        type="function_call", name=name, arguments=json.dumps(arguments), call_id=call_id
    )


def reasoning_item(text: str) -> ResponseReasoningItem:
    summary = [Summary(type="summary_text", text=text)] if text else []
    return ResponseReasoningItem(id="r", type="reasoning", summary=summary, encrypted_content="hidden")


def called(name: str, call_id: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


async def converted(*turns: list[ResponseOutputItem], **agent: Any) -> list[dict[str, Any]]:
    """The converted messages of a run, without the first message of the user."""
    made = Agent[None](name="Helper", model=Scripted(*turns), **agent)
    opening, *messages = from_openai_agents(await Runner.run(made, "Weather?", run_config=QUIET))
    assert opening == {"role": "user", "content": "Weather?"}
    return messages


async def test_a_run_without_tools_is_one_message() -> None:
    assert await converted([text_item("Sunny.")]) == [{"role": "assistant", "content": "Sunny."}]


async def test_one_turn_is_one_message_and_each_call_has_its_result() -> None:
    turn: list[ResponseOutputItem] = [
        reasoning_item("Two cities."),
        text_item("I look."),
        call_item("weather", "c1", city="Oslo"),
        call_item("weather", "c2", city="Rome"),
    ]
    assert await converted(turn, [text_item("Sunny.")], tools=[weather]) == [
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "Two cities.",
            "tool_calls": [
                called("weather", "c1", '{"city": "Oslo"}'),
                called("weather", "c2", '{"city": "Rome"}'),
            ],
        },
        {"role": "tool", "content": "sunny in Oslo", "tool_call_id": "c1"},
        {"role": "tool", "content": "sunny in Rome", "tool_call_id": "c2"},
        {"role": "assistant", "content": "Sunny."},
    ]


async def test_the_text_of_a_tool_error_is_the_result_of_the_call() -> None:
    messages = await converted(
        [call_item("weather", "c1", city="Nowhere")], [text_item("Sorry.")], tools=[weather]
    )
    assert messages[1]["role"] == "tool"
    assert "error occurred while running the tool" in messages[1]["content"]


async def test_encrypted_reasoning_is_left_out() -> None:
    assert await converted([reasoning_item(""), text_item("Sunny.")]) == [
        {"role": "assistant", "content": "Sunny."}
    ]


async def test_instructions_are_at_the_beginning_and_after_a_handoff() -> None:
    second = Agent[None](name="Billing", instructions="You bill.", model=Scripted([text_item("Billed.")]))
    script = Scripted([call_item("transfer_to_billing", "c1")])
    first = Agent[None](name="Triage", instructions="You route.", handoffs=[second], model=script)
    assert from_openai_agents(await Runner.run(first, "Bill me", run_config=QUIET)) == [
        {"role": "system", "content": "You route."},
        {"role": "user", "content": "Bill me"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [called("transfer_to_billing", "c1", "{}")],
        },
        {"role": "tool", "content": '{"assistant": "Billing"}', "tool_call_id": "c1"},
        {"role": "system", "content": "You bill."},
        {"role": "assistant", "content": "Billed."},
    ]


async def test_a_call_that_waits_for_approval_appears_once_without_a_result() -> None:
    messages = await converted([call_item("delete", "c1", path="/")], tools=[delete])
    assert messages == [
        {"role": "assistant", "content": None, "tool_calls": [called("delete", "c1", '{"path": "/"}')]}
    ]


async def test_a_call_that_waited_for_approval_in_a_failed_run_appears_once() -> None:
    agent = Agent[None](name="Helper", tools=[delete], model=Scripted([call_item("delete", "c1", path="/")]))
    result = await Runner.run(agent, "Delete it all", run_config=QUIET)
    details = RunErrorDetails(
        input=result.input,
        new_items=result.new_items,
        raw_responses=result.raw_responses,
        last_agent=agent,
        context_wrapper=result.context_wrapper,
        input_guardrail_results=[],
        output_guardrail_results=[],
    )
    assert from_openai_agents(details) == from_openai_agents(result)


async def test_a_failed_run_is_converted_from_its_exception() -> None:
    agent = Agent[None](
        name="Helper", tools=[weather], model=Scripted([call_item("weather", "c1", city="Oslo")])
    )
    with pytest.raises(MaxTurnsExceeded) as failed:
        await Runner.run(agent, "Weather?", max_turns=1, run_config=QUIET)
    assert from_openai_agents(failed.value.run_data) == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [called("weather", "c1", '{"city": "Oslo"}')]},
        {"role": "tool", "content": "sunny in Oslo", "tool_call_id": "c1"},
    ]


async def test_a_run_that_continues_another_has_both() -> None:
    agent = Agent[None](name="Helper", model=Scripted([text_item("Hello.")], [text_item("Sunny.")]))
    first = await Runner.run(agent, "Hi", run_config=QUIET)
    again: list[Any] = [*first.to_input_list(), {"role": "user", "content": "Weather?"}]
    second = await Runner.run(agent, again, run_config=QUIET)
    assert [message["content"] for message in from_openai_agents(second)] == [
        "Hi",
        "Hello.",
        "Weather?",
        "Sunny.",
    ]


async def test_a_run_that_has_not_ended_is_refused() -> None:
    agent = Agent[None](name="Helper", model=Scripted([text_item("Hello.")]))
    streamed = Runner.run_streamed(agent, "Hi", run_config=QUIET)
    with pytest.raises(InvalidRequest, match="under way; consume its stream_events"):
        from_openai_agents(streamed)
    streamed.cancel()


async def test_a_refusal_is_the_content_of_the_message() -> None:
    refusal = ResponseOutputMessage(
        id="m",
        type="message",
        role="assistant",
        status="completed",
        content=[ResponseOutputRefusal(type="refusal", refusal="I will not.")],
    )
    assert from_openai_agents([refusal]) == [{"role": "assistant", "content": "I will not."}]


def test_media_become_placeholders_without_their_bytes_or_urls() -> None:
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "https://host/x.png?signature=secret", "detail": "auto"},
        {"type": "input_file", "filename": "report.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]
    assert from_openai_agents([{"role": "user", "content": content}]) == [
        {"role": "user", "content": "What is this?\n[image]\n[file: report.pdf]\n[audio]"}
    ]


def test_hosted_tools_are_calls_with_their_results() -> None:
    search = ResponseFunctionWebSearch(
        id="w1",
        type="web_search_call",
        status="completed",
        action=ActionSearch(type="search", query="oslo weather"),
    )
    code = ResponseCodeInterpreterToolCall.model_validate(
        {
            "id": "k1",
            "type": "code_interpreter_call",
            "status": "completed",
            "code": "1+1",
            "container_id": "box",
            "outputs": [{"type": "logs", "logs": "2"}],
        }
    )
    failing = {"id": "p1", "type": "mcp_call", "name": "read", "arguments": "{}", "error": "no such file"}
    assert from_openai_agents([search, text_item("Sunny."), code, failing]) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                called(
                    "web_search", "w1", json.dumps({"action": search.action.model_dump(exclude_unset=True)})
                )
            ],
        },
        {
            "role": "assistant",
            "content": "Sunny.",
            "tool_calls": [called("code_interpreter", "k1", '{"code": "1+1", "container_id": "box"}')],
        },
        {"role": "tool", "content": '[logs] {"logs": "2"}', "tool_call_id": "k1"},
        {"role": "assistant", "content": None, "tool_calls": [called("read", "p1", "{}")]},
        {"role": "tool", "content": "no such file", "tool_call_id": "p1", "status": "error"},
    ]


def test_a_generated_image_is_a_placeholder() -> None:
    item = {"type": "image_generation_call", "id": "g1", "status": "completed", "result": "iVBORw0KGgo="}
    assert from_openai_agents([item]) == [
        {"role": "assistant", "content": None, "tool_calls": [called("image_generation", "g1", "{}")]},
        {"role": "tool", "content": "[image]", "tool_call_id": "g1"},
    ]


def test_results_of_shells_and_custom_tools_have_a_status_when_they_failed() -> None:
    shell = [{"stdout": "", "stderr": "denied", "outcome": {"type": "exit", "exit_code": 1}}]
    items = [
        {"type": "custom_tool_call", "call_id": "c1", "name": "sql", "input": "SELECT 1"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "1"},
        {"type": "shell_call_output", "call_id": "c2", "output": shell},
        {"type": "apply_patch_call_output", "call_id": "c3", "status": "failed", "output": "no such file"},
    ]
    assert from_openai_agents(items) == [
        {"role": "assistant", "content": None, "tool_calls": [called("sql", "c1", "SELECT 1")]},
        {"role": "tool", "content": "1", "tool_call_id": "c1"},
        {"role": "tool", "content": json.dumps(shell), "tool_call_id": "c2"},
        {"role": "tool", "content": "no such file", "tool_call_id": "c3", "status": "failed"},
    ]


def test_two_messages_of_the_model_are_two_messages() -> None:
    items = [
        text_item("Hello."),
        text_item("Are you there?"),
        reasoning_item("No answer."),
        text_item("Bye."),
    ]
    assert from_openai_agents(items) == [
        {"role": "assistant", "content": "Hello."},
        {"role": "assistant", "content": "Are you there?"},
        {"role": "assistant", "content": "Bye.", "reasoning_content": "No answer."},
    ]


def test_an_unknown_type_is_readable_text() -> None:
    item = {"type": "telepathy", "id": "t1", "thought": "blue", "encrypted_content": "AAAA"}
    assert from_openai_agents([item]) == [{"role": "system", "content": '[telepathy] {"thought": "blue"}'}]
