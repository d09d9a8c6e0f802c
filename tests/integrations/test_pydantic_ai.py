"""The capability and the tool set of Pydantic AI, with the real package and a fake model."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.integrations.frameworks import require

require("pydantic_ai")

from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, Tool
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from reflexio_async import InvalidRequest
from reflexio_async.integrations.pydantic_ai import ReflexioMemory, memory_toolset
from tests.hang import A_HANG
from tests.integrations.play import Play, assert_one_turn_with_a_tool, maps
from tests.integrations.run_traces import QUESTION, TRACES, AdapterWithTraces, reflecting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reflexio_async import AsyncReflexioClient
    from reflexio_async.testing.conformance import Ask, Model


def answering(model: Model) -> FunctionModel:
    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        prompts = [str(getattr(part, "content", "")) for message in messages for part in message.parts]
        return ModelResponse([TextPart(await model("\n".join([info.instructions or "", *prompts])))])

    return FunctionModel(answer)


class TestCapability(AdapterWithTraces):
    """The capability, with the history of each session."""

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        agent = Agent(
            answering(model),
            deps_type=dict,
            instructions="Be brief.",
            capabilities=[ReflexioMemory(client, **self.memory_options)],
        )
        history: dict[str, list[ModelMessage]] = {}

        async def ask(user_id: str, session_id: str, question: str) -> str:
            result = await agent.run(
                question,
                deps={"user_id": user_id},
                conversation_id=session_id,
                message_history=history.get(session_id),
            )
            history[session_id] = result.all_messages()
            return result.output

        return ask


DEPS = {"user_id": "ana", "session_id": "s1"}


def looks_first(tool: str, arguments: dict[str, str], returned: str) -> FunctionModel:
    """A model that calls a tool before it answers."""

    async def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        if returned in str(messages[-1]):
            return ModelResponse([TextPart("At the harbour.")])
        return ModelResponse([TextPart("I look."), ToolCallPart(tool, arguments)])

    return FunctionModel(answer)


async def test_a_run_with_tools_recalls_once_and_is_one_turn(play: Play) -> None:
    model = looks_first("maps", {"of": "sushi"}, "harbour")
    agent = Agent(model, tools=[maps], capabilities=[ReflexioMemory(play.client, timeout=A_HANG)])
    await agent.run("Where is sushi?", metadata=DEPS)
    assert_one_turn_with_a_tool(await play.published())
    assert play.searches() == 1


async def test_a_run_that_waited_for_an_approval_is_published_whole_when_it_ends(play: Play) -> None:
    agent = Agent(
        looks_first("maps", {"of": "sushi"}, "harbour"),
        tools=[Tool(maps, requires_approval=True)],
        output_type=[str, DeferredToolRequests],
        capabilities=[ReflexioMemory(play.client, timeout=A_HANG)],
    )
    asked = await agent.run("Where is sushi?", metadata=DEPS)
    assert isinstance(asked.output, DeferredToolRequests)
    assert await play.published() == []
    approved = DeferredToolResults(approvals={asked.output.approvals[0].tool_call_id: True})
    await agent.run(message_history=asked.all_messages(), deferred_tool_results=approved, metadata=DEPS)
    assert_one_turn_with_a_tool(await play.published())


async def test_a_run_that_ends_with_structured_output_is_published_with_what_was_said_before(
    play: Play,
) -> None:
    def place(name: str) -> str:
        return name

    agent = Agent(
        looks_first("final_result", {"name": "harbour"}, "none"),
        output_type=place,
        capabilities=[ReflexioMemory(play.client)],
    )
    await agent.run("Where is sushi?", metadata=DEPS)
    (body,) = await play.published()
    of_user, of_agent = body["interaction_data_list"]
    assert (of_user["content"], of_agent["content"]) == ("Where is sushi?", "I look.")
    assert of_agent["tools_used"][0]["tool_data"]["input"] == {"name": "harbour"}


async def test_a_run_that_says_more_after_an_answer_publishes_that_alone(play: Play) -> None:
    agent = Agent(
        looks_first("maps", {"of": "sushi"}, ""), tools=[maps], capabilities=[ReflexioMemory(play.client)]
    )
    first = await agent.run("Where is sushi?", metadata=DEPS)
    await agent.run(message_history=first.all_messages(), metadata=DEPS)
    assert [[turn["role"] for turn in body["interaction_data_list"]] for body in await play.published()] == [
        ["User", "Assistant"],
        ["Assistant"],
    ]


async def test_a_run_that_is_streamed_is_published(play: Play) -> None:
    async def stream(_: list[ModelMessage], __: AgentInfo) -> AsyncIterator[str]:
        for word in ("At ", "the ", "harbour."):
            yield word

    agent = Agent(
        FunctionModel(stream_function=stream), capabilities=[ReflexioMemory(play.client, timeout=A_HANG)]
    )
    async with agent.run_stream("Where is sushi?", metadata=DEPS) as result:
        assert await result.get_output() == "At the harbour."
    (body,) = await play.published()
    assert [turn["content"] for turn in body["interaction_data_list"]] == [
        "Where is sushi?",
        "At the harbour.",
    ]


async def test_what_the_model_has_searched_for_is_reported_and_not_published_as_text(play: Play) -> None:
    play.box.seed_profile("ana", "hates tea")
    model = looks_first("search_memory", {"query": "tea"}, "hates tea")
    agent = Agent(
        model, capabilities=[ReflexioMemory(play.client, timeout=A_HANG, search_tool=True, top_k=1)]
    )
    await agent.run("Where is sushi?", metadata=DEPS)
    (body,) = await play.published()
    assert len(body["interaction_data_list"][1]["retrieved_learnings"]) == 2
    assert "hates tea" not in str(body)


async def test_the_tool_set_alone_recalls_and_publishes_nothing(play: Play) -> None:
    toolset = memory_toolset(play.client, timeout=A_HANG, user_id="ana", session_id="s1")
    agent = Agent(looks_first("search_memory", {"query": "sushi"}, "likes sushi"), toolsets=[toolset])
    result = await agent.run("Where is sushi?")
    assert result.output == "At the harbour."
    assert await play.published() == []


async def test_a_run_that_failed_is_traced_as_failed_with_its_error_and_not_published() -> None:
    async def fail(_: str) -> str:
        message = "the model has failed"
        raise ConnectionError(message)

    def refuse(_task: str, _answer: str) -> None:
        pytest.fail("a run that failed needs no judge")

    async with reflecting() as (box, client):
        [memory] = box.reflect.memories()
        capability = ReflexioMemory(client, timeout=A_HANG, judge=refuse, user_id="ana", session_id="s1")
        with pytest.raises(ConnectionError):
            await Agent(answering(fail), capabilities=[capability]).run(QUESTION)
        await client.aclose()
        _, trace = box.reflect.traces()
        [_, body] = [each.body for each in box.requests if each.path == TRACES]
        assert body is not None
        assert (trace.task, trace.retrieved_memory_ids) == (QUESTION, [memory.id])
        assert body["review"] == {"result": "fail", "feedback_text": "the model has failed"}
        assert box.count("POST", "/api/publish_interaction") == 0


async def test_the_trace_of_a_run_that_failed_has_the_tools_that_it_used() -> None:
    def breaks(of: str) -> str:
        raise OSError(of)

    async with reflecting() as (box, client):
        agent = Agent(
            looks_first("breaks", {"of": "sushi"}, "harbour"),
            tools=[breaks],
            capabilities=[
                ReflexioMemory(client, timeout=A_HANG, traces=True, user_id="ana", session_id="s1")
            ],
        )
        with pytest.raises(OSError, match="sushi"):
            await agent.run(QUESTION)
        await client.aclose()
        [_, body] = [each.body for each in box.requests if each.path == TRACES]
        assert body is not None
        assert [message["role"] for message in body["trajectory"]] == ["user", "assistant"]
        assert body["trajectory"][1]["tool_calls"][0]["function"]["name"] == "breaks"


async def test_a_run_that_was_cancelled_is_not_traced() -> None:
    waiting = asyncio.Event()

    async def wait(_: str) -> str:
        waiting.set()
        await asyncio.Event().wait()
        return ""

    async with reflecting() as (box, client):
        agent = Agent(
            answering(wait),
            capabilities=[
                ReflexioMemory(client, timeout=A_HANG, traces=True, user_id="ana", session_id="s1")
            ],
        )
        run = asyncio.ensure_future(agent.run(QUESTION))
        await waiting.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await client.aclose()
        assert len(box.reflect.traces()) == 1


async def test_the_fixed_session_comes_before_the_id_of_the_conversation(play: Play) -> None:
    async def answer(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart("At the harbour.")])

    agent = Agent(
        FunctionModel(answer),
        capabilities=[ReflexioMemory(play.client, timeout=A_HANG, user_id="ana", session_id="s1")],
    )
    await agent.run("Where is sushi?", conversation_id="c1")
    (body,) = await play.published()
    assert (body["user_id"], body["session_id"]) == ("ana", "s1")


async def test_the_error_of_a_run_without_a_user_says_where_it_is_looked_for(play: Play) -> None:
    agent = Agent(looks_first("maps", {}, ""), capabilities=[ReflexioMemory(play.client, timeout=A_HANG)])
    with pytest.raises(InvalidRequest, match="no user_id: put it into the metadata of the run, or its deps"):
        await agent.run("Where is sushi?")
