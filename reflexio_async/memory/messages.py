"""The messages of agent frameworks as interactions: the turns of the user and of the agent.

No framework is imported: objects are read by attribute, mappings by key.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reflexio_async.errors import InvalidRequest
from reflexio_async.memory.section import without_section
from reflexio_async.reflect.converters import (
    from_agent_framework,
    from_google_adk,
    from_langchain,
    from_openai_agents,
    from_pydantic_ai,
)
from reflexio_async.reflect.converters.attribute_reader import (
    get,
    has,
    is_list,
    items,
    json_text,
    json_value,
    kind_of,
)
from reflexio_async.reflexio.models.interactions import InteractionData, ToolUsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async.reflect.converters.message_builder import Messages

_NAME = "interactions_from"
_USER, _AGENT = "User", "Assistant"
_MAX_CONTENT = 1_000_000  # characters of a turn that the server takes
_MAX_TOOLS = 1000
_MAX_OUTPUT = 4000  # characters of what a tool returned


class Turn:
    """One turn of a conversation.

    Attributes:
        role: Who spoke.
        content: What was said, without recalled memory.
        tools: The tools that the agent called, in order.
        open_calls: Those that have not returned, by the id of the call.
        after_tool: Whether a tool call, or what it returned, came last. What the agent says next belongs to
            this turn.
        waits: Whether that tool was one of the agent's own. If it ran at the provider, the agent need not
            say more.
        given: The caller's own interaction, or None.
    """

    def __init__(self, role: str, content: str, given: InteractionData | None = None) -> None:
        self.role = role
        self.content = content
        self.tools: list[ToolUsed] = []
        self.open_calls: dict[str, ToolUsed] = {}
        self.after_tool = False
        self.waits = False
        self.given = given

    @property
    def is_of_agent(self) -> bool:
        """Whether the agent spoke."""
        return self.role.lower() in ("assistant", "agent", "ai")

    @property
    def goes_on(self) -> bool:
        """Whether the agent will say more. Without any text, what a tool was given is the answer."""
        return bool(self.open_calls) or (self.waits and bool(self.content))

    @property
    def key(self) -> int:
        """Equal for turns with an equal role and text, and as many tool calls."""
        return hash((self.role.lower(), self.content, len(self.tools)))

    def interaction(self) -> InteractionData:
        """Return the turn as it is published."""
        if self.given is not None:
            return self.given.model_copy(update={"content": self.content})
        if not self.tools:
            return InteractionData(role=self.role, content=self.content[:_MAX_CONTENT])
        # Structured output: the answer is what a tool was given.
        content = self.content or json_text(self.tools[-1].tool_data.get("input"))
        tools = self.tools[:_MAX_TOOLS]
        return InteractionData(role=self.role, content=content[:_MAX_CONTENT], tools_used=tools)


def interactions_from(messages: object) -> list[InteractionData]:
    """Convert the messages of an agent into interactions, which ``publish_interaction`` takes.

    The turns of the user and of the agent are kept. What the agent says around its tool calls is one turn,
    with the calls in ``tools_used``. System prompts, reasoning and recalled memory are left out, wherever a
    framework has put them. Images and files become placeholders.

    Args:
        messages: Mappings with ``role`` and ``content`` (OpenAI), messages of LangChain or a state of
            LangGraph, a result or the items of the OpenAI Agents SDK, a result or the messages of
            Pydantic AI, messages of the Microsoft Agent Framework, or events of Google ADK.

    Raises:
        InvalidRequest: It is none of these.
    """
    return [turn.interaction() for turn in read_turns(messages)]


def read_turns(messages: object) -> list[Turn]:
    """Convert as ``interactions_from``, into turns that know whether a tool has not returned."""
    given = items(messages)
    if given and all(isinstance(item, InteractionData) for item in given):
        return [_own_turn(item) for item in given]
    turns: list[Turn] = []
    hosted = _hosted_calls(messages, given)
    for message in _converter_of(messages, given)(messages):
        _add(turns, message, hosted)
    return turns


def last_run(messages: object) -> tuple[str, Messages]:
    """Return what the user asked for last, and the messages since then, in the form of OpenAI's chat API.

    System prompts and recalled memory are left out.
    """
    found: Messages = []
    for message in _converter_of(messages, items(messages))(messages):
        text = without_section(message.get("content") or "")
        if message["role"] != "system" and (text.strip() or {"tool_calls", "tool_call_id"} & message.keys()):
            found.append({**message, "content": text})
    of_user = [message["role"] == "user" and message.get("name") != "validation" for message in found]
    end = max((at + 1 for at, is_users in enumerate(of_user) if is_users), default=0)
    begin = max((at + 1 for at, is_users in enumerate(of_user[:end]) if not is_users), default=0)
    return "\n".join(message["content"] for message in found[begin:end]), found[begin:]


def _own_turn(data: InteractionData) -> Turn:
    return Turn(data.role, without_section(data.content), data)


def _add(turns: list[Turn], message: dict[str, Any], hosted: set[str]) -> None:
    """Add one message in the form of OpenAI's chat API. ``hosted``: see ``_hosted_calls``."""
    role, text = str(message.get("role")).lower(), without_section(message.get("content") or "")
    last = turns[-1] if turns and turns[-1].is_of_agent else None
    if role == "assistant":
        calls = message.get("tool_calls") or ()
        if not text.strip() and not calls:
            return
        # Text after a tool goes on with the turn. So does a call without text.
        if last is None or not (last.after_tool or last.open_calls or not text.strip()):
            last = Turn(_AGENT, "")
            turns.append(last)
        last.after_tool = bool(calls)
        last.waits = any(str(call.get("id")) not in hosted for call in calls)
        if text.strip():
            last.content = f"{last.content}\n\n{text}" if last.content else text
        for call in calls:
            function = call["function"]
            tool = ToolUsed(
                tool_name=function["name"], tool_data={"input": _arguments(function["arguments"])}
            )
            last.tools.append(tool)
            if str(call.get("id")) not in hosted:
                last.open_calls[str(call.get("id"))] = tool
    elif role == "tool" and last is not None:
        last.after_tool = last.waits = True
        call_id = str(message.get("tool_call_id"))
        if call_id in last.open_calls:
            tool = last.open_calls.pop(call_id)
            tool.status = str(message.get("status") or "success")
            tool.tool_data = {**tool.tool_data, "output": text[:_MAX_OUTPUT]}
    elif role in ("user", "human") and text.strip() and message.get("name") != "validation":
        turns.append(Turn(_USER, text))


