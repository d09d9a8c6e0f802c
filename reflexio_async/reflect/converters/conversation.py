"""The messages in the making."""

from __future__ import annotations

from typing import Any

from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.converters.reading import json_text, plain, text_of

Messages = list[dict[str, Any]]


class Conversation:
    """Collects messages; what the model thinks, says and calls in one turn becomes one message."""

    def __init__(self) -> None:
        self._messages: Messages = []
        self._turn: dict[str, Any] | None = None

    def add(self, role: str, content: str | None, **more: Any) -> None:
        """A message of somebody else than the model, or a whole one of the model; ends the open turn."""
        self.end_turn()
        given = {name: value for name, value in more.items() if value is not None}
        self._messages.append({"role": role, "content": content, **given})

    def answer(
        self, call_id: object, content: str | None, *, name: object = None, status: object = None
    ) -> None:
        """What a tool returned."""
        self.add("tool", content or "", tool_call_id=call_id, name=name, status=status)

    def note(self, kind: str, details: object) -> None:
        """Something that happened and is nobody's words."""
        self.add("system", f"[{kind}] {json_text(details)}")

    def begin_turn(self) -> None:
        """A message of the model, even if nothing is in it."""
        _ = self.turn

    @property
    def turn(self) -> dict[str, Any]:
        """The model's message in the making."""
        if self._turn is None:
            self._turn = {"role": "assistant", "content": None}
            self._messages.append(self._turn)
        return self._turn

    def has(self, *keys: str) -> bool:
        """Whether the open turn has one of these already."""
        turn = self._turn
        return turn is not None and any(turn.get(key) for key in keys)

    def say(self, text: str | None) -> None:
        """Text of the model; goes on where it stopped, as frameworks join it."""
        if text:
            self.turn["content"] = (self.turn["content"] or "") + text

    def show(self, placeholder: str) -> None:
        """What stands for something that is no text, on a line of its own."""
        said = self.turn["content"]
        self.turn["content"] = f"{said}\n{placeholder}" if said else placeholder

    def think(self, text: str) -> None:
        """Reasoning of the model."""
        if text:
            thought = self.turn.get("reasoning_content")
            self.turn["reasoning_content"] = f"{thought}\n\n{text}" if thought else text

    def call(self, name: object, arguments: object, call_id: object) -> None:
        """A tool call of the model; ``arguments`` may be JSON text already."""
        text = arguments if isinstance(arguments, str) else json_text({} if arguments is None else arguments)
        function = {"name": text_of(name), "arguments": text or "{}"}
        self.turn.setdefault("tool_calls", []).append(
            {"id": call_id, "type": "function", "function": function}
        )

    def end_turn(self) -> None:
        """Whatever the model says next is another message."""
        if self._turn is not None and not self.has("content", "tool_calls", "reasoning_content"):
            self._turn["content"] = ""
        self._turn = None

    def messages(self) -> Messages:
        """All of it, as JSON has it."""
        self.end_turn()
        return [plain(message) for message in self._messages]


def not_a_message(converter: str, where: str, item: object, expected: str) -> InvalidRequest:
    """The error for an item that says nothing about itself."""
    return InvalidRequest(f"{converter}: {where} is {type(item).__name__}, not {expected}")
