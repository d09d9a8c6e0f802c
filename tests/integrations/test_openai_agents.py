"""The hooks and the input filter of the OpenAI Agents SDK, with the real package and a fake model."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.integrations.frameworks import require

require("agents")

from agents import Agent, ModelResponse, RunConfig, Runner, SQLiteSession, Usage, function_tool
from agents import Model as AgentsModel
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseFunctionWebSearch,
    ResponseOutputMessage,
    ResponseOutputText,
)
from openai.types.responses.response_function_web_search import ActionSearch

from reflexio_async.integrations.openai_agents import ReflexioHooks
from tests.hang import A_HANG
from tests.integrations.play import Play, assert_one_turn_with_a_tool, maps
from tests.integrations.run_traces import AdapterWithTraces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reflexio_async import AsyncReflexioClient
    from reflexio_async.integrations.agent_memory import MemoryOptions
    from reflexio_async.testing.conformance import Ask, Model


def said(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(type="output_text", text=text, annotations=[])
    return ResponseOutputMessage(
        id="1", type="message", role="assistant", status="completed", content=[content]
    )


class FakeModel(AgentsModel):
    """Answers with what ``answer`` returns for the text of the prompt."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def get_response(self, *arguments: Any, **call: Any) -> ModelResponse:
        prompt = [*arguments, call.get("system_instructions"), call.get("input")]
        answer = await self.answer(str(prompt))
        output: list[Any] = [said(answer)] if isinstance(answer, str) else answer
        return ModelResponse(output=output, usage=Usage(requests=1), response_id=None)

    async def stream_response(self, *arguments: Any, **call: Any) -> AsyncIterator[Any]:
        answered = await self.get_response(*arguments, **call)
        response = Response(
            id="r1",
            created_at=0,
            model="fake",
            object="response",
            output=answered.output,
            parallel_tool_calls=False,
            tool_choice="none",
            tools=[],
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)


class TestHooks(AdapterWithTraces):
    """The hooks and the filter, with the history of each session."""

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        agent = Agent(name="guide", instructions="Be brief.", model=FakeModel(model))
        history: dict[str, list[Any]] = {}

        async def ask(user_id: str, session_id: str, question: str) -> str:
            options: MemoryOptions = {**self.memory_options, "user_id": user_id, "session_id": session_id}
            memory = ReflexioHooks(client, **options)
            result = await Runner.run(
                agent,
                [*history.get(session_id, []), {"role": "user", "content": question}],
                hooks=memory,
                run_config=memory.run_config(tracing_disabled=True),
            )
            history[session_id] = result.to_input_list()
            return str(result.final_output)

        return ask


def hooks(play: Play) -> ReflexioHooks:
    return ReflexioHooks(play.client, timeout=A_HANG, user_id="ana", session_id="s1")


def called(name: str, arguments: str) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(type="function_call", call_id="c1", name=name, arguments=arguments)


MAPS = function_tool(maps)


async def looks_first(prompt: str) -> str | list[Any]:
    """A model that calls a tool before it answers."""
    return "At the harbour." if "harbour" in prompt else [said("I look."), called("maps", '{"of": "sushi"}')]


async def run(
    agent: Agent[Any], memory: ReflexioHooks, question: str = "Where is sushi?", **options: Any
) -> str:
    config = memory.run_config(tracing_disabled=True)
    result = await Runner.run(agent, question, hooks=memory, run_config=config, **options)
    return str(result.final_output)


async def test_a_run_with_tools_recalls_once_and_is_one_turn(play: Play) -> None:
    await run(Agent(name="guide", model=FakeModel(looks_first), tools=[MAPS]), hooks(play))
    assert_one_turn_with_a_tool(await play.published())
    assert play.searches() == 1


async def test_an_agent_that_stops_at_a_tool_answers_what_the_tool_returned(play: Play) -> None:
    agent = Agent(
        name="guide",
        model=FakeModel(looks_first),
        tools=[MAPS],
        tool_use_behavior="stop_on_first_tool",
    )
    assert await run(agent, hooks(play)) == "harbour"
    (body,) = await play.published()
    _, of_agent = body["interaction_data_list"]
    assert of_agent["content"] == "I look.\n\nharbour"
    assert of_agent["tools_used"][0]["tool_name"] == "maps"


async def test_a_run_with_a_search_at_the_provider_is_one_turn(play: Play) -> None:
    searched = ResponseFunctionWebSearch(
        id="w1",
        type="web_search_call",
        status="completed",
        action=ActionSearch(type="search", query="sushi"),
    )

    async def answers(_: str) -> list[Any]:
        return [said("I look."), searched, said("At the harbour.")]

    await run(Agent(name="guide", model=FakeModel(answers)), hooks(play))
    (body,) = await play.published()
    asked, answered = body["interaction_data_list"]
    assert (asked["content"], answered["content"]) == ("Where is sushi?", "I look.\n\nAt the harbour.")
    assert [tool["tool_name"] for tool in answered["tools_used"]] == ["web_search"]


