"""OpenAI Agents SDK: runs, and the Responses items they consist of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.converters.conversation import Conversation, Messages, not_a_message
from reflexio_async.reflect.converters.reading import (
    get,
    is_list,
    items,
    json_text,
    kind_of,
    reasoning_text,
    text_of,
    without,
)

_NAME = "from_openai_agents"
_OUTPUTS = ("output", "outputs", "results", "result", "tools")


def from_openai_agents(result: object) -> Messages:
    """The messages of an OpenAI Agents run.

    Args:
        result: What ``Runner.run`` returned (or ``run_streamed``, once its events were consumed); the
            ``run_data`` of an exception that ended a run; or a list of input items, such as a session's.

    Returns:
        The messages, in order. Instructions given as text open it as a system message, and those of
        the next agent follow its handoff, which is the tool call ``transfer_to_…`` and its answer;
        instructions that a function makes are not in the result, so they are missing.

    Raises:
        InvalidRequest: It is none of these, is still under way, or holds an item that is no item.
    """
    if get(result, "is_complete") is False:
        message = f"{_NAME}: the run is still under way; consume its stream_events() first"
        raise InvalidRequest(message)
    given, new_items = _input_items(result)
    talk = Conversation()
    first = get(new_items[0], "agent") if new_items else get(result, "last_agent")
    _instructions(talk, first)
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
        _item(talk, position, cast("Mapping[str, Any]", item), next_agents)
    return talk.messages()


def _input_items(result: object) -> tuple[list[Any], list[Any]]:
    """Everything that was said, as input items; and the run's own items, which know their agents."""
    if is_list(result):
        return items(result), []
    new_items = items(get(result, "new_items"))
    if callable(whole := getattr(result, "to_input_list", None)):
        return items(whole()), new_items
    said = get(result, "input")
    if said is None or not hasattr(result, "new_items"):
        raise not_a_message(_NAME, "the argument", result, "a run's result or a list of input items")
    opening = [{"role": "user", "content": said}] if isinstance(said, str) else items(said)
    converted: list[Any] = []
    for position, item in enumerate(new_items):
        if kind_of(item) == "tool_approval_item":  # awaited; it repeats the call it is for
            continue
        if not callable(convert := getattr(item, "to_input_item", None)):
            raise not_a_message(_NAME, f"new_items[{position}]", item, "an item of a run")
        converted.append(convert())
    return [*opening, *converted], new_items


def _instructions(talk: Conversation, agent: object) -> None:
    if isinstance(text := get(agent, "instructions"), str) and text.strip():
        talk.add("system", text)


def _item(talk: Conversation, position: int, item: Mapping[str, Any], next_agents: dict[str, Any]) -> None:
    kind, role = kind_of(item), item.get("role")
    call_id = item.get("call_id") or item.get("id")
    if isinstance(role, str) and role.strip() and kind in ("", "message"):
        _message(talk, role, text_of(item.get("content")))
    elif kind == "reasoning":
        if talk.has("content", "tool_calls"):
            talk.end_turn()
        talk.think(reasoning_text(item))
    elif kind in ("function_call", "custom_tool_call"):
        talk.call(item.get("name"), item.get("arguments", item.get("input")), call_id)
    elif kind.endswith("_output"):
        failed = item.get("status") if item.get("status") in ("failed", "incomplete") else None
        talk.answer(call_id, _output(item), status=failed)
        _instructions(talk, next_agents.get(json_text(call_id)))
    elif kind.endswith("_call"):
        _hosted_call(talk, kind, item, call_id)
    elif kind:
        talk.note(kind, without(item, "id", "status"))
    else:
        message = (
            f"{_NAME}: item {position} has neither a role nor a type; its keys: {sorted(map(str, item))}"
        )
        raise InvalidRequest(message)


def _message(talk: Conversation, role: str, text: str) -> None:
    if role != "assistant":
        talk.add(role, text)
        return
    if talk.has("content", "tool_calls"):
        talk.end_turn()
    talk.begin_turn()
    talk.say(text)


def _hosted_call(talk: Conversation, kind: str, item: Mapping[str, Any], call_id: object) -> None:
    """A call of a tool that ran at the provider (its answer, if any, is in the same item) or in a shell."""
    name = item.get("name") or kind.removesuffix("_call")
    arguments = item.get("arguments")
    if arguments is None:
        arguments = without(item, "id", "call_id", "status", "name", "error", *_OUTPUTS)
    talk.call(name, arguments, call_id)
    answer = _output(item)
    if error := item.get("error"):
        talk.answer(call_id, text_of(error), status="error")
    elif answer:
        talk.answer(call_id, answer)
    elif "call_id" not in item:
        talk.end_turn()  # it was answered, out of our sight, before the model went on


def _output(item: Mapping[str, Any]) -> str:
    value = next((item[name] for name in _OUTPUTS if item.get(name) is not None), None)
    if kind_of(item) == "image_generation_call" and value is not None:
        return "[image]"  # the bytes themselves, in base64
    if is_list(value) and any(not kind_of(part) for part in items(value)):
        return json_text(value)
    return text_of(value)
