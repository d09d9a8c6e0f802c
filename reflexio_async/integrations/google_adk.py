"""The memory service of an agent of Google ADK. Needs the extra ``google-adk``.

    agent = Agent(tools=[preload_memory_tool], after_agent_callback=remember, …)
    runner = Runner(agent=agent, memory_service=ReflexioMemoryService(client), …)

The user and the session are those of the runner. ``preload_memory_tool`` recalls before every turn, with
``load_memory_tool`` the model decides.
"""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from typing import TYPE_CHECKING

from google.adk.memory.base_memory_service import BaseMemoryService, SearchMemoryResponse
from google.adk.memory.memory_entry import MemoryEntry
from google.genai import types

from reflexio_async.integrations.agent_memory import AgentMemory, begin_of_turn, keep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from google.adk.agents.callback_context import CallbackContext
    from google.adk.events.event import Event
    from google.adk.sessions.session import Session

    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.integrations.agent_memory import MemoryOptions
    from reflexio_async.memory.context import MemoryContext


async def remember(callback_context: CallbackContext) -> None:
    """Publish the turn that has ended: the ``after_agent_callback`` of an agent.

    It needs no other turn of the session. So the turns of a session may be in different processes.
    """
    events = callback_context.session.events
    roles = ["user" if each.author == "user" and not each.get_function_responses() else "" for each in events]
    await callback_context.add_events_to_memory(events=events[begin_of_turn(roles) :])


class ReflexioMemoryService(BaseMemoryService):
    """Recalls for a user, and publishes sessions.

    ADK does not say for which session it searches. What was recalled is reported with the session that has
    the query: as a text of the user, or as an argument of a tool. A session may be added after every turn,
    if one process has all of its turns: events that this process has published are not published again.

    Args:
        client: The client. It must be open while agents run.
        options: See ``MemoryOptions``.
    """

    def __init__(self, client: AsyncReflexioClient, **options: Unpack[MemoryOptions]) -> None:
        self._memory = AgentMemory(client, **options)
        self._recalled: dict[tuple[str, str], MemoryContext] = {}
        """By user and query; those of turns that are not published yet."""
        self._published: dict[tuple[str, str], str] = {}
        """The last event that was published, by user and session."""

    async def search_memory(self, *, app_name: str, user_id: str, query: str) -> SearchMemoryResponse:  # noqa: ARG002
        """Recall. All that was found is one entry. It fails open: after an error there is none."""
        # It recalls, and publishes nothing: the session is not known here.
        talk = self._memory.conversation({"user_id": user_id, "session_id": "search"})
        recalled = await self._memory.recall(talk, query)
        keep(self._recalled, (user_id, query), recalled)
        if not recalled:
            return SearchMemoryResponse()
        content = types.Content(role="user", parts=[types.Part(text=str(recalled))])
        return SearchMemoryResponse(memories=[MemoryEntry(content=content)])

    async def add_session_to_memory(self, session: Session) -> None:
        """Publish the turns of a session that are finished and new."""
        await self._publish(session.user_id, session.id, session.events)

    async def add_events_to_memory(
        self,
        *,
        app_name: str,  # noqa: ARG002  # the framework gives it
        user_id: str,
        events: Sequence[Event],
        session_id: str | None = None,
        custom_metadata: Mapping[str, object] | None = None,  # noqa: ARG002  # as above
    ) -> None:
        """Publish new turns of a session."""
        await self._publish(user_id, session_id, events)

    async def _publish(self, user_id: str, session_id: str | None, events: Sequence[Event]) -> None:
        talk = self._memory.session({"user_id": user_id, "session_id": session_id})
        session, ids = (talk.user_id, talk.session_id), [event.id for event in events]
        last = self._published.get(session)
        events = events[ids.index(last) + 1 if last in ids else 0 :]
        for query in _queries(events):
            recalled = self._recalled.pop((user_id, query), None)
            if recalled is not None:
                talk.report(recalled)
        if await self._memory.publish(talk, events):
            keep(self._published, session, ids[-1])


def _queries(events: Sequence[Event]) -> list[str]:
    """Return all texts that memory may have been searched for in a session."""
    queries: list[str] = []
    for event in events:
        parts = (event.content and event.content.parts) or []
        if event.author == "user":
            queries.append(" ".join(part.text for part in parts if part.text))  # as preload_memory_tool does
        calls = [part.function_call for part in parts if part.function_call]
        queries += [str(value) for call in calls for value in (call.args or {}).values()]
    return queries
