"""Converts the messages of the Microsoft Agent Framework."""

from __future__ import annotations

from typing import Any

from reflexio_async.reflect.converters.attribute_reader import (
    get,
    has,
    is_list,
    items,
    kind_of,
    part_text,
    reasoning_text,
    text_of,
)
from reflexio_async.reflect.converters.message_builder import MessageBuilder, Messages, not_a_message

_NAME = "from_agent_framework"
_MEDIA = ("data", "uri", "hosted_file")


def from_agent_framework(messages: object) -> Messages:
    """Convert messages of the Microsoft Agent Framework.

    Args:
        messages: A list of messages, or the response of a run, which has them under ``messages``.

    Raises:
        InvalidRequest: One of them is no message.
    """
    found = messages if is_list(messages) else get(messages, "messages")
    if not is_list(found):
        raise not_a_message(_NAME, "the argument", messages, "a list of messages or a response of a run")
    builder = MessageBuilder()
    for position, message in enumerate(items(found)):
        role = get(message, "role")
        role = get(role, "value") or role  # an enumeration in older releases
        if not isinstance(role, str) or not is_list(get(message, "contents")):
            raise not_a_message(_NAME, f"messages[{position}]", message, "a message")
        if role == "assistant":
            builder.end_turn()
            builder.begin_turn()
        texts = [_content(builder, role, content) for content in items(get(message, "contents"))]
        if role == "assistant":
            builder.end_turn()
        elif text := "\n".join(filter(None, texts)):
            builder.add_message(role, text)
    return builder.messages()


def _content(builder: MessageBuilder, role: str, content: Any) -> str:
    """Add one content. Return its text if it is not of the model."""
    kind = kind_of(content)
    if kind == "function_call":
        builder.add_tool_call(get(content, "name"), get(content, "arguments"), get(content, "call_id"))
    elif kind == "function_result":
        failed = "error" if get(content, "exception") else None
        result = get(content, "result")
        builder.add_tool_result(get(content, "call_id"), text_of(result), status=failed)
    elif kind == "text_reasoning":
        builder.add_reasoning(reasoning_text(content))
    elif not kind.startswith("function_approval") and (kind in _MEDIA or has(content, "text")):
        text = f"[file: {get(content, 'media_type') or kind}]" if kind in _MEDIA else part_text(content)
        if role != "assistant":
            return text
        builder.add_text(text)
    return ""
