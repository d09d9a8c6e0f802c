"""The adapter of the Microsoft Agent Framework, with the real package and a fake model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integrations.frameworks import require

require("agent_framework")

from agent_framework import Agent, AgentSession, BaseChatClient, ChatResponse, Message

from reflexio_async import AsyncReflexioClient
from reflexio_async.integrations.agent_framework import ReflexioProvider
from reflexio_async.testing import Sandbox
from tests.integrations.run_traces import AdapterWithTraces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reflexio_async.testing.conformance import Ask, Model


class FakeChatClient(BaseChatClient[Any]):
    """Answers with what ``answer`` returns."""

    def __init__(self, answer: Model) -> None:
        super().__init__()
        self.answer = answer

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **_: Any
    ) -> Any:
        assert not stream
        texts = [str(options.get("instructions") or ""), *(message.text for message in messages)]

        async def respond() -> ChatResponse:
            return ChatResponse(messages=[Message("assistant", [await self.answer("\n".join(texts))])])

        return respond()


class TestProvider(AdapterWithTraces):
    """A context provider; the framework keeps the history in the session."""

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        agent = Agent(
            client=FakeChatClient(model),
            instructions="Be brief.",
            context_providers=[ReflexioProvider(client, **self.memory_options)],
        )
        sessions: dict[str, AgentSession] = {}

        async def ask(user_id: str, session_id: str, question: str) -> str:
            session = sessions.setdefault(session_id, AgentSession(session_id=session_id))
            session.state["user_id"] = user_id
            return (await agent.run(question, session=session)).text

        return ask


async def test_the_user_may_be_in_the_options_of_a_run() -> None:
    async def model(_: str) -> str:
        return "At the harbour."

    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        provider = ReflexioProvider(client, session_id="fixed")
        agent = Agent(client=FakeChatClient(model), context_providers=[provider])
        await agent.run("Where is sushi?", options={"user": "ana"})
        await client.outbox.drained()
        [stored] = box.stored_requests.values()
        assert (stored.user_id, stored.session_id) == ("ana", "fixed")
