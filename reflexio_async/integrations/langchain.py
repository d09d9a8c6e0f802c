"""Memory in an agent of LangChain 1.x, or in a graph of LangGraph. Needs the extra ``langchain``.

    agent = create_agent(model, tools, middleware=[ReflexioMiddleware(client)], context_schema=Context)
    await agent.ainvoke({"messages": [...]}, context=Context(user_id="ana", session_id="chat-1"))

The user and the session are ``user_id`` and ``session_id`` of the run's context, which may be a mapping. Or
they are in its ``configurable`` values, where ``thread_id`` is a session too. Run agents with
``ainvoke`` or ``astream``: ``invoke`` is refused, before the model is called.
"""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NotRequired

from langchain.agents.middleware import AgentMiddleware, AgentState
from langchain.agents.middleware.types import PrivateStateAttr
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.channels.untracked_value import UntrackedValue
from langgraph.config import get_config
from langgraph.graph import MessagesState
from langgraph.runtime import Runtime  # noqa: TC002  # langgraph reads the annotation

from reflexio_async.errors import ConfigurationError
from reflexio_async.integrations.agent_memory import AgentMemory
from reflexio_async.reflect.converters.attribute_reader import get, is_list

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Unpack

    from langchain.agents.middleware import ModelRequest, ModelResponse
    from langchain_core.messages import BaseMessage

    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.integrations.agent_memory import MemoryOptions
    from reflexio_async.memory.conversation import Conversation


class _Turn(NamedTuple):
    """What one run recalled.

    Attributes:
        memory: The adapter's options.
        talk: The conversation of this run.
        text: What was recalled, as text.
        first_id: The id of the message that the turn begins with.
    """

    memory: AgentMemory
    talk: Conversation
    text: str
    first_id: str | None

    async def publish(self, messages: Sequence[BaseMessage]) -> None:
        """Publish the turn: what comes after it began. A summary may have replaced its first message."""
        ids = [message.id for message in messages]
        known = self.first_id is not None and self.first_id in ids
        begin = ids.index(self.first_id) if known else _begin_of_turn(messages)
        await self.memory.publish(self.talk, messages[begin:])


class _AgentState(AgentState[Any]):
    reflexio_turn: NotRequired[Annotated[_Turn, UntrackedValue, PrivateStateAttr]]
    """It is not stored in checkpoints: memory is recalled anew after an interrupt."""


class MemoryState(MessagesState):
    """The state of a graph whose node ``with_memory`` wraps. A subclass may have more."""

    reflexio_turn: NotRequired[Annotated[_Turn, UntrackedValue]]


class ReflexioMiddleware(AgentMiddleware[Any, Any]):
    """Puts memory into the system prompt of an agent's run, and publishes the turn at its end.

    Memory is recalled once for a run. A run that fails is not published.

    Args:
        client: The client. It must be open while agents run.
        options: See ``MemoryOptions``.
    """

    state_schema = _AgentState

    def __init__(self, client: AsyncReflexioClient, **options: Unpack[MemoryOptions]) -> None:
        super().__init__()
        self._memory = AgentMemory(client, **options)

    def before_model(self, state: Any, runtime: Runtime[Any]) -> None:  # noqa: ARG002
        """Refuse a synchronous run, before the model is called."""
        message = "memory is recalled asynchronously: use agent.ainvoke or agent.astream"
        raise ConfigurationError(message)

    async def abefore_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Recall memory, before the first call of the model."""
        if state.get("reflexio_turn") is not None:
            return None
        return {
            "reflexio_turn": await _recall(self._memory, state["messages"], runtime.context, get_config())
        }

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Put the memory into the system prompt of this call."""
        turn: Any = request.state.get("reflexio_turn")
        if turn and turn.text:
            request = request.override(system_message=_with_text(request.system_message, turn.text))
        return await handler(request)

    async def aafter_agent(self, state: Any, runtime: Runtime[Any]) -> None:  # noqa: ARG002
        """Publish the turn."""
        if turn := state.get("reflexio_turn"):
            await turn.publish(state["messages"])


def with_memory(
    client: AsyncReflexioClient, node: Callable[..., Any], **options: Unpack[MemoryOptions]
) -> Callable[..., Awaitable[Any]]:
    """Wrap the node of a graph that calls a model.

        graph = StateGraph(MemoryState, context_schema=Context, output_schema=MessagesState)
        graph.add_node("model", with_memory(client, call_model))

    In the state that the node gets, the messages begin with what was recalled, as a system message. It is not
    in the graph's state. Memory is recalled once for a run. The turn is published when the node's last
    message calls no tool.

    Args:
        client: The client. It must be open while the graph runs.
        node: A function, asynchronous or not, of the state, and of the ``RunnableConfig`` if it takes two
            arguments. It returns an update with ``messages``.
        options: See ``MemoryOptions``.
    """
    memory, inner = AgentMemory(client, **options), RunnableLambda(node)

    async def remembering(state: Any, config: RunnableConfig, runtime: Runtime[Any]) -> Any:
        messages = state["messages"]
        turn = state.get("reflexio_turn") or await _recall(memory, messages, runtime.context, config)
        seen = [SystemMessage(turn.text), *messages] if turn.text else messages
        update = await inner.ainvoke({**state, "messages": seen}, config)
        answer: Any = get(update, "messages")
        new: list[Any] = answer if is_list(answer) else [answer]
        await turn.publish([*messages, *new])
        return {**update, "reflexio_turn": turn}

    return remembering


async def _recall(memory: AgentMemory, messages: Sequence[BaseMessage], *run: object) -> _Turn:
    """Recall memory for the turn that the last messages begin. ``run``: its context and its configuration."""
    context, config = run
    begin = _begin_of_turn(messages)
    talk = memory.conversation(context, get(config, "configurable"))
    asked = [message.text for message in messages[begin:] if isinstance(message, HumanMessage)]
    first_id = messages[begin].id if messages else None
    return _Turn(memory, talk, str(await memory.recall(talk, "\n".join(asked))), first_id)


def _begin_of_turn(messages: Sequence[BaseMessage]) -> int:
    """Return where the turn of the last message of the user begins: after the agent's message before it."""
    kinds = [type(message) for message in messages]
    last = max((at for at, kind in enumerate(kinds) if issubclass(kind, HumanMessage)), default=0)
    return max((at + 1 for at, kind in enumerate(kinds[:last]) if issubclass(kind, AIMessage)), default=0)


def _with_text(old: SystemMessage | None, text: str) -> SystemMessage:
    """Return the system message with a text at its end. Its own blocks are kept: providers may cache them."""
    if old is None:
        return SystemMessage(text)
    if isinstance(old.content, str):
        return SystemMessage(f"{old.content}\n\n{text}")
    return SystemMessage([*old.content, {"type": "text", "text": text}])
