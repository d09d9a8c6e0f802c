"""Builds a list of messages."""

from __future__ import annotations

from typing import Any

from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.converters.attribute_reader import json_text, json_value, text_of

Messages = list[dict[str, Any]]


class MessageBuilder:
    """Builds a list of messages.

    Reasoning, text and tool calls of the model in one turn become one message.
    """

    def __init__(self) -> None:
        self._messages: Messages = []
        self._turn: dict[str, Any] | None = None

    def add_message(self, role: str, content: str | None, **fields: Any) -> None:
        """Add a whole message, and end the open turn. Fields that are None are left out."""
        self.end_turn()
        given = {name: value for name, value in fields.items() if value is not None}
        self._messages.append({"role": role, "content": content, **given})

    def add_tool_result(
        self, call_id: object, content: str | None, *, name: object = None, status: object = None
    ) -> None:
        """Add what a tool returned."""
        self.add_message("tool", content or "", tool_call_id=call_id, name=name, status=status)

    def add_event(self, kind: str, details: object) -> None:
        """Add a system message about an event, or about an item that is no message."""
        self.add_message("system", f"[{kind}] {json_text(details)}")

    def begin_turn(self) -> None:
        """Begin a message of the model, even if nothing is added to it."""
        _ = self.turn

    @property
    def turn(self) -> dict[str, Any]:
        """The message of the open turn. A turn is begun if none is open."""
        if self._turn is None:
            self._turn = {"role": "assistant", "content": None}
            self._messages.append(self._turn)
        return self._turn

    def turn_has(self, *keys: str) -> bool:
        """Whether the open turn has one of these keys."""
        turn = self._turn
        return turn is not None and any(turn.get(key) for key in keys)

    def add_text(self, text: str | None) -> None:
        """Add text of the model, directly after its earlier text, as the frameworks join it."""
        if text:
            self.turn["content"] = (self.turn["content"] or "") + text

    def add_line(self, text: str) -> None:
        """Add text on a line of its own, such as a placeholder for an image."""
        content = self.turn["content"]
        self.turn["content"] = f"{content}\n{text}" if content else text

    def add_reasoning(self, text: str) -> None:
        """Add reasoning of the model."""
        if text:
            earlier = self.turn.get("reasoning_content")
            self.turn["reasoning_content"] = f"{earlier}\n\n{text}" if earlier else text

    def add_tool_call(self, name: object, arguments: object, call_id: object) -> None:
        """Add a tool call of the model. ``arguments`` may be JSON text already."""
        text = arguments if isinstance(arguments, str) else json_text({} if arguments is None else arguments)
        function = {"name": text_of(name), "arguments": text or "{}"}
        self.turn.setdefault("tool_calls", []).append(
            {"id": call_id, "type": "function", "function": function}
        )

    def end_turn(self) -> None:
        """End the open turn. What the model says next is another message."""
        if self._turn is not None and not self.turn_has("content", "tool_calls", "reasoning_content"):
            self._turn["content"] = ""
        self._turn = None

    def messages(self) -> Messages:
        """Return all messages, as JSON values."""
        self.end_turn()
        return [json_value(message) for message in self._messages]


def not_a_message(converter: str, where: str, item: object, expected: str) -> InvalidRequest:
    """The error for an item that is no message."""
    return InvalidRequest(f"{converter}: {where} is {type(item).__name__}, not {expected}")