def _arguments(text: str) -> Any:
    try:
        return json_value(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _converter_of(messages: object, given: list[Any]) -> Callable[[Any], Messages]:
    """Return what converts these messages into those of OpenAI's chat API."""
    if callable(get(messages, "all_messages")) or any(is_list(get(item, "parts")) for item in given):
        return from_pydantic_ai
    if _is_agents_run(messages) or any(_is_responses_item(item) for item in given):
        return from_openai_agents
    inner = given or items(get(messages, "messages"))
    if any(has(item, "contents") and has(item, "role") for item in inner):
        return from_agent_framework
    if is_list(get(messages, "events")) or any(has(item, "author") for item in given):
        return from_google_adk
    if isinstance(messages, str) or messages is None:
        message = f"{_NAME}: expected a list of messages, not {type(messages).__name__}"
        raise InvalidRequest(message)
    return from_langchain


def _hosted_calls(messages: object, given: list[Any]) -> set[str]:
    """Return the ids of the calls that ran at the provider. No message with their result follows."""
    found = given
    if callable(get(messages, "to_input_list")):
        found = items(get(messages, "new_items"))
        found = [get(item, "raw_item") for item in found]
    elif not given:
        found = items(get(messages, "messages"))
    parts = [part for item in found for part in items(get(item, "content"))]
    calls = [item for item in found if _is_responses_item(item) and not get(item, "call_id")]
    calls += [part for part in parts if kind_of(part) in ("server_tool_use", "server_tool_call")]
    return {str(get(call, "id")) for call in calls}


def _is_agents_run(messages: object) -> bool:
    """Whether it is a result of the OpenAI Agents SDK."""
    return callable(get(messages, "to_input_list")) or get(messages, "new_items") is not None


def _is_responses_item(item: object) -> bool:
    """Whether it is an item of OpenAI's Responses API that is no message."""
    kind = kind_of(item)
    return not has(item, "role") and (kind.endswith(("_call", "_output")) or kind == "reasoning")
