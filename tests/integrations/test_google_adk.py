"""The memory service for Google ADK, with the real package and a fake model."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integrations.frameworks import require

require("google.adk")

import pytest
from google.adk.agents import Agent
from google.adk.events.event import Event
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import BaseSessionService, InMemorySessionService, Session
from google.adk.tools.load_memory_tool import load_memory_tool
from google.adk.tools.preload_memory_tool import preload_memory_tool
from google.genai import types

from reflexio_async import AsyncReflexioClient
from reflexio_async.integrations.google_adk import ReflexioMemoryService, remember
from reflexio_async.testing import Sandbox
from reflexio_async.testing.conformance import AdapterConformance
from tests.hang import A_HANG
from tests.integrations.run_traces import AdapterWithTraces

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from google.adk.agents.callback_context import CallbackContext
    from google.adk.models.llm_request import LlmRequest

    from reflexio_async.testing.conformance import Ask, Model
    from tests.integrations.play import Play

# ADK announces that parts of it are experimental, or will change.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


class FakeLlm(BaseLlm):
    """Answers with what ``answer`` returns: a text or a part."""

    answer: Any

    async def generate_content_async(
        self,
        llm_request: LlmRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002  # ADK's
    ) -> AsyncGenerator[LlmResponse]:
        texts: list[str] = []
        for content in llm_request.contents:
            for part in content.parts or []:
                response = part.function_response
                texts.append(part.text or str(response.response if response else ""))
        answer = await self.answer("\n".join(texts))
        part = answer if isinstance(answer, types.Part) else types.Part(text=answer)
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


async def add_session(callback_context: CallbackContext) -> None:
    await callback_context.add_session_to_memory()


def asking(
    client: AsyncReflexioClient,
    model: Any,
    tool: Any,
    callback: Any = remember,
    sessions: BaseSessionService | None = None,
    **options: Any,
) -> Ask:
    """Run an agent in a process of its own: what several have in common are the sessions."""
    agent = Agent(
        name="helper", model=FakeLlm(model="fake", answer=model), tools=[tool], after_agent_callback=callback
    )
    sessions = sessions or InMemorySessionService()
    memory = ReflexioMemoryService(client, **options)
    runner = Runner(app_name="app", agent=agent, session_service=sessions, memory_service=memory)

    async def ask(user_id: str, session_id: str, question: str) -> str:
        known = await sessions.get_session(app_name="app", user_id=user_id, session_id=session_id)
        if known is None:
            await sessions.create_session(app_name="app", user_id=user_id, session_id=session_id)
        answer = ""
        message = types.Content(role="user", parts=[types.Part(text=question)])
        async for event in runner.run_async(user_id=user_id, session_id=session_id, new_message=message):
            if event.error_message:
                raise RuntimeError(event.error_message)
            if event.is_final_response() and event.content and event.content.parts:
                answer = event.content.parts[0].text or ""
        return answer

    return ask


class TestService(AdapterWithTraces):
    """The service, with ADK's tool that recalls before every turn."""

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        return asking(client, model, preload_memory_tool, **self.memory_options)


class TestSession(AdapterConformance):
    """The service, which gets the whole session after every turn."""

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        return asking(client, model, preload_memory_tool, add_session, timeout=self.recall_timeout)


async def at_the_harbour(_: str) -> str:
    return "At the harbour."


async def test_turns_of_a_session_in_several_processes_are_published_once_each(play: Play) -> None:
    sessions = InMemorySessionService()
    asks = [asking(play.client, at_the_harbour, preload_memory_tool, sessions=sessions) for _ in range(2)]
    for number in range(4):
        await asks[number % 2]("ana", "s1", f"sushi {number}")
    bodies = await play.published()
    said = [turn["content"] for body in bodies for turn in body["interaction_data_list"]]
    assert said[::2] == ["sushi 0", "sushi 1", "sushi 2", "sushi 3"]
    assert len(said) == 8


async def test_a_question_without_an_answer_is_published_with_the_next_one(play: Play) -> None:
    memory = ReflexioMemoryService(play.client)
    texts = ["Hello?", "Yes?", "Where is sushi?", "At the harbour."]
    events = [
        Event(author="helper" if at % 2 else "user", content=types.Content(parts=[types.Part(text=text)]))
        for at, text in enumerate(texts)
    ]
    for count in (3, 4):
        session = Session(id="s1", app_name="app", user_id="ana", events=events[:count])
        await memory.add_session_to_memory(session)
    bodies = await play.published()
    assert [turn["content"] for body in bodies for turn in body["interaction_data_list"]] == texts


async def test_what_the_model_has_asked_for_is_reported() -> None:
    async def model(prompt: str) -> Any:
        if "likes sushi" in prompt:
            return "At the harbour."
        call = types.FunctionCall(name="load_memory", args={"query": "sushi"})
        return types.Part(function_call=call)

    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        box.seed_profile("ana", "likes sushi")
        assert (
            await asking(client, model, load_memory_tool, timeout=A_HANG)("ana", "s", "Where shall I eat?")
            == "At the harbour."
        )
        await client.outbox.drained()
        requests = [each for each in box.requests if each.path == "/api/publish_interaction"]
        [body] = [dict[str, Any](each.body or {}) for each in requests]
        _, answered = body["interaction_data_list"]
        assert [each["kind"] for each in answered["retrieved_learnings"]] == ["profile"]
        assert "likes sushi" not in str(answered["tools_used"])


async def test_users_with_the_same_query_have_their_own_memories_reported() -> None:
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        memory = ReflexioMemoryService(client, timeout=A_HANG)
        known = {user: box.seed_profile(user, f"likes sushi, says {user}") for user in ("ana", "ben")}
        for user in known:
            await memory.search_memory(app_name="app", user_id=user, query="sushi")
        for user in known:
            events = [
                Event(author=author, content=types.Content(parts=[types.Part(text="sushi")]))
                for author in ("user", "helper")
            ]
            await memory.add_events_to_memory(app_name="app", user_id=user, events=events, session_id=user)
        await client.outbox.drained()
        bodies = [
            dict[str, Any](each.body or {})
            for each in box.requests
            if each.path == "/api/publish_interaction"
        ]
        assert len(bodies) == len(known)
        for body in bodies:
            learnings = body["interaction_data_list"][1]["retrieved_learnings"]
            assert [each["learning_id"] for each in learnings] == known[body["user_id"]]


async def test_single_events_are_published_in_their_session() -> None:
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        memory = ReflexioMemoryService(client)
        for number in range(2):
            events = [
                Event(author=author, content=types.Content(parts=[types.Part(text=f"{author} {number}")]))
                for author in ("user", "helper")
            ]
            await memory.add_events_to_memory(app_name="app", user_id="ana", session_id="s", events=events)
        await client.outbox.drained()
        stored = [turn.content for each in box.stored_requests.values() for turn in each.interactions]
        assert stored == ["user 0", "helper 0", "user 1", "helper 1"]
        assert {each.session_id for each in box.stored_requests.values()} == {"s"}