@pytest.mark.parametrize("nested", [False, True])
async def test_a_run_that_another_agent_ends_is_one_turn(play: Play, nested: bool) -> None:  # noqa: FBT001
    async def hands_over(_: str) -> list[Any]:
        return [called("transfer_to_waiter", "{}")]

    async def answers(_: str) -> str:
        return "At the harbour."

    waiter = Agent[Any](name="waiter", model=FakeModel(answers))
    host = Agent[Any](name="host", model=FakeModel(hands_over), handoffs=[waiter])
    memory = hooks(play)
    config = memory.run_config(tracing_disabled=True, nest_handoff_history=nested)
    await Runner.run(host, "Where is sushi?", hooks=memory, run_config=config)
    (body,) = await play.published()
    assert [turn["content"] for turn in body["interaction_data_list"]] == [
        "Where is sushi?",
        "At the harbour.",
    ]


async def test_the_history_in_a_session_of_the_framework_is_not_published_again(play: Play) -> None:
    async def answers(prompt: str) -> str:
        return "Next door." if "tea" in prompt else "At the harbour."

    agent = Agent(name="guide", model=FakeModel(answers))
    with closing(SQLiteSession("s1")) as session:
        for question in ("Where is sushi?", "And tea?"):
            await run(agent, hooks(play), question, session=session)
    turns = [turn for body in await play.published() for turn in body["interaction_data_list"]]
    assert [turn["content"] for turn in turns] == [
        "Where is sushi?",
        "At the harbour.",
        "And tea?",
        "Next door.",
    ]


async def test_a_run_that_is_streamed_is_one_turn(play: Play) -> None:
    agent, memory = (
        Agent(name="guide", model=FakeModel(looks_first), tools=[MAPS]),
        hooks(play),
    )
    config = memory.run_config(tracing_disabled=True)
    result = Runner.run_streamed(agent, "Where is sushi?", hooks=memory, run_config=config)
    async for _ in result.stream_events():
        pass
    assert result.final_output == "At the harbour."
    assert_one_turn_with_a_tool(await play.published())


async def test_a_run_after_one_that_failed_is_a_turn_of_its_own(play: Play) -> None:
    failing = iter([True, False])

    async def fails_once(_: str) -> str:
        if next(failing):
            raise ConnectionError
        return "Next door."

    agent, memory = Agent(name="guide", model=FakeModel(fails_once)), hooks(play)
    with pytest.raises(ConnectionError):
        await run(agent, memory)
    await run(agent, memory, "And tea?")
    (body,) = await play.published()
    assert [turn["content"] for turn in body["interaction_data_list"]] == ["And tea?", "Next door."]


async def test_without_the_input_filter_the_turn_is_published_too(play: Play) -> None:
    async def answers(_: str) -> str:
        return "At the harbour."

    agent, config = Agent(name="guide", model=FakeModel(answers)), RunConfig(tracing_disabled=True)
    await Runner.run(agent, "Where is sushi?", hooks=hooks(play), run_config=config)
    (body,) = await play.published()
    assert [turn["content"] for turn in body["interaction_data_list"]] == [
        "Where is sushi?",
        "At the harbour.",
    ]


@pytest.mark.parametrize("same_hooks", [False, True])
@pytest.mark.parametrize("then", ["run_llm_again", "stop_on_first_tool"])
async def test_a_run_that_waited_for_an_approval_has_what_the_user_asked(
    play: Play,
    then: Any,
    same_hooks: bool,  # noqa: FBT001
) -> None:
    tool = function_tool(maps, needs_approval=True)
    agent = Agent(name="guide", model=FakeModel(looks_first), tools=[tool], tool_use_behavior=then)
    memory = hooks(play)
    asked = await Runner.run(
        agent, "Where is sushi?", hooks=memory, run_config=memory.run_config(tracing_disabled=True)
    )
    assert await play.published() == []
    state = asked.to_state()
    state.approve(asked.interruptions[0])
    memory = memory if same_hooks else hooks(play)
    await Runner.run(agent, state, hooks=memory, run_config=memory.run_config(tracing_disabled=True))
    (body,) = await play.published()
    of_user, of_agent = body["interaction_data_list"]
    assert of_user["content"] == "Where is sushi?"
    assert "harbour" in of_agent["content"]


async def test_a_run_that_goes_on_with_the_same_hooks_recalls_nothing_again(play: Play) -> None:
    agent = Agent(
        name="guide", model=FakeModel(looks_first), tools=[function_tool(maps, needs_approval=True)]
    )
    memory = hooks(play)
    config = memory.run_config(tracing_disabled=True)
    asked = await Runner.run(agent, "Where is sushi?", hooks=memory, run_config=config)
    state = asked.to_state()
    state.approve(asked.interruptions[0])
    await Runner.run(agent, state, hooks=memory, run_config=config)
    assert_one_turn_with_a_tool(await play.published())
    assert play.searches() == 1


async def test_an_agent_that_follows_another_publishes_its_own_answer(play: Play) -> None:
    async def answers(_: str) -> str:
        return "At the harbour."

    agent, memory = Agent(name="guide", model=FakeModel(answers)), hooks(play)
    first = await Runner.run(
        agent, "Where is sushi?", hooks=memory, run_config=memory.run_config(tracing_disabled=True)
    )
    memory = hooks(play)
    await Runner.run(
        agent, first.to_input_list(), hooks=memory, run_config=memory.run_config(tracing_disabled=True)
    )
    assert [[turn["role"] for turn in body["interaction_data_list"]] for body in await play.published()] == [
        ["User", "Assistant"],
        ["Assistant"],
    ]
