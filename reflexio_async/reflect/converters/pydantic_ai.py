"""Converts runs of Pydantic AI, which consist of requests and responses."""

from __future__ import annotations

from typing import Any

from reflexio_async.reflect.converters.conversation import Conversation, Messages, not_a_message
from reflexio_async.reflect.converters.reading import (
    get,
    is_list,
    items,
    json_text,
    kind_of,
    media_placeholder,
    other_fields,
    part_text,
    text_of,
)

_NAME = "from_pydantic_ai"
_CALLS = ("tool-call", "builtin-tool-call")
_RETURNS = ("tool-return", "builtin-tool-return")


def from_pydantic_ai(result_or_messages: object) -> Messages:
    """Convert the messages of a Pydantic AI run.

    Args:
        result_or_messages: The result of a run, a run that has not ended, or a list of messages, such as
            ``result.new_messages()`` (without earlier history) or those of ``capture_run_messages``.

    Returns:
        The messages, in order. Instructions are a system message where they begin and where they change.
        Structured output is a tool call or JSON text. Pass ``final_response`` to ``create_trace`` to send
        it in another form.

    Raises:
        InvalidRequest: It is none of these, or an item of the list is no message.
    """
    whole = getattr(result_or_messages, "all_messages", None)
    given = whole() if callable(whole) else result_or_messages
    if not is_list(given):
        raise not_a_message(_NAME, "the argument", result_or_messages, "a run's result or a list of messages")
    conversation = Conversation()
    instructions = None
    for position, message in enumerate(items(given)):
        parts, kind = get(message, "parts"), kind_of(message)
        if not is_list(parts) or kind not in ("request", "response"):
            raise not_a_message(_NAME, f"messages[{position}]", message, "a ModelRequest or a ModelResponse")
        if kind == "response":
            conversation.end_turn()
            conversation.begin_turn()
            for part in items(parts):
                _response_part(conversation, part)
            conversation.end_turn()
            continue
        if (current := get(message, "instructions")) and current != instructions:
            instructions = current
            conversation.add_message("system", text_of(current))
        for part in items(parts):
            _request_part(conversation, part)
    return conversation.messages()


def _response_part(conversation: Conversation, part: Any) -> None:
    """Add a part of a response."""
    kind = kind_of(part)
    content = get(part, "content")
    if kind == "thinking":
        conversation.add_reasoning(text_of(content))
    elif kind in _CALLS:
        conversation.add_tool_call(get(part, "tool_name"), get(part, "args"), get(part, "tool_call_id"))
    elif kind in _RETURNS:
        _tool_return(conversation, part)
    elif kind == "text":
        conversation.add_text(text_of(content))
    elif kind == "speech":
        conversation.add_text(_speech(part))
    elif kind == "file":
        conversation.add_line(media_placeholder(content) or "[file]")
    else:
        conversation.add_line(
            f"[{kind or type(part).__name__}] {json_text(other_fields(part, 'id', 'timestamp'))}"
        )


def _request_part(conversation: Conversation, part: Any) -> None:
    """Add a part of a request."""
    kind = kind_of(part)
    content = get(part, "content")
    if kind == "user-prompt":
        conversation.add_message("user", text_of(content))
    elif kind == "system-prompt":
        conversation.add_message("system", text_of(content))
    elif kind in _RETURNS:
        _tool_return(conversation, part)
    elif kind == "retry-prompt" and get(part, "tool_name"):
        conversation.add_tool_result(
            get(part, "tool_call_id"), _value(content), name=get(part, "tool_name"), status="retried"
        )
    elif kind in ("retry-prompt", "retry-feedback"):
        # The framework wrote this text, and sent it to the model as a message of the user.
        conversation.add_message("user", _value(content), name="validation")
    elif kind == "speech":
        conversation.add_message("user", _speech(part))
    elif kind != "instruction-baseline":  # which is not sent to a model
        conversation.add_event(kind or type(part).__name__, other_fields(part, "id", "timestamp"))


def _tool_return(conversation: Conversation, part: Any) -> None:
    outcome = get(part, "outcome")
    status = None if outcome == "success" else outcome
    content = _value(get(part, "content"))
    conversation.add_tool_result(
        get(part, "tool_call_id"), content, name=get(part, "tool_name"), status=status
    )


def _value(content: object) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return media_placeholder(content) or json_text(content)


def _speech(part: object) -> str:
    return part_text(get(part, "transcript") or "[audio]")
