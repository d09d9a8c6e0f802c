"""Memory in an agent of the Microsoft Agent Framework. Needs the extra ``agent-framework``.

    agent = Agent(client=chat_client, context_providers=[ReflexioProvider(client)])
    session = agent.create_session(session_id="chat-1")
    session.state["user_id"] = "ana"
    await agent.run("Where to eat?", session=session)

The user of a run is ``user_id`` in the session's state, or else ``user`` in the options of the run. The
session is the framework's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_framework import ContextProvider

from reflexio_async.integrations.agent_memory import AgentMemory

if TYPE_CHECKING:
    from typing import Unpack

    from agent_framework import AgentSession, SessionContext, SupportsAgentRun

    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.integrations.agent_memory import MemoryOptions
    from reflexio_async.memory.conversation import Conversation


class ReflexioProvider(ContextProvider):
    """Puts memory into the instructions of a run, and publishes the turn at its end.

    A run that fails is not published. A streamed run is published when its stream has ended.

    Args:
        client: The client. It must be open while agents run.
        source_id: The name of this provider in the framework.
        options: See ``MemoryOptions``. Give a ``session_id`` only if agents run without a session.
    """

    def __init__(
        self, client: AsyncReflexioClient, source_id: str = "reflexio", **options: Unpack[MemoryOptions]
    ) -> None:
        super().__init__(source_id)
        self._memory = AgentMemory(client, **options)

    async def before_run(
        self,
        *,
        agent: SupportsAgentRun,  # noqa: ARG002  # the framework gives it
        session: AgentSession,
        context: SessionContext,
        state: dict[str, Any],  # noqa: ARG002  # as above
    ) -> None:
        """Recall memory."""
        of_options = {"user_id": context.options.get("user")}
        # Without a session of the caller, the framework makes one for the run alone.
        of_session = None if self._memory.options.get("session_id") else {"session_id": session.session_id}
        talk = self._memory.conversation(session.state, of_options, of_session)
        texts = [message.text for message in context.input_messages if message.role == "user"]
        recalled = await self._memory.recall(talk, "\n".join(texts))
        if recalled:
            context.extend_instructions(self.source_id, str(recalled))
        context.metadata[self.source_id] = talk  # of this run; the state is the session's

    async def after_run(
        self,
        *,
        agent: SupportsAgentRun,  # noqa: ARG002  # as above
        session: AgentSession,  # noqa: ARG002  # as above
        context: SessionContext,
        state: dict[str, Any],  # noqa: ARG002  # as above
    ) -> None:
        """Publish the turn."""
        talk: Conversation | None = context.metadata.pop(self.source_id, None)
        if talk is not None and context.response is not None:
            await self._memory.publish(talk, [*context.input_messages, *context.response.messages])
