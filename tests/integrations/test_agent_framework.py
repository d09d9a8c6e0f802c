"""The adapter of the Microsoft Agent Framework, with the real package and a fake model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integrations.frameworks import require

require("agent_framework")

from agent_framework import (
    Agent,
    AgentSession,
    BaseChatClient,
    ChatResponse,
    Content,
    FunctionInvocationLayer,
    Message,
    WorkflowBuilder,
    tool,
)

from reflexio_async import AsyncReflexioClient
from reflexio_async.integrations.agent_framework import ReflexioProvider
from reflexio_async.testing import Sandbox
from tests.integrations.play import Play, assert_one_turn_with_a_tool, maps
from tests.integrations.run_traces import AdapterWithTraces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reflexio_async.testing.conformance import Ask, Model


class FakeChatClient(BaseChatClient[Any]):
    """Answers with what ``answer`` returns: a text, or contents."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **_: Any
    ) -> Any:
        assert not stream
        texts = [str(options.get("instructions") or ""), *(message.text for message in messages)]

        async def respond() -> ChatResponse:
            contents = await self.answer("\n".join(texts))
            contents = [contents] if isinstance(contents, str) else contents
            return ChatResponse(messages=[Message("assistant", contents)])

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


class ToolChatClient(FunctionInvocationLayer[Any], FakeChatClient):
    """A model whose tools are called."""


async def test_a_run_that_waited_for_an_approval_is_published_whole_when_it_ends(play: Play) -> None:
    prompts: list[str] = []

    async def looks_first(prompt: str) -> Any:
        prompts.append(prompt)
        call = Content.from_function_call("c1", "maps", arguments={"of": "sushi"})
        return ["I look.", call] if len(prompts) == 1 else "At the harbour."

    provider = ReflexioProvider(play.client, user_id="ana")
    agent = Agent(
        client=ToolChatClient(answer=looks_first),
        tools=[tool(approval_mode="always_require")(maps)],
        context_providers=[provider],
    )
    session = AgentSession(session_id="s1")
    asked = await agent.run("Where is sushi?", session=session)
    assert await play.published() == []
    [request] = asked.user_input_requests
    approval = Message("user", [request.to_function_approval_response(approved=True)])
    await agent.run(approval, session=session)
    assert all("likes sushi" in prompt for prompt in prompts)
    assert_one_turn_with_a_tool(await play.published())


async def at_the_harbour(_: str) -> str:
    return "At the harbour."


async def test_a_history_that_the_caller_keeps_is_not_published_again(play: Play) -> None:
    provider = ReflexioProvider(play.client, user_id="ana", session_id="s1")
    agent = Agent(client=FakeChatClient(at_the_harbour), context_providers=[provider])
    messages: list[Message] = []
    for question in ("Where is sushi?", "And tea?"):
        messages.append(Message("user", [question]))
        messages += (await agent.run(messages)).messages
    turns = [turn for body in await play.published() for turn in body["interaction_data_list"]]
    assert [turn["content"] for turn in turns] == [message.text for message in messages]


async def test_agents_of_a_workflow_publish_each_message_once(play: Play) -> None:
    provider = ReflexioProvider(play.client, user_id="ana", session_id="s1")
    first, second = (
        Agent(client=FakeChatClient(at_the_harbour), name=name, context_providers=[provider])
        for name in ("first", "second")
    )
    await WorkflowBuilder(start_executor=first).add_edge(first, second).build().run("Where is sushi?")
    bodies = await play.published()
    assert [[turn["role"] for turn in body["interaction_data_list"]] for body in bodies] == [
        ["User", "Assistant"],
        ["Assistant"],
    ]
