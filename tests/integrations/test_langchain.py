"""The adapter of LangChain and LangGraph, with the real packages and a fake model."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import pytest

from tests.integrations.frameworks import require

require("langchain", "langgraph")

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, SummarizationMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command

from reflexio_async import AsyncReflexioClient, ConfigurationError, InvalidRequest
from reflexio_async.integrations.langchain import ReflexioMiddleware, with_memory
from tests.hang import A_HANG
from tests.integrations.play import Play, assert_one_turn_with_a_tool, maps
from tests.integrations.run_traces import AdapterWithTraces

if TYPE_CHECKING:
    from reflexio_async.testing.conformance import Ask, Model


class FakeModel(BaseChatModel):
    """Answers with what ``answer`` returns."""

    answer: Any

    def bind_tools(self, *_: Any, **__: Any) -> FakeModel:
        return self

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        answer = await self.answer("\n".join(message.text for message in messages))
        message = answer if isinstance(answer, AIMessage) else AIMessage(answer)
        return ChatResult(generations=[ChatGeneration(message=message)])


def asking(graph: Any) -> Ask:
    """Run a graph whose context names the user, and whose thread is the session."""

    async def ask(user_id: str, session_id: str, question: str) -> str:
        state = await graph.ainvoke(
            {"messages": [{"role": "user", "content": question}]},
            {"configurable": {"thread_id": session_id}},
            context={"user_id": user_id},
        )
        return str(state["messages"][-1].text)

    return ask


class TestMiddleware(AdapterWithTraces):
    """The middleware, with a history in a checkpointer."""

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        middleware = [ReflexioMiddleware(client, **self.memory_options)]
        agent = create_agent(
            FakeModel(answer=model),
            system_prompt="Be brief.",
            middleware=middleware,
            checkpointer=InMemorySaver(),
        )
        return asking(agent)


class TestNode(AdapterWithTraces):
    """The node of a graph, with a history in a checkpointer."""

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        chat = FakeModel(answer=model)

        async def call_model(state: MessagesState) -> dict[str, Any]:
            return {"messages": [await chat.ainvoke(state["messages"])]}

        graph = StateGraph(MessagesState)
        graph.add_node("model", with_memory(client, call_model, **self.memory_options))
        graph.add_edge(START, "model")
        return asking(graph.compile(checkpointer=InMemorySaver()))


class Context(TypedDict):
    user_id: str
    session_id: str


CONTEXT: Context = {"user_id": "ana", "session_id": "s1"}
QUESTION: Any = {"messages": [{"role": "user", "content": "Where is sushi?"}]}


async def looks_first(prompt: str) -> AIMessage:
    """A model that calls a tool before it answers."""
    if "harbour" in prompt:
        return AIMessage("At the harbour.")
    return AIMessage("I look.", tool_calls=[{"id": "c1", "name": "maps", "args": {"of": "sushi"}}])


async def answers(_: str) -> str:
    return "At the harbour."


async def test_a_run_with_tools_recalls_once_and_is_one_turn(play: Play) -> None:
    agent = create_agent(
        FakeModel(answer=looks_first), [maps], middleware=[ReflexioMiddleware(play.client, timeout=A_HANG)]
    )
    state = await agent.ainvoke(QUESTION, context=CONTEXT)
    assert_one_turn_with_a_tool(await play.published())
    assert play.searches() == 1
    assert set(state) == {"messages"}


async def test_a_run_that_was_interrupted_is_published_whole_when_it_ends(play: Play) -> None:
    agent = create_agent(
        FakeModel(answer=looks_first),
        [maps],
        middleware=[
            ReflexioMiddleware(play.client, timeout=A_HANG),
            HumanInTheLoopMiddleware({"maps": True}),
        ],
        checkpointer=InMemorySaver(),
    )
    thread: Any = {"configurable": {"thread_id": "t1"}}
    await agent.ainvoke(QUESTION, thread, context=CONTEXT)
    assert await play.published() == []
    decision: Command[Any] = Command(resume={"decisions": [{"type": "approve"}]})
    await agent.ainvoke(decision, thread, context=CONTEXT)
    assert_one_turn_with_a_tool(await play.published())


async def test_a_run_that_goes_on_after_a_failure_is_published_whole_when_it_ends(play: Play) -> None:
    failing = iter([False, True, False])

    async def fails_once(prompt: str) -> AIMessage:
        if next(failing):
            raise ConnectionError
        return await looks_first(prompt)

    agent = create_agent(
        FakeModel(answer=fails_once),
        [maps],
        middleware=[ReflexioMiddleware(play.client)],
        checkpointer=InMemorySaver(),
    )
    thread: Any = {"configurable": {"thread_id": "t1"}}
    with pytest.raises(ConnectionError):
        await agent.ainvoke(QUESTION, thread, context=CONTEXT)
    await agent.ainvoke(None, thread, context=CONTEXT)
    assert_one_turn_with_a_tool(await play.published())
    assert play.searches() == 1


@pytest.mark.parametrize("approved", [False, True])
async def test_a_run_that_ends_with_a_tool_is_published(play: Play, approved: bool) -> None:  # noqa: FBT001
    agent = create_agent(
        FakeModel(answer=looks_first),
        [tool(return_direct=True)(maps)],
        middleware=[ReflexioMiddleware(play.client), HumanInTheLoopMiddleware({"maps": approved})],
        checkpointer=InMemorySaver(),
    )
    thread: Any = {"configurable": {"thread_id": "t1"}}
    await agent.ainvoke(QUESTION, thread, context=CONTEXT)
    if approved:
        decision: Command[Any] = Command(resume={"decisions": [{"type": "approve"}]})
        await agent.ainvoke(decision, thread, context=CONTEXT)
    (body,) = await play.published()
    of_user, of_agent = body["interaction_data_list"]
    assert (of_user["content"], of_agent["content"]) == ("Where is sushi?", "I look.")
    assert of_agent["tools_used"][0]["tool_data"] == {"input": {"of": "sushi"}, "output": "harbour"}
    assert len(of_agent["retrieved_learnings"]) == 1


async def test_agents_that_follow_each_other_publish_each_message_once(play: Play) -> None:
    graph = StateGraph(MessagesState, Context)
    for name in ("first", "second"):
        middleware = [ReflexioMiddleware(play.client)]
        graph.add_node(name, create_agent(FakeModel(answer=answers), middleware=middleware))
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    await graph.compile().ainvoke(QUESTION, context=CONTEXT)
    assert [[turn["role"] for turn in body["interaction_data_list"]] for body in await play.published()] == [
        ["User", "Assistant"],
        ["Assistant"],
    ]


async def test_what_a_run_streams_has_no_memory(play: Play) -> None:
    agent = create_agent(FakeModel(answer=looks_first), [maps], middleware=[ReflexioMiddleware(play.client)])
    modes: Any = ["updates", "values", "messages"]
    streamed = [str(each) async for each in agent.astream(QUESTION, context=CONTEXT, stream_mode=modes)]
    assert any("At the harbour." in text for text in streamed)
    assert not any("likes sushi" in text for text in streamed)


async def test_a_summary_in_the_middle_of_a_turn_is_not_what_the_user_said(play: Play) -> None:
    prompts: list[str] = []

    async def looks_three_times(prompt: str) -> AIMessage:
        prompts.append(prompt)
        call = {"id": f"c{len(prompts)}", "name": "maps", "args": {"of": "sushi"}}
        return AIMessage(f"Look {len(prompts)}.", tool_calls=[call] if len(prompts) <= 3 else [])

    shortens = SummarizationMiddleware(
        FakeModel(answer=answers), trigger=("messages", 5), keep=("messages", 2)
    )
    middleware = [shortens, ReflexioMiddleware(play.client)]
    await create_agent(FakeModel(answer=looks_three_times), [maps], middleware=middleware).ainvoke(
        QUESTION, context=CONTEXT
    )
    assert "Where is sushi?" not in prompts[-1]
    assert all("likes sushi" in prompt for prompt in prompts)
    (body,) = await play.published()
    assert [turn["content"] for turn in body["interaction_data_list"]] == [
        "Where is sushi?",
        "Look 3.\n\nLook 4.",
    ]


async def test_a_graph_with_tools_recalls_once_and_is_one_turn(play: Play) -> None:
    chat = FakeModel(answer=looks_first)

    async def call_model(state: MessagesState) -> dict[str, Any]:
        return {"messages": await chat.ainvoke(state["messages"])}

    graph = StateGraph(MessagesState, Context)
    graph.add_node("model", with_memory(play.client, call_model, timeout=A_HANG))
    graph.add_node("tools", ToolNode([maps]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    state = await graph.compile().ainvoke(QUESTION, context=CONTEXT)
    assert_one_turn_with_a_tool(await play.published())
    assert play.searches() == 1
    assert set(state) == {"messages"}
    assert not [message for message in state["messages"] if isinstance(message, SystemMessage)]


@pytest.mark.parametrize("command", [False, True])
async def test_a_node_may_return_all_messages_or_a_command(play: Play, command: bool) -> None:  # noqa: FBT001
    def call_model(state: MessagesState) -> Any:
        update = {"messages": [*state["messages"], AIMessage("At the harbour.")]}
        return Command(update=update) if command else update

    graph = StateGraph(MessagesState, Context)
    graph.add_node("model", with_memory(play.client, call_model))
    graph.add_edge(START, "model")
    state = await graph.compile().ainvoke(QUESTION, context=CONTEXT)
    assert [message.text for message in state["messages"]] == ["Where is sushi?", "At the harbour."]
    (body,) = await play.published()
    assert len(body["interaction_data_list"]) == 2


async def test_a_node_that_adds_no_message_publishes_nothing(play: Play) -> None:
    def call_model(_: MessagesState) -> None:
        return None

    graph = StateGraph(MessagesState, Context)
    graph.add_node("model", with_memory(play.client, call_model))
    graph.add_edge(START, "model")
    await graph.compile().ainvoke(QUESTION, context=CONTEXT)
    assert await play.published() == []


async def test_a_fixed_user_and_session_are_for_runs_that_name_none(play: Play) -> None:
    middleware = [
        ReflexioMiddleware(play.client, timeout=A_HANG, user_id="ana", session_id="s1", source="shop")
    ]
    agent = create_agent(FakeModel(answer=answers), middleware=middleware)
    await agent.ainvoke(QUESTION)
    await agent.ainvoke(QUESTION, context={"user_id": "ben"})
    await agent.ainvoke(QUESTION, {"configurable": {"user_id": 7, "thread_id": "t1"}})
    bodies = sorted(await play.published(), key=lambda body: str(body["user_id"]))
    assert [(body["user_id"], body["session_id"]) for body in bodies] == [
        ("7", "t1"),
        ("ana", "s1"),
        ("ben", "s1"),
    ]
    assert {body["source"] for body in bodies} == {"shop"}


@pytest.mark.parametrize(("context", "missing"), [({}, "user_id"), ({"user_id": "ana"}, "session_id")])
async def test_a_run_without_a_user_or_a_session_is_an_error(
    play: Play, context: dict[str, str], missing: str
) -> None:
    agent = create_agent(
        FakeModel(answer=answers), middleware=[ReflexioMiddleware(play.client, timeout=A_HANG)]
    )
    with pytest.raises(InvalidRequest, match=f"the run has no {missing}"):
        await agent.ainvoke(QUESTION, context=context)


@pytest.mark.parametrize("graph", [False, True], ids=["agent", "graph"])
def test_a_synchronous_run_is_refused_before_the_model_is_called(graph: bool) -> None:  # noqa: FBT001
    def call_model(_: MessagesState) -> Any:
        pytest.fail("the model was called")

    client = AsyncReflexioClient(url_endpoint="http://127.0.0.1:9")
    if graph:
        builder = StateGraph(MessagesState)
        builder.add_node("model", with_memory(client, call_model, user_id="ana", session_id="s1"))
        builder.add_edge(START, "model")
        with pytest.raises(TypeError, match="ainvoke"):
            builder.compile().invoke(QUESTION)
    else:
        agent = create_agent(FakeModel(answer=call_model), middleware=[ReflexioMiddleware(client)])
        with pytest.raises(ConfigurationError, match="ainvoke"):
            agent.invoke(QUESTION)
        with pytest.raises(ConfigurationError, match="ainvoke"):
            list(agent.stream(QUESTION))


async def test_the_blocks_of_the_system_prompt_are_kept(play: Play) -> None:
    seen: list[BaseMessage] = []

    class Listening(FakeModel):
        async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
            seen.extend(messages)
            return await super()._agenerate(messages)

    block: dict[str, Any] = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    agent = create_agent(
        Listening(answer=answers),
        system_prompt=SystemMessage([block]),
        middleware=[ReflexioMiddleware(play.client, timeout=A_HANG)],
    )
    await agent.ainvoke(QUESTION, context=CONTEXT)
    content: Any = seen[0].content
    first, second = content
    assert first == block
    assert "likes sushi" in str(second)
