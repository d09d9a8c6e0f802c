"""Pydantic AI: results, and the requests and responses they consist of."""

from __future__ import annotations

from typing import Any

from reflexio_async.reflect.converters.conversation import Conversation, Messages, not_a_message
from reflexio_async.reflect.converters.reading import (
    get,
    is_list,
    items,
    json_text,
    kind_of,
    media,
    part_text,
    text_of,
    without,
)

_NAME = "from_pydantic_ai"
_CALLS = ("tool-call", "builtin-tool-call")
_RETURNS = ("tool-return", "builtin-tool-return")


def from_pydantic_ai(result_or_messages: object) -> Messages:
    """The messages of a Pydantic AI run.

    Args:
        result_or_messages: A run's result, a run under way, or a list of its messages, such as
            ``result.new_messages()`` (without the history that was passed in) or what
            ``capture_run_messages`` caught of a run that failed.

    Returns:
        The messages, in order. Instructions are a system message where they begin and where they change.
        Structured output is a tool call or JSON text here: pass ``final_response`` as you want it read.

    Raises:
        InvalidRequest: It is neither, or an item of the list is no message.
    """
    whole = getattr(result_or_messages, "all_messages", None)
    given = whole() if callable(whole) else result_or_messages
    if not is_list(given):
        raise not_a_message(_NAME, "the argument", result_or_messages, "a run's result or a list of messages")
    talk = Conversation()
    instructions = None
    for position, message in enumerate(items(given)):
        parts, kind = get(message, "parts"), kind_of(message)
        if not is_list(parts) or kind not in ("request", "response"):
            raise not_a_message(_NAME, f"messages[{position}]", message, "a ModelRequest or a ModelResponse")
        if kind == "response":
            talk.end_turn()
            talk.begin_turn()
            for part in items(parts):
                _said(talk, part)
            talk.end_turn()
            continue
        if (told := get(message, "instructions")) and told != instructions:
            instructions = told
            talk.add("system", text_of(told))
        for part in items(parts):
            _told(talk, part)
    return talk.messages()


def _said(talk: Conversation, part: Any) -> None:
    """A part of a response."""
    kind = kind_of(part)
    content = get(part, "content")
    if kind == "thinking":
        talk.think(text_of(content))
    elif kind in _CALLS:
        talk.call(get(part, "tool_name"), get(part, "args"), get(part, "tool_call_id"))
    elif kind in _RETURNS:
        _returned(talk, part)
    elif kind == "text":
        talk.say(text_of(content))
    elif kind == "speech":
        talk.say(_speech(part))
    elif kind == "file":
        talk.show(media(content) or "[file]")
    else:
        talk.show(f"[{kind or type(part).__name__}] {json_text(without(part, 'id', 'timestamp'))}")


def _told(talk: Conversation, part: Any) -> None:
    """A part of a request."""
    kind = kind_of(part)
    content = get(part, "content")
    if kind == "user-prompt":
        talk.add("user", text_of(content))
    elif kind == "system-prompt":
        talk.add("system", text_of(content))
    elif kind in _RETURNS:
        _returned(talk, part)
    elif kind == "retry-prompt" and get(part, "tool_name"):
        talk.answer(get(part, "tool_call_id"), _value(content), name=get(part, "tool_name"), status="retried")
    elif kind in ("retry-prompt", "retry-feedback"):
        # The framework's own words, in the voice the model hears them in.
        talk.add("user", _value(content), name="validation")
    elif kind == "speech":
        talk.add("user", _speech(part))
    elif kind != "instruction-baseline":  # of which no model is told
        talk.note(kind or type(part).__name__, without(part, "id", "timestamp"))


def _returned(talk: Conversation, part: Any) -> None:
    outcome = get(part, "outcome")
    status = None if outcome == "success" else outcome
    content = _value(get(part, "content"))
    talk.answer(get(part, "tool_call_id"), content, name=get(part, "tool_name"), status=status)


def _value(content: object) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return media(content) or json_text(content)


def _speech(part: object) -> str:
    return part_text(get(part, "transcript") or "[audio]")
