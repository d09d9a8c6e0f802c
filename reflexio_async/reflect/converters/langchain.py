"""Converts the messages of LangChain and LangGraph."""

from __future__ import annotations

from typing import Any

from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.converters.attribute_reader import (
    get,
    has,
    is_list,
    is_mapping,
    items,
    json_text,
    kind_of,
    part_text,
    reasoning_text,
    text_of,
)
from reflexio_async.reflect.converters.message_builder import MessageBuilder, Messages, not_a_message

_NAME = "from_langchain"
_ROLES = {"human": "user", "ai": "assistant", "function": "tool"}
_REASONING = ("reasoning", "reasoning_content", "thinking", "redacted_thinking")
_CALLS = (
    "tool_use",
    "tool_call",
    "tool_call_chunk",
    "function_call",
    "custom_tool_call",
    "invalid_tool_call",
    "server_tool_call",
    "server_tool_use",
)


def from_langchain(messages: Any) -> Messages:
    """Convert the messages of a LangChain or LangGraph agent, Deep Agents included.

    Args:
        messages: A list of LangChain messages, or a state with such a list under ``messages``, which
            ``graph.ainvoke`` and ``graph.get_state`` return. The messages may also be mappings: with
            ``role`` and ``content``, or from ``messages_to_dict`` or ``model_dump``.

    Raises:
        InvalidRequest: There is no such list, or one of its items is no message.
    """
    found = messages if is_list(messages) else get(_state(messages), "messages")
    if not is_list(found):
        keys = f" with the keys {sorted(map(str, messages))}" if is_mapping(messages) else ""
        message = (
            f"{_NAME}: expected a list of messages, or a state that holds one under 'messages', "
            f"not {type(messages).__name__}{keys}"
        )
        raise InvalidRequest(message)
    builder = MessageBuilder()
    for position, item in enumerate(items(found)):
        data = get(item, "data")  # in a message from messages_to_dict
        source = data if is_mapping(data) else item
        role = _role(item, source)
        if not role.strip() or role == "remove":
            raise not_a_message(_NAME, f"messages[{position}]", item, "a message")
        _message(builder, role, source)
    return builder.messages()


def _state(given: Any) -> Any:
    """Return the state in a GraphOutput (``value``) or StateSnapshot (``values``), else ``given``."""
    return next((state for name in ("value", "values") if is_mapping(state := get(given, name))), given)


def _role(item: object, source: object) -> str:
    if isinstance(role := get(source, "role"), str):  # a ChatMessage, or a mapping
        return _ROLES.get(role, role)
    if not has(source, "content"):
        return ""
    kind = kind_of(item).removesuffix("MessageChunk").lower()
    return _ROLES.get(kind, kind)


def _message(builder: MessageBuilder, role: str, message: object) -> None:
    name = get(message, "name") or None
    content = get(message, "content")
    if role == "tool":
        status = get(message, "status")
        failure = None if status == "success" else status
        builder.add_tool_result(get(message, "tool_call_id"), text_of(content), name=name, status=failure)
    elif role == "assistant":
        builder.end_turn()
        _assistant(builder, message, content)
        if name:
            builder.turn["name"] = name
        builder.end_turn()
    else:
        builder.add_message(role, text_of(content), name=name)


def _assistant(builder: MessageBuilder, message: object, content: object) -> None:
    builder.begin_turn()
    extra = get(message, "additional_kwargs")
    reasoning = get(extra, "reasoning_content") or get(message, "reasoning_content")
    builder.add_reasoning(text_of(reasoning))
    calls = items(get(message, "tool_calls"))
    faulty = items(get(message, "invalid_tool_calls"))
    # Some providers repeat the calls in the content.
    known = {json_text(_id(call)) for call in (*calls, *faulty)}
    for part in items(content) if is_list(content) else [content]:
        if kind_of(part) not in _CALLS:
            _content_part(builder, part)
        elif json_text(_id(part)) not in known:
            calls.append(part)
    if isinstance(refusal := get(extra, "refusal"), str) and refusal:
        builder.add_line(refusal)
    if not calls and (legacy := get(extra, "function_call")):
        calls.append(legacy)
    for call in (*calls, *faulty):
        _call(builder, call)
    for call in faulty:
        reason = text_of(get(call, "error")) or "not JSON"
        builder.add_line(f"[invalid arguments for {text_of(get(call, 'name'))}: {reason}]")


def _content_part(builder: MessageBuilder, part: Any) -> None:
    """Add a part of the content that is no tool call."""
    kind = kind_of(part)
    if kind in _REASONING:
        builder.add_reasoning(reasoning_text(part))
    elif kind == "text" or isinstance(part, str):
        builder.add_text(part_text(part))
    elif part is not None and (text := part_text(part)):
        builder.add_line(text)


def _id(call: object) -> Any:
    return get(call, "call_id") or get(call, "id")


def _call(builder: MessageBuilder, call: object) -> None:
    """Add a call as LangChain (``args``), OpenAI (``function``) or Anthropic (``input``) writes it."""
    function: Any = get(call, "function") or call
    arguments = next(
        (given for name in ("args", "arguments", "input") if (given := get(function, name)) is not None), None
    )
    builder.add_tool_call(get(function, "name"), arguments, _id(call))
