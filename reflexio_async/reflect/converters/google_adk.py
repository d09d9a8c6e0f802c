"""Converts the events of Google ADK."""

from __future__ import annotations

from typing import Any

from reflexio_async.reflect.converters.attribute_reader import get, has, is_list, items, json_text
from reflexio_async.reflect.converters.message_builder import MessageBuilder, Messages, not_a_message

_NAME = "from_google_adk"


def from_google_adk(events: object) -> Messages:
    """Convert events of Google ADK.

    Args:
        events: A list of events, or a session, which has them under ``events``. Pieces of streamed messages
            (``partial``) are left out: the whole message follows them.

    Raises:
        InvalidRequest: One of them is no event.
    """
    found = events if is_list(events) else get(events, "events")
    if not is_list(found):
        raise not_a_message(_NAME, "the argument", events, "a list of events or a session")
    builder = MessageBuilder()
    for position, event in enumerate(items(found)):
        if not has(event, "author"):
            raise not_a_message(_NAME, f"events[{position}]", event, "an event")
        if get(event, "partial"):
            continue
        is_of_user = get(event, "author") == "user"
        parts = items(get(get(event, "content"), "parts"))
        texts = [_part(builder, part, is_of_user=is_of_user) for part in parts]
        if text := "\n".join(filter(None, texts)):
            builder.add_message("user", text)
        elif not is_of_user:
            builder.end_turn()
    return builder.messages()


def _part(builder: MessageBuilder, part: Any, *, is_of_user: bool) -> str:
    """Add one part. Return its text if it is of the user."""
    if call := get(part, "function_call"):
        builder.add_tool_call(get(call, "name"), get(call, "args"), get(call, "id"))
        return ""
    if response := get(part, "function_response"):
        builder.add_tool_result(get(response, "id"), json_text(get(response, "response")))
        return ""
    text = get(part, "text") or ""
    if media := get(part, "inline_data") or get(part, "file_data"):
        text = f"[file: {get(media, 'mime_type') or 'unknown'}]"
    if is_of_user:
        return text
    if get(part, "thought"):
        builder.add_reasoning(text)
    else:
        builder.add_text(text)
    return ""
