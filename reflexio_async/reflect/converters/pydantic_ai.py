"""Converts runs of Pydantic AI, which consist of requests and responses."""

from __future__ import annotations

from typing import Any

from reflexio_async.reflect.converters.attribute_reader import (
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
from reflexio_async.reflect.converters.message_builder import MessageBuilder, Messages, not_a_message

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
    builder = MessageBuilder()
    instructions = None
    for position, message in enumerate(items(given)):
        parts, kind = get(message, "parts"), kind_of(message)
        if not is_list(parts) or kind not in ("request", "response"):
            raise not_a_message(_NAME, f"messages[{position}]", message, "a ModelRequest or a ModelResponse")
        if kind == "response":
            builder.end_turn()
            builder.begin_turn()
            for part in items(parts):
                _response_part(builder, part)
            builder.end_turn()
            continue
        if (current := get(message, "instructions")) and current != instructions:
            instructions = current
            builder.add_message("system", text_of(current))
        for part in items(parts):
            _request_part(builder, part)
    return builder.messages()


def _response_part(builder: MessageBuilder, part: Any) -> None:
    """Add a part of a response."""
    kind = kind_of(part)
    content = get(part, "content")
    if kind == "thinking":
        builder.add_reasoning(text_of(content))
    elif kind in _CALLS:
        builder.add_tool_call(get(part, "tool_name"), get(part, "args"), get(part, "tool_call_id"))
    elif kind in _RETURNS:
        _tool_return(builder, part)
    elif kind == "text":
        builder.add_text(text_of(content))
    elif kind == "speech":
        builder.add_text(_speech(part))
    elif kind == "file":
        builder.add_line(media_placeholder(content) or "[file]")
    else:
        builder.add_line(
            f"[{kind or type(part).__name__}] {json_text(other_fields(part, 'id', 'timestamp'))}"
        )


def _request_part(builder: MessageBuilder, part: Any) -> None:
    """Add a part of a request."""
    kind = kind_of(part)
    content = get(part, "content")
    if kind == "user-prompt":
        builder.add_message("user", text_of(content))
    elif kind == "system-prompt":
        builder.add_message("system", text_of(content))
    elif kind in _RETURNS:
        _tool_return(builder, part)
    elif kind == "retry-prompt" and get(part, "tool_name"):
        builder.add_tool_result(
            get(part, "tool_call_id"), _value(content), name=get(part, "tool_name"), status="retried"
        )
    elif kind in ("retry-prompt", "retry-feedback"):
        # The framework wrote this text, and sent it to the model as a message of the user.
        builder.add_message("user", _value(content), name="validation")
    elif kind == "speech":
        builder.add_message("user", _speech(part))
    elif kind != "instruction-baseline":  # which is not sent to a model
        builder.add_event(kind or type(part).__name__, other_fields(part, "id", "timestamp"))


def _tool_return(builder: MessageBuilder, part: Any) -> None:
    outcome = get(part, "outcome")
    status = None if outcome == "success" else outcome
    content = _value(get(part, "content"))
    builder.add_tool_result(get(part, "tool_call_id"), content, name=get(part, "tool_name"), status=status)


def _value(content: object) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return media_placeholder(content) or json_text(content)


def _speech(part: object) -> str:
    return part_text(get(part, "transcript") or "[audio]")
