"""Agent frameworks take the calls as tools: names, descriptions and arguments are read from the functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from agents import FunctionTool, function_tool
from agents.exceptions import UserError
from agents.tool_context import ToolContext
from langchain_core.tools import StructuredTool, tool
from pydantic_ai import Agent, Tool
from pydantic_ai.models.test import TestModel

from reflexio_async.sandbox import Sandbox
from tests.endpoints.calls import CALLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from reflexio_async import AsyncReflexioClient
    from reflexio_async.sandbox import VirtualClock

NO_TOOLS = {
    "bootstrap",  # makes a client of its own
    "open_trace",  # takes a function, and returns a context
}
TOOLS = [call for call in CALLS if call.name not in NO_TOOLS]
FREE_FORM = {
    "InteractionsAPI.publish_interaction",
    "OutboxAPI.publish_later",
    "SessionScopedClient.publish_interaction",
    "SessionScopedClient.publish_later",
    "ProfilesAPI.add_user_profile",
    "ProfilesAPI.update_user_profile",
    "SessionsAPI.mark_session_outcome",
    "SessionScopedClient.mark_session_outcome",
    "PendingToolCallsAPI.resolve_pending_tool_call",
    "ConfigAPI.set_config",
    "ConfigAPI.update_config",
    "LegacyAPI.set_config",
    "ReflectAPI.query_memories",
    "ReflectAPI.augment_with_memories",
    "ReflectAPI.create_trace",
    "ReflectAPI.create_trace_and_wait",
    "TraceOutboxAPI.create_trace_later",
}
"""Calls with an object of any fields, which the strict schema of OpenAI cannot say."""


@pytest.fixture
async def box(clock: VirtualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(clock=clock) as box:
        box.seed_profile("ana", "likes sushi")
        yield box


def structured_tool(call: Any) -> Any:
    return StructuredTool.from_function(coroutine=call)


def langchain_tool(call: Any) -> Any:
    decorate: Any = tool
    return decorate(call)


# --- a search, carried out by each framework


async def invoke(made: FunctionTool, arguments: dict[str, Any]) -> Any:
    text = json.dumps(arguments)
    context = ToolContext(context=None, tool_name=made.name, tool_call_id="1", tool_arguments=text)
    return await made.on_invoke_tool(context, text)


async def test_openai_agents(client: AsyncReflexioClient) -> None:
    made = function_tool(client.search_user_profiles)
    assert made.name == "search_user_profiles"
    assert made.description.startswith("Profiles of one user, nearest in meaning to ``query``.")
    assert made.strict_json_schema
    found = await invoke(made, {"user_id": "ana", "query": "sushi"})
    assert [profile.content for profile in found.user_profiles] == ["likes sushi"]


async def test_openai_agents_with_the_search_over_everything(client: AsyncReflexioClient) -> None:
    found = await invoke(function_tool(client.search), {"query": "sushi", "user_id": "ana"})
    assert [profile.content for profile in found.profiles] == ["likes sushi"]


async def test_openai_agents_in_a_session(box: Sandbox, client: AsyncReflexioClient) -> None:
    await invoke(function_tool(client.for_session("s").search_user_profiles), {"user_id": "ana"})
    assert box.requests[-1].body["session_id"] == "s"


@pytest.mark.parametrize("make", [structured_tool, langchain_tool])
async def test_langchain(client: AsyncReflexioClient, make: Callable[[Any], Any]) -> None:
    made = make(client.search)
    assert made.name == "search"
    assert made.description.startswith("Profiles, user playbooks and agent playbooks nearest in meaning")
    assert "query" in made.tool_call_schema.model_json_schema()["required"]
    found = await made.ainvoke({"query": "sushi", "user_id": "ana"})
    assert [profile.content for profile in found.profiles] == ["likes sushi"]


async def test_pydantic_ai(box: Sandbox, client: AsyncReflexioClient) -> None:
    agent = Agent(TestModel(call_tools="all"), tools=[Tool(client.search), Tool(client.get_profiles)])
    output = json.loads((await agent.run("What does ana like?")).output)
    assert output["search"]["success"] is True
    assert {record.path for record in box.requests} == {"/api/search", "/api/get_profiles"}


async def test_a_described_field_is_described_to_the_model(client: AsyncReflexioClient) -> None:
    for schema in (
        function_tool(client.get_profiles).params_json_schema,
        Tool(client.get_profiles).function_schema.json_schema,
    ):
        assert schema["properties"]["force_refresh"]["description"] == "Ignore the cached response."


# --- every call


@pytest.mark.parametrize("call", TOOLS, ids=str)
def test_every_call_is_a_tool_of_openai_agents(call: Any) -> None:
    made = function_tool(call.bound, strict_mode=False)
    assert set(made.params_json_schema["properties"]) == set(call.parameters)
    if call.function.__qualname__ in FREE_FORM:
        with pytest.raises(UserError, match="additionalProperties"):
            function_tool(call.bound)
    else:
        assert function_tool(call.bound).strict_json_schema


@pytest.mark.parametrize("call", TOOLS, ids=str)
def test_every_call_is_a_tool_of_langchain(call: Any) -> None:
    for made in (structured_tool(call.bound), langchain_tool(call.bound)):
        assert made.name == call.function.__name__
        assert set(made.tool_call_schema.model_json_schema()["properties"]) == set(call.parameters)


@pytest.mark.filterwarnings("ignore:Could not generate return schema")  # of calls that return a handle
@pytest.mark.parametrize("call", TOOLS, ids=str)
def test_every_call_is_a_tool_of_pydantic_ai(call: Any) -> None:
    made: Any = Tool(call.bound)
    assert made.name == call.function.__name__
    assert set(made.function_schema.json_schema["properties"]) == set(call.parameters)
