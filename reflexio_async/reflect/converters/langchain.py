"""LangChain and LangGraph: messages, and states that hold them."""

from __future__ import annotations

from typing import Any

from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.converters.conversation import Conversation, Messages, not_a_message
from reflexio_async.reflect.converters.reading import (
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
    """The messages of a LangChain or LangGraph agent, Deep Agents included.

    Args:
        messages: A list of LangChain messages, or a state that holds one under ``messages``: what
            ``graph.ainvoke`` or ``graph.get_state`` returned. Messages may be dumped ones
            (``messages_to_dict``, ``model_dump``) or ``role``/``content`` mappings too.

    Raises:
        InvalidRequest: There is no such list, or an item in it is no message.
    """
    found = messages if is_list(messages) else get(_state(messages), "messages")
    if not is_list(found):
        keys = f" with the keys {sorted(map(str, messages))}" if is_mapping(messages) else ""
        message = (
            f"{_NAME}: expected a list of messages, or a state that holds one under 'messages', "
            f"not {type(messages).__name__}{keys}"
        )
        raise InvalidRequest(message)
    talk = Conversation()
    for position, item in enumerate(items(found)):
        held = get(item, "data")  # as messages_to_dict writes it
        source = held if is_mapping(held) else item
        role = _role(item, source)
        if not role.strip() or role == "remove":
            raise not_a_message(_NAME, f"messages[{position}]", item, "a message")
        _message(talk, role, source)
    return talk.messages()


def _state(given: Any) -> Any:
    """The state itself, or the one in LangGraph's GraphOutput (``value``) or StateSnapshot (``values``)."""
    return next((held for name in ("value", "values") if is_mapping(held := get(given, name))), given)


def _role(item: object, source: object) -> str:
    if isinstance(role := get(source, "role"), str):  # ChatMessage's own, or a mapping's
        return _ROLES.get(role, role)
    if not has(source, "content"):
        return ""
    kind = kind_of(item).removesuffix("MessageChunk").lower()
    return _ROLES.get(kind, kind)


def _message(talk: Conversation, role: str, message: object) -> None:
    name = get(message, "name") or None
    content = get(message, "content")
    if role == "tool":
        status = get(message, "status")
        shown = None if status == "success" else status
        talk.answer(get(message, "tool_call_id"), text_of(content), name=name, status=shown)
    elif role == "assistant":
        talk.end_turn()
        _assistant(talk, message, content)
        if name:
            talk.turn["name"] = name
        talk.end_turn()
    else:
        talk.add(role, text_of(content), name=name)


def _assistant(talk: Conversation, message: object, content: object) -> None:
    talk.begin_turn()
    extra = get(message, "additional_kwargs")
    reasoning = get(extra, "reasoning_content") or get(message, "reasoning_content")
    talk.think(text_of(reasoning))
    calls = items(get(message, "tool_calls"))
    faulty = items(get(message, "invalid_tool_calls"))
    # Providers keep the calls in the content too.
    told = {json_text(_id(call)) for call in (*calls, *faulty)}
    for part in items(content) if is_list(content) else [content]:
        if kind_of(part) not in _CALLS:
            _said(talk, part)
        elif json_text(_id(part)) not in told:
            calls.append(part)
    if isinstance(refusal := get(extra, "refusal"), str) and refusal:
        talk.show(refusal)
    if not calls and (legacy := get(extra, "function_call")):
        calls.append(legacy)
    for call in (*calls, *faulty):
        _call(talk, call)
    for call in faulty:
        reason = text_of(get(call, "error")) or "not JSON"
        talk.show(f"[invalid arguments for {text_of(get(call, 'name'))}: {reason}]")


def _said(talk: Conversation, part: Any) -> None:
    """A part of the content that is no call."""
    kind = kind_of(part)
    if kind in _REASONING:
        talk.think(reasoning_text(part))
    elif kind == "text" or isinstance(part, str):
        talk.say(part_text(part))
    elif part is not None and (shown := part_text(part)):
        talk.show(shown)


def _id(call: object) -> Any:
    return get(call, "call_id") or get(call, "id")


def _call(talk: Conversation, call: object) -> None:
    """In LangChain's shape (``name``, ``args``), OpenAI's (``function``) or Anthropic's (``input``)."""
    function: Any = get(call, "function") or call
    arguments = next(
        (given for name in ("args", "arguments", "input") if (given := get(function, name)) is not None), None
    )
    talk.call(get(function, "name"), arguments, _id(call))
