"""Converts runs of the OpenAI Agents SDK, which consist of items of the Responses API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.converters.attribute_reader import (
    get,
    is_list,
    items,
    json_text,
    kind_of,
    other_fields,
    reasoning_text,
    text_of,
)
from reflexio_async.reflect.converters.message_builder import MessageBuilder, Messages, not_a_message

_NAME = "from_openai_agents"
_OUTPUTS = ("output", "outputs", "results", "result", "tools")


def from_openai_agents(result: object) -> Messages:
    """Convert the messages of an OpenAI Agents run.

    Args:
        result: What ``Runner.run`` returned, or ``Runner.run_streamed`` when its events were consumed. Or
            the ``run_data`` of an exception that ended a run. Or a list of input items, such as those of a
            session.

    Returns:
        The messages, in order. The instructions of the first agent are a system message at the beginning.
        Those of a later agent follow the result of its handoff, the tool call ``transfer_to_…``.
        Instructions that a function makes are missing, because they are not in the result.

    Raises:
        InvalidRequest: It is none of these, or the run has not ended, or an item is unknown.
    """
    if get(result, "is_complete") is False:
        message = f"{_NAME}: the run is still under way; consume its stream_events() first"
        raise InvalidRequest(message)
    given, new_items = _input_items(result)
    builder = MessageBuilder()
    first = get(new_items[0], "agent") if new_items else get(result, "last_agent")
    _instructions(builder, first)
    next_agents = {
        json_text(get(get(item, "raw_item"), "call_id")): get(item, "target_agent")
        for item in new_items
        if kind_of(item) == "handoff_output_item"
    }
    for position, item in enumerate(given):
        if isinstance(item, BaseModel):
            item = item.model_dump(exclude_unset=True, warnings=False)  # noqa: PLW2901  # the same item, to be read by key
        if not isinstance(item, Mapping):
            raise not_a_message(_NAME, f"item {position}", item, "an input item")
        _item(builder, position, cast("Mapping[str, Any]", item), next_agents)
    return builder.messages()


def _input_items(result: object) -> tuple[list[Any], list[Any]]:
    """Return all input items, and the items of the run, which hold their agents."""
    if is_list(result):
        return items(result), []
    new_items = items(get(result, "new_items"))
    if callable(whole := getattr(result, "to_input_list", None)):
        return items(whole()), new_items
    given = get(result, "input")
    if given is None or not hasattr(result, "new_items"):
        raise not_a_message(_NAME, "the argument", result, "a run's result or a list of input items")
    opening = [{"role": "user", "content": given}] if isinstance(given, str) else items(given)
    converted: list[Any] = []
    for position, item in enumerate(new_items):
        if kind_of(item) == "tool_approval_item":  # it repeats a call that waits for approval
            continue
        if not callable(convert := getattr(item, "to_input_item", None)):
            raise not_a_message(_NAME, f"new_items[{position}]", item, "an item of a run")
        converted.append(convert())
    return [*opening, *converted], new_items


def _instructions(builder: MessageBuilder, agent: object) -> None:
    if isinstance(text := get(agent, "instructions"), str) and text.strip():
        builder.add_message("system", text)


def _item(
    builder: MessageBuilder, position: int, item: Mapping[str, Any], next_agents: dict[str, Any]
) -> None:
    kind, role = kind_of(item), item.get("role")
    call_id = item.get("call_id") or item.get("id")
    if isinstance(role, str) and role.strip() and kind in ("", "message"):
        _message(builder, role, text_of(item.get("content")))
    elif kind == "reasoning":
        if builder.turn_has("content", "tool_calls"):
            builder.end_turn()
        builder.add_reasoning(reasoning_text(item))
    elif kind in ("function_call", "custom_tool_call"):
        builder.add_tool_call(item.get("name"), item.get("arguments", item.get("input")), call_id)
    elif kind.endswith("_output"):
        failed = item.get("status") if item.get("status") in ("failed", "incomplete") else None
        builder.add_tool_result(call_id, _output(item), status=failed)
        _instructions(builder, next_agents.get(json_text(call_id)))
    elif kind.endswith("_call"):
        _hosted_call(builder, kind, item, call_id)
    elif kind:
        builder.add_event(kind, other_fields(item, "id", "status"))
    else:
        message = (
            f"{_NAME}: item {position} has neither a role nor a type; its keys: {sorted(map(str, item))}"
        )
        raise InvalidRequest(message)


def _message(builder: MessageBuilder, role: str, text: str) -> None:
    if role != "assistant":
        builder.add_message(role, text)
        return
    if builder.turn_has("content", "tool_calls"):
        builder.end_turn()
    builder.begin_turn()
    builder.add_text(text)


def _hosted_call(builder: MessageBuilder, kind: str, item: Mapping[str, Any], call_id: object) -> None:
    """Add the call of a tool that ran at the provider or in a shell. The item may also hold its result."""
    name = item.get("name") or kind.removesuffix("_call")
    arguments = item.get("arguments")
    if arguments is None:
        arguments = other_fields(item, "id", "call_id", "status", "name", "error", *_OUTPUTS)
    builder.add_tool_call(name, arguments, call_id)
    output = _output(item)
    if error := item.get("error"):
        builder.add_tool_result(call_id, text_of(error), status="error")
    elif output:
        builder.add_tool_result(call_id, output)
    elif "call_id" not in item:
        builder.end_turn()  # the provider gave the result to the model, which then began another message


def _output(item: Mapping[str, Any]) -> str:
    value = next((item[name] for name in _OUTPUTS if item.get(name) is not None), None)
    if kind_of(item) == "image_generation_call" and value is not None:
        return "[image]"  # the value is the image in base64
    if is_list(value) and any(not kind_of(part) for part in items(value)):
        return json_text(value)
    return text_of(value)
