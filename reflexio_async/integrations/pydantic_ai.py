"""Memory in an agent of Pydantic AI. Needs the extra ``pydantic-ai``.

    agent = Agent(model, capabilities=[ReflexioMemory(client)], deps_type=Deps)
    await agent.run("Where to eat?", deps=Deps(user_id="ana", session_id="chat-1"))

The user and the session are ``user_id`` and ``session_id`` of the run's ``deps`` or ``metadata``, which may
be mappings. Without a session there, it is the fixed one, else the run's ``conversation_id``.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from pydantic_ai import FunctionToolset, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelRequest, ModelResponse, UserPromptPart

from reflexio_async.integrations.agent_memory import AgentMemory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Self, Unpack

    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.run import AgentRunResult

    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.integrations.agent_memory import MemoryOptions
    from reflexio_async.memory.context import MemoryContext
    from reflexio_async.memory.conversation import Conversation

_IDS_IN = "the metadata of the run, or its deps"


class ReflexioMemory(AbstractCapability[Any]):
    """Puts memory into the instructions of a run, and publishes the turn at its end.

    Memory is recalled once for a run. A run that fails is not published. With ``traces`` or a ``judge``, its
    trace is sent as failed.

    Args:
        client: The client. It must be open while agents run.
        search_tool: Whether the model gets the tool ``search_memory`` too, to ask for more.
        options: See ``MemoryOptions``.
    """

    def __init__(
        self, client: AsyncReflexioClient, *, search_tool: bool = False, **options: Unpack[MemoryOptions]
    ) -> None:
        self._memory = AgentMemory(client, _IDS_IN, **options)
        self._search_tool = search_tool
        self._talk: Conversation | None = None
        self._context: MemoryContext | None = None
        self._messages: Sequence[ModelMessage] = ()

    async def for_run(self, ctx: RunContext[Any]) -> Self:
        """Return a copy for one run, with its conversation."""
        run = copy(self)
        run._talk, run._context = _conversation(self._memory, ctx), None  # noqa: SLF001  # ours
        return run

    def get_instructions(self) -> Callable[[RunContext[Any]], Awaitable[str]]:
        """Return what recalls memory, before the first request."""

        async def recalled(ctx: RunContext[Any]) -> str:
            self._messages = ctx.messages  # the contexts of other hooks have only the history
            if self._talk is not None and self._context is None:
                self._context = await self._memory.recall(self._talk, _query(ctx))
            return str(self._context or "")

        return recalled

    def get_toolset(self) -> FunctionToolset[Any] | None:
        """Return the tool to search with, if it is wanted."""
        return _toolset(self._memory, self._talk) if self._search_tool else None

    async def after_run(self, ctx: RunContext[Any], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:  # noqa: ARG002
        """Publish the turn."""
        if self._talk is not None:
            messages = result.all_messages()
            begin = len(messages) - len(result.new_messages())
            # A run without a prompt goes on with that of the history, unless it was answered.
            while begin and not _has_prompt(messages[begin:]) and not _is_answer(messages[begin - 1]):
                begin -= 1
            await self._memory.publish(self._talk, messages[begin:])
        return result

    async def on_run_error(self, ctx: RunContext[Any], *, error: BaseException) -> AgentRunResult[Any]:  # noqa: ARG002
        """Send the trace of a run that failed."""
        if self._talk is not None and isinstance(error, Exception):
            await self._memory.failed(self._talk, self._messages, error)
        raise error


def memory_toolset(client: AsyncReflexioClient, **options: Unpack[MemoryOptions]) -> FunctionToolset[Any]:
    """Return a tool set with ``search_memory``: memory is recalled when the model asks. Nothing is published.

    To publish too, use ``ReflexioMemory(client, search_tool=True)``. The arguments are the same.
    """
    return _toolset(AgentMemory(client, _IDS_IN, **options))


def _toolset(memory: AgentMemory, talk: Conversation | None = None) -> FunctionToolset[Any]:
    async def search_memory(ctx: RunContext[Any], query: str) -> str:  # noqa: D417  # the model reads this
        """Search what is remembered of earlier conversations: facts about the user, and how to do such tasks.

        Args:
            query: What you want to know, in a few words.
        """
        return str(await memory.recall(talk or _conversation(memory, ctx), query)) or "Nothing was found."

    return FunctionToolset([search_memory])


def _conversation(memory: AgentMemory, ctx: RunContext[Any]) -> Conversation:
    # Every run has a conversation_id, which is new when the caller gave none.
    last = None if memory.options.get("session_id") else {"session_id": ctx.conversation_id}
    return memory.conversation(ctx.deps, ctx.metadata, last)


def _query(ctx: RunContext[Any]) -> str:
    """Return the text of the prompt; the last one of the history if this run has none."""
    prompts = [
        part.content for message in ctx.messages for part in message.parts if isinstance(part, UserPromptPart)
    ]
    prompt = ctx.prompt or next(reversed(prompts), "")
    return prompt if isinstance(prompt, str) else "\n".join(part for part in prompt if isinstance(part, str))


def _is_answer(message: ModelMessage) -> bool:
    return isinstance(message, ModelResponse) and not message.tool_calls


def _has_prompt(messages: Sequence[ModelMessage]) -> bool:
    requests = (message for message in messages if isinstance(message, ModelRequest))
    return any(isinstance(part, UserPromptPart) for message in requests for part in message.parts)
