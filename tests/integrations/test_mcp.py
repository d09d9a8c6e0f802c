"""The MCP server and the command ``mcp``, driven by the official client."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.integrations.frameworks import require

require("mcp.server.mcpserver")

from mcp import Client
from mcp.client.stdio import StdioServerParameters

from reflexio_async import AsyncReflexioClient, ConfigurationError
from reflexio_async.integrations.mcp import memory_server
from reflexio_async.testing import Sandbox, faults
from tests.cli.commands import Process, Terminal
from tests.hang import A_HANG
from tests.integrations.run_traces import AdapterWithTraces

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from mcp.server.mcpserver import MCPServer

    from reflexio_async.integrations.agent_memory import MemoryOptions
    from reflexio_async.testing.conformance import Ask, Model


class TestServer(AdapterWithTraces):
    """An agent that calls both tools by the official client, as their descriptions say."""

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        servers: dict[tuple[str, str], MCPServer[Any]] = {}

        async def ask(user_id: str, session_id: str, question: str) -> str:
            key = (user_id, session_id)
            if key not in servers:
                # In a thread: mcp reads settings from the disk.
                options: MemoryOptions = {**self.memory_options, "user_id": user_id, "session_id": session_id}
                servers[key] = await asyncio.to_thread(memory_server, client, **options)
            async with Client(servers[key]) as agent:
                memory = await call(agent, "recall_memory", query=question)
                answer = await model(f"{memory}\n{question}")
                await call(agent, "remember_exchange", user_message=question, assistant_message=answer)
            return answer

        return ask


EXCHANGE = {"user_message": "Where is sushi?", "assistant_message": "At the harbour."}


@pytest.fixture
async def box() -> AsyncGenerator[Sandbox]:
    async with Sandbox() as box:
        box.seed_profile("ana", "likes sushi")
        box.seed_profile("ben", "likes ramen")
        yield box


@pytest.fixture
async def client(box: Sandbox) -> AsyncGenerator[AsyncReflexioClient]:
    async with AsyncReflexioClient(url_endpoint=box.url) as client:
        yield client


@pytest.fixture
def server(client: AsyncReflexioClient) -> MCPServer[Any]:
    """Made outside the event loop: mcp reads settings from the disk."""
    return memory_server(client, user_id="ana", timeout=A_HANG)


async def call(agent: Client, tool: str, **arguments: Any) -> str:
    result = await agent.call_tool(tool, arguments)
    assert not result.is_error, result
    [content] = result.content
    assert content.type == "text"
    return content.text


async def recall(agent: Client, query: str) -> str:
    """Ask until the command has not given up: it gives a recall one second, and the machine may be busy."""
    async with asyncio.timeout(A_HANG):
        while "Go on without it" in (memory := await call(agent, "recall_memory", query=query)):
            pass
    return memory


def published(box: Sandbox) -> list[dict[str, Any]]:
    requests = [each for each in box.requests if each.path == "/api/publish_interaction"]
    return [dict(each.body or {}) for each in requests if each.status == 200]


async def test_each_tool_says_when_to_call_it_and_what_it_does(server: MCPServer[Any]) -> None:
    async with Client(server) as agent:
        tools = {tool.name: tool for tool in (await agent.list_tools()).tools}
    assert tools.keys() == {"recall_memory", "remember_exchange", "list_facts", "forget_fact"}
    for tool in tools.values():
        assert "Call it" in (tool.description or "")
        for schema in tool.input_schema.get("properties", {}).values():
            assert schema["description"]
    read_only = {name for name, tool in tools.items() if tool.annotations and tool.annotations.read_only_hint}
    assert read_only == {"recall_memory", "list_facts"}
    assert tools["recall_memory"].input_schema["required"] == ["query"]
    assert tools["remember_exchange"].input_schema["required"] == list(EXCHANGE)


async def test_what_is_recalled_is_reported_when_the_exchange_is_remembered(
    client: AsyncReflexioClient, server: MCPServer[Any], box: Sandbox
) -> None:
    async with Client(server) as agent:
        recalled = await call(agent, "recall_memory", query="sushi")
        assert "likes sushi" in recalled
        assert "ramen" not in recalled
        await call(agent, "remember_exchange", **EXCHANGE)
    await client.outbox.drained()
    [body] = published(box)
    assert body["user_id"] == "ana"
    asked, answered = body["interaction_data_list"]
    assert (asked["content"], answered["content"]) == tuple(EXCHANGE.values())
    assert [each["kind"] for each in answered["retrieved_learnings"]] == ["profile"]


async def test_conversations_that_the_model_names_are_sessions_of_their_own(
    client: AsyncReflexioClient, server: MCPServer[Any], box: Sandbox
) -> None:
    async with Client(server) as agent:
        for number, name in enumerate(("", "trip", "trip", "work")):
            exchange = {"user_message": f"question {number}", "assistant_message": "answer"}
            await call(agent, "remember_exchange", conversation_name=name, **exchange)
    await client.outbox.drained()
    sessions = [body["session_id"] for body in published(box)]
    assert len(sessions) == 4
    assert len(set(sessions)) == 3


async def test_facts_are_listed_and_forgotten(server: MCPServer[Any], box: Sandbox) -> None:
    async with Client(server) as agent:
        [fact] = (await call(agent, "list_facts")).splitlines()
        fact_id, _, text = fact.partition(": ")
        assert text == "likes sushi"
        await call(agent, "forget_fact", fact_id=fact_id)
        assert await call(agent, "list_facts") == "No facts are known yet."
    assert [each.content for each in box.stored_profiles if each.user_id == "ben"] == ["likes ramen"]


async def test_each_fact_is_one_line(server: MCPServer[Any], box: Sandbox) -> None:
    box.seed_profile("ana", "likes tea\n1: hates tea")
    async with Client(server) as agent:
        assert len((await call(agent, "list_facts")).splitlines()) == 2


async def test_a_fact_that_the_user_does_not_have_is_not_said_to_be_forgotten(
    server: MCPServer[Any], box: Sandbox
) -> None:
    [of_ben] = [each.profile_id for each in box.stored_profiles if each.user_id == "ben"]
    async with Client(server) as agent:
        for fact_id in (of_ben, "nonsense"):
            assert (await agent.call_tool("forget_fact", {"fact_id": fact_id})).is_error


async def test_an_exchange_without_an_answer_is_not_said_to_be_remembered(server: MCPServer[Any]) -> None:
    async with Client(server) as agent:
        exchange = {"user_message": "Where is sushi?", "assistant_message": " "}
        assert (await agent.call_tool("remember_exchange", exchange)).is_error


async def test_a_server_that_is_away_does_not_fail_a_recall(server: MCPServer[Any], box: Sandbox) -> None:
    box.faults.add(faults.internal_error(), path="/api/search", times=None)
    async with Client(server) as agent:
        assert "Go on without it" in await call(agent, "recall_memory", query="sushi")


async def test_an_error_of_the_server_is_one_of_the_tool(server: MCPServer[Any], box: Sandbox) -> None:
    box.faults.add(faults.internal_error(), path="/api/get_profiles", times=None)
    async with Client(server) as agent:
        assert (await agent.call_tool("list_facts", {})).is_error


def test_a_server_without_a_user_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="user_id"):
        memory_server(AsyncReflexioClient())


@pytest.mark.slow
async def test_the_command_serves_standard_input_and_output(box: Sandbox, tmp_path: Path) -> None:
    command = ["-W", "error", "-m", "reflexio_async", "mcp", "--store", str(tmp_path / "r.db")]
    environment = {**os.environ, "REFLEXIO_API_URL": box.url, "REFLEXIO_USER_ID": "ana"}
    parameters = StdioServerParameters(command=sys.executable, args=command, env=environment)
    async with Client(parameters) as agent:
        assert "likes sushi" in await recall(agent, "sushi")
        await call(agent, "remember_exchange", **EXCHANGE)
    assert [body["user_id"] for body in published(box)] == ["ana"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize("transport", ["http", "stdio"])
async def test_the_command_stops_at_a_signal(transport: str, box: Sandbox) -> None:
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "reflexio_async",
        "mcp",
        "--user",
        "ana",
        "--url",
        box.url,
    ]
    process = subprocess.Popen(  # noqa: ASYNC220  # tests may block
        [*command, *(["--port", "0"] if transport == "http" else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if transport == "http":
            url = next(word for word in process.stderr.readline().split() if word.startswith("http"))
            async with Client(url) as agent:
                assert "likes sushi" in await recall(agent, "sushi")
        else:
            process.stdin.write('{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
            process.stdin.flush()
            assert process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(A_HANG) == (0 if transport == "http" else 143)
        assert process.stdout.read() == ""
        assert process.stderr.read() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_ctrl_c_on_a_terminal_ends_it() -> None:
    shown = Terminal("mcp", "--user", "ana", "--port", "0")
    shown.wait_for("(Ctrl-C to stop)")
    shown.type("\x03")
    assert shown.end() == 0
    assert "Traceback" not in shown.text


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_a_signal_right_after_its_address_ends_it() -> None:
    process = Process("mcp", "--user", "ana", "--port", "0", "--json")
    try:
        assert process.child.stdout is not None
        assert "http://127.0.0.1:" in process.child.stdout.readline()
        process.signal(signal.SIGINT)
        exit_code, _, err = process.end()
    finally:
        process.child.kill()
    assert exit_code == 0
    assert "Traceback" not in err
