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

from reflexio_async.integrations.agent_memory import AgentMemory, begin_of_turn, keep

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from agent_framework import AgentSession, Message, SessionContext, SupportsAgentRun

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
        self._memory = AgentMemory(client, "the state of the session", **options)
        self._waiting: dict[tuple[str, str], tuple[Conversation, str]] = {}
        """By user and session: the conversation and the recalled text of runs that wait for an approval."""

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
        messages = context.input_messages
        asked = messages[begin_of_turn([*_roles(messages), "end"]) :]
        query = "\n".join(message.text for message in asked if message.role == "user")
        run = None if query.strip() else self._waiting.pop((talk.user_id, talk.session_id), None)
        talk, recalled = run or (talk, str(await self._memory.recall(talk, query)))
        if recalled:
            context.extend_instructions(self.source_id, recalled)
        context.metadata[self.source_id] = talk, recalled  # of this run; the state is the session's

    async def after_run(
        self,
        *,
        agent: SupportsAgentRun,  # noqa: ARG002  # as above
        session: AgentSession,  # noqa: ARG002  # as above
        context: SessionContext,
        state: dict[str, Any],  # noqa: ARG002  # as above
    ) -> None:
        """Publish the turn."""
        run: tuple[Conversation, str] | None = context.metadata.pop(self.source_id, None)
        if run is None or context.response is None:
            return
        talk, messages = run[0], context.input_messages
        if messages and "user" not in _roles(messages):  # an approval: the question is in the history
            messages = context.get_messages(include_input=True)
        messages = [*messages[begin_of_turn(_roles(messages)) :], *context.response.messages]
        if not await self._memory.publish(talk, messages):
            keep(self._waiting, (talk.user_id, talk.session_id), run)


def _roles(messages: Sequence[Message]) -> list[str]:
    return [
        "tool"  # an approval, a call or a result
        if any("function" in content.type for content in message.contents)
        else "answer"
        if message.role == "assistant"
        else message.role
        for message in messages
    ]
