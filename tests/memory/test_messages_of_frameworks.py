"""``interactions_from``, with messages of the real classes of LangChain, Pydantic AI and OpenAI Agents."""

from __future__ import annotations

from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage, function_tool
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.messages import ModelMessage, TextPart, ToolCallPart
from pydantic_ai.messages import ModelResponse as PydanticResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel

from reflexio_async import interactions_from
from tests.memory.test_messages import EXPECTED, plain


def test_messages_of_langchain() -> None:
    messages = [
        SystemMessage("Be brief."),
        HumanMessage("Where is sushi?"),
        AIMessage("I look.", tool_calls=[{"id": "c1", "name": "maps", "args": {"of": "sushi"}}]),
        ToolMessage("harbour", tool_call_id="c1"),
        AIMessage("At the harbour."),
    ]
    assert plain(messages) == EXPECTED
    assert plain({"messages": messages}) == EXPECTED


async def test_a_run_of_pydantic_ai() -> None:
    def model(messages: list[ModelMessage], _: AgentInfo) -> PydanticResponse:
        if len(messages) == 1:
            return PydanticResponse([TextPart("I look."), ToolCallPart("maps", {"of": "sushi"})])
        return PydanticResponse([TextPart("At the harbour.")])

    agent = PydanticAgent(FunctionModel(model), instructions="Be brief.")

    @agent.tool_plain
    def maps(of: str) -> str:
        assert of == "sushi"
        return "harbour"

    result = await agent.run("Where is sushi?")
    assert plain(result) == plain(result.all_messages()) == EXPECTED


async def test_structured_output_of_pydantic_ai_is_the_answer() -> None:
    def model(_: list[ModelMessage], __: AgentInfo) -> PydanticResponse:
        return PydanticResponse([ToolCallPart("final_result", {"response": 42})])

    result = await PydanticAgent(FunctionModel(model), output_type=int).run("How many?")
    asked, answered = interactions_from(result)
    assert (asked.content, answered.content) == ("How many?", '{"response": 42}')


async def test_a_run_of_openai_agents() -> None:
    class Fake(Model):
        async def get_response(self, *_: Any, **call: Any) -> ModelResponse:
            said = "I look." if len(call["input"]) == 1 else "At the harbour."
            text = ResponseOutputText(type="output_text", text=said, annotations=[])
            output: list[Any] = [
                ResponseOutputMessage(
                    id="1", type="message", role="assistant", status="completed", content=[text]
                )
            ]
            if said == "I look.":
                arguments = '{"of": "sushi"}'
                output.append(
                    ResponseFunctionToolCall(
                        type="function_call", call_id="c1", name="maps", arguments=arguments
                    )
                )
            return ModelResponse(output=output, usage=Usage(), response_id=None)

        def stream_response(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    @function_tool
    def maps(of: str) -> str:
        """Where it is."""
        assert of == "sushi"
        return "harbour"

    agent = Agent(name="guide", instructions="Be brief.", model=Fake(), tools=[maps])
    result = await Runner.run(agent, "Where is sushi?", run_config=RunConfig(tracing_disabled=True))
    assert plain(result) == EXPECTED
    assert plain(result.to_input_list()) == EXPECTED
