"""Memory in an agent of LangChain 1.x, or in a graph of LangGraph. Needs the extra ``langchain``.

    agent = create_agent(model, tools, middleware=[ReflexioMiddleware(client)], context_schema=Context)
    await agent.ainvoke({"messages": [...]}, context=Context(user_id="ana", session_id="chat-1"))

The user and the session are ``user_id`` and ``session_id`` of the run's context, which may be a mapping. Or
they are in its ``configurable`` values, where ``thread_id`` is a session too. Run agents with
``ainvoke`` or ``astream``: ``invoke`` is refused, before the model is called.
"""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.config import get_config
from langgraph.runtime import Runtime  # noqa: TC002  # langgraph reads the annotation
from langgraph.types import Command

from reflexio_async.errors import ConfigurationError
from reflexio_async.integrations.agent_memory import AgentMemory, begin_of_turn, keep
from reflexio_async.reflect.converters.attribute_reader import get, is_list

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from typing import Unpack

    from langchain.agents.middleware import ModelRequest, ModelResponse
    from langchain_core.messages import BaseMessage

    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.integrations.agent_memory import MemoryOptions
    from reflexio_async.memory.conversation import Conversation

_IDS_IN = "the context of the run, or its configurable"


class _Turn(NamedTuple):
    """A turn that is not published yet.

    Attributes:
        talk: Its conversation.
        recalled: What was recalled, as text.
        begin: Its messages when memory was recalled. A summary may replace them later.
        known: The ids of all messages at that time.
    """

    talk: Conversation
    recalled: str
    begin: Sequence[BaseMessage]
    known: Collection[str | None]


class _Turns:
    """The turns of one adapter. A graph's state is no place for them: it is stored, streamed and shown."""

    def __init__(self, memory: AgentMemory) -> None:
        self._memory = memory
        self._open: dict[tuple[str, str, str | None], _Turn] = {}
        """By user, session, and the id of the user's last message."""

    async def recall(self, messages: Sequence[BaseMessage], *run: object) -> str:
        """Recall memory once for a turn. ``run``: the context and the configuration of the run."""
        talk, key = self._talk_and_key(messages, run)
        if key not in self._open:
            begin = messages[begin_of_turn(_roles(messages)) :]
            query = "\n".join(each.text for each in _from_question(messages) if _role(each) == "user")
            recalled = str(await self._memory.recall(talk, query))
            keep(self._open, key, _Turn(talk, recalled, begin, [each.id for each in messages]))
        return self._open[key].recalled

    async def publish(self, messages: Sequence[BaseMessage], *run: object) -> None:
        """Publish the turn that the messages end with."""
        talk, key = self._talk_and_key(messages, run)
        said = _from_question(messages)
        if turn := self._open.get(key):
            new = [each for each in messages if each.id not in turn.known and _role(each) != "summary"]
            talk, said = turn.talk, [*turn.begin, *new]
        if await self._memory.publish(talk, said):
            self._open.pop(key, None)

    def _talk_and_key(
        self, messages: Sequence[BaseMessage], run: Sequence[object]
    ) -> tuple[Conversation, tuple[str, str, str | None]]:
        context, config = run
        talk = self._memory.conversation(context, get(config, "configurable"))
        session = (talk.user_id, talk.session_id)
        asked = [each.id for each in messages if _role(each) == "user"]
        if not asked:  # a summary has replaced it
            asked = [key[2] for key in self._open if key[:2] == session]
        return talk, (*session, asked[-1] if asked else None)


class ReflexioMiddleware(AgentMiddleware[Any, Any]):
    """Puts memory into the system prompt of an agent's run, and publishes the turn at its end.

    Memory is recalled once for a turn. A turn that fails or is interrupted is published when a later run
    ends it.

    Args:
        client: The client. It must be open while agents run.
        options: See ``MemoryOptions``.
    """

    def __init__(self, client: AsyncReflexioClient, **options: Unpack[MemoryOptions]) -> None:
        super().__init__()
        self._turns = _Turns(AgentMemory(client, _IDS_IN, **options))

    def wrap_model_call(self, request: Any, handler: Any) -> Any:  # noqa: ARG002
        """Refuse a synchronous run, before the model is called."""
        message = "memory is recalled asynchronously: use agent.ainvoke or agent.astream"
        raise ConfigurationError(message)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Recall memory, and put it into the system prompt of this call."""
        context = request.runtime.context
        recalled = await self._turns.recall(request.state["messages"], context, get_config())
        if recalled:
            request = request.override(system_message=_with_text(request.system_message, recalled))
        return await handler(request)

    async def aafter_agent(self, state: Any, runtime: Runtime[Any]) -> None:
        """Publish the turn."""
        await self._turns.publish(state["messages"], runtime.context, get_config())


def with_memory(
    client: AsyncReflexioClient, node: Callable[..., Any], **options: Unpack[MemoryOptions]
) -> Callable[..., Awaitable[Any]]:
    """Wrap the node of a graph that calls a model.

        graph = StateGraph(MessagesState, context_schema=Context)
        graph.add_node("model", with_memory(client, call_model))

    In the state that the node gets, the messages begin with what was recalled, as a system message. It is not
    in the graph's state. Memory is recalled once for a turn. The turn is published when the node's last
    message calls no tool.

    Args:
        client: The client. It must be open while the graph runs.
        node: A function, asynchronous or not, of a state that is a mapping with ``messages``, and of the
            ``RunnableConfig`` if it takes two arguments. It returns an update, or a ``Command`` with one.
        options: See ``MemoryOptions``.
    """
    turns, inner = _Turns(AgentMemory(client, _IDS_IN, **options)), RunnableLambda(node)

    async def remembering(state: Any, config: RunnableConfig, runtime: Runtime[Any]) -> Any:
        messages = state["messages"]
        recalled = await turns.recall(messages, runtime.context, config)
        seen = [SystemMessage(recalled), *messages] if recalled else messages
        returned: Any = await inner.ainvoke({**state, "messages": seen}, config)
        is_command = issubclass(type(returned), Command)
        update: Any = returned.update if is_command else returned
        answer: Any = get(update, "messages")
        if answer is None:
            return returned
        # A node may return what it was given, too.
        new = [each for each in (answer if is_list(answer) else [answer]) if each not in seen]
        await turns.publish([*messages, *new], runtime.context, config)
        update = {**update, "messages": new}
        return replace(returned, update=update) if is_command else update

    return remembering


def _role(message: BaseMessage) -> str:
    if isinstance(message, HumanMessage):
        return "summary" if message.additional_kwargs.get("lc_source") == "summarization" else "user"
    return "answer" if isinstance(message, AIMessage) and not message.tool_calls else message.type


def _roles(messages: Sequence[BaseMessage]) -> list[str]:
    return [_role(message) for message in messages]


def _from_question(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Return the user's last messages and what followed."""
    return messages[begin_of_turn([*_roles(messages), "end"]) :]


def _with_text(old: SystemMessage | None, text: str) -> SystemMessage:
    """Return the system message with a text at its end. Its own blocks are kept: providers may cache them."""
    if old is None:
        return SystemMessage(text)
    if isinstance(old.content, str):
        return SystemMessage(f"{old.content}\n\n{text}")
    return SystemMessage([*old.content, {"type": "text", "text": text}])
