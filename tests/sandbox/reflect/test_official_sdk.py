"""The sandbox with the official client: ``reflect-sdk`` 0.3.3 from PyPI, unchanged.

Each snippet runs in a process of its own, where ``client`` is the official client at the sandbox, ``plain``
and ``awaited`` call a method of it or its ``*_async`` twin, ``caught`` gives the error of a call, and
``report`` gives a value to the test.
"""

from __future__ import annotations

import asyncio
import json
import textwrap
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from reflexio_async.sandbox import ReflectSettings, Sandbox
from tests.environments import WHOLE_REFLECT_SDK

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = pytest.mark.real

_PRELUDE = """
import asyncio, dataclasses, json, sys
import httpx
from reflect_sdk import ReflectClient
from reflect_sdk.decorators import TraceResult, reflect_trace

URL, KEY = sys.argv[1:]
TURNS = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
client = ReflectClient(base_url=URL, api_key=KEY)
run = asyncio.run

def plain(method, *args, **kwargs):
    return getattr(client, method)(*args, **kwargs)

def awaited(method, *args, **kwargs):
    return run(getattr(client, method + "_async")(*args, **kwargs))

def caught(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except httpx.HTTPStatusError as error:
        return error.response.status_code
    except Exception as error:
        return [type(error).__name__, str(error)]

def report(value):
    print(json.dumps(value, default=dataclasses.asdict))
"""


ways = pytest.mark.parametrize("way", ["plain", "awaited"])


class RunsSDK(Protocol):
    """Runs a snippet against a sandbox; returns what it reported."""

    async def __call__(self, box: Sandbox, snippet: str) -> Any: ...


@pytest.fixture(scope="session")
def sdk_python() -> Path:
    return WHOLE_REFLECT_SDK.python()


@pytest.fixture
def sdk(sdk_python: Path) -> RunsSDK:
    async def runs(box: Sandbox, snippet: str) -> Any:
        program = _PRELUDE + textwrap.dedent(snippet)
        process = await asyncio.create_subprocess_exec(
            sdk_python,
            *("-c", program, box.reflect_url, box.reflect_key),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return json.loads(out)

    return runs


def sandbox(**settings: Any) -> Sandbox:
    return Sandbox(reflect=ReflectSettings(**settings))


@pytest.fixture
async def box() -> AsyncGenerator[Sandbox]:
    async with sandbox(ingest_seconds=0.01) as box:
        yield box


async def test_it_finds_the_server_healthy(sdk: RunsSDK, box: Sandbox) -> None:
    assert await sdk(box, "report(client.health())") == {"status": "ok"}


@ways
async def test_it_queries_memories(sdk: RunsSDK, box: Sandbox, way: str) -> None:
    seeded = box.reflect.seed_memory("sort a list", guidance="use sorted", q_value=0.9)
    box.reflect.seed_memory("walk the dog")
    [memory] = await sdk(box, f"report({way}('query_memories', 'sort a list', limit=5, lambda_=0.5))")
    assert (memory["id"], memory["q_value"], memory["similarity"]) == (seeded.id, 0.9, 1.0)
    assert (memory["score"], memory["success"]) == (pytest.approx(0.95), True)
    assert "use sorted" in memory["reflection"]


@ways
async def test_it_augments_a_task(sdk: RunsSDK, box: Sandbox, way: str) -> None:
    box.reflect.seed_memory("sort a list", guidance="use sorted", success=True)
    box.reflect.seed_memory("sort a list", guidance="not bubble sort", success=False)
    augmented = await sdk(box, f"report({way}('augment_with_memories', 'sort a list'))")
    text = augmented["augmented_task"]
    worked, failed = text.split("</memory>")[:2]
    assert 'outcome="success"' in worked
    assert "use sorted" in worked
    assert 'outcome="failure"' in failed
    assert "not bubble sort" in failed
    assert len(augmented["memories"]) == 2


@ways
@pytest.mark.parametrize("result", [None, "failure"])
async def test_it_submits_a_trace_without_waiting(
    sdk: RunsSDK, box: Sandbox, way: str, result: str | None
) -> None:
    sent = f"task='2 + 2', trajectory=TURNS, model='m', metadata={{'run': 1}}, review_result={result!r}"
    submission = await sdk(box, f"report({way}('create_trace', {sent}))")
    assert submission["ingest_status"] == "queued"
    [trace] = [*box.reflect.queued, *box.reflect.traces()]
    assert (trace.id, trace.model, trace.metadata) == (submission["id"], "m", {"run": 1})
    assert (trace.submitted and trace.submitted.result) == (result and "fail")


@ways
@pytest.mark.parametrize(("result", "success"), [("pass", True), ("failure", False)])
async def test_it_waits_for_the_memory_of_a_reviewed_trace(
    sdk: RunsSDK, box: Sandbox, way: str, result: str, *, success: bool
) -> None:
    sent = f"task='2 + 2', trajectory=TURNS, review_result={result!r}, poll_interval=0.01"
    trace = await sdk(box, f"report({way}('create_trace_and_wait', {sent}))")
    [memory] = box.reflect.memories()
    assert (trace["review_status"], trace["created_memory_id"]) == ("reviewed", memory.id)
    assert (trace["review"]["mode"], memory.success) == ("inline", success)


async def test_it_waits_for_an_unreviewed_trace_to_be_stored(sdk: RunsSDK, box: Sandbox) -> None:
    trace = await sdk(box, "report(client.create_trace_and_wait(task='2 + 2', trajectory=json.dumps(TURNS)))")
    assert (trace["review_status"], trace["final_response"]) == ("pending", "4")


async def test_its_wait_times_out(sdk: RunsSDK) -> None:
    async with sandbox(ingest_seconds=60.0) as box:
        snippet = """
            waiting = dict(task="2 + 2", trajectory=TURNS, poll_interval=0.02, wait_timeout=0.1)
            report(caught(client.create_trace_and_wait, **waiting))
        """
        name, _ = await sdk(box, snippet)
        assert name == "TimeoutError"


@ways
async def test_a_failed_ingest_raises_the_servers_message(sdk: RunsSDK, way: str) -> None:
    async with sandbox(failing_tasks={"2 + 2"}, ingest_error="no model") as box:
        sent = "task='2 + 2', trajectory=TURNS, review_result='pass'"
        reported = await sdk(box, f"report(caught({way}, 'create_trace_and_wait', {sent}))")
        assert reported == ["RuntimeError", "no model"]


async def test_it_lists_reads_and_reviews_traces(sdk: RunsSDK, box: Sandbox) -> None:
    snippet = """
        first = client.create_trace_and_wait(task="one", trajectory=TURNS, poll_interval=0.01)
        client.create_trace_and_wait(task="two", trajectory=TURNS, poll_interval=0.01)
        reviewed = client.review_trace(first.id, result="success", feedback_text="well done")
        report({
            "all": [trace.task for trace in client.list_traces()],
            "pending": [trace.task for trace in client.list_traces(review_status="pending")],
            "same": client.get_trace(first.id) == reviewed,
            "review": reviewed.review,
            "again": caught(client.review_trace, first.id, result="pass"),
            "unknown": caught(client.get_trace, "nowhere"),
        })
    """
    reported = await sdk(box, snippet)
    review = reported.pop("review")
    assert reported == {"all": ["two", "one"], "pending": ["two"], "same": True, "again": 409, "unknown": 404}
    assert (review["result"], review["mode"], review["feedback_text"]) == ("pass", "deferred", "well done")


async def test_it_manages_keys(sdk: RunsSDK, box: Sandbox) -> None:
    snippet = """
        made = client.create_api_key(label="ci", scopes=["memory:read"], environment="test")
        other = ReflectClient(base_url=URL, api_key=made.api_key)
        before = [other.query_memories("t"), caught(other.list_traces)]
        elsewhere = ReflectClient(base_url=URL, api_key=made.api_key, project_id="elsewhere")
        before.append(caught(elsewhere.query_memories, "t"))
        revoked = client.revoke_api_key(made.key.id)
        report({
            "before": before,
            "after": caught(other.query_memories, "t"),
            "listed": client.list_api_keys() == [revoked],
            "key": revoked,
        })
    """
    reported = await sdk(box, snippet)
    key = reported.pop("key")
    assert reported == {"before": [[], 403, 403], "after": 401, "listed": True}
    assert (key["label"], key["status"], key["environment"]) == ("ci", "revoked", "test")


async def test_it_bootstraps_a_project(sdk: RunsSDK, box: Sandbox) -> None:
    snippet = """
        asked = dict(base_url=URL, user_id="ana", project_id="my project")
        wrong = caught(ReflectClient.bootstrap, bootstrap_token="wrong", **asked)
        info = ReflectClient.bootstrap(bootstrap_token="sandbox-bootstrap", **asked)
        mine = ReflectClient(base_url=URL, api_key=info.api_key, project_id="my project")
        trace = mine.create_trace_and_wait(task="2 + 2", trajectory=TURNS, review_result="pass")
        [memory] = mine.query_memories("2 + 2")
        report([wrong, info.project_id, memory.id == trace.created_memory_id])
    """
    assert await sdk(box, snippet) == [403, "my project", True]


async def test_its_trace_context_submits_with_what_it_retrieved(sdk: RunsSDK, box: Sandbox) -> None:
    memory = box.reflect.seed_memory("2 + 2")
    snippet = """
        with client.trace("2 + 2", blocking=True) as ctx:
            ctx.set_output(trajectory=TURNS, result="pass")
        report(ctx.memory_ids)
    """
    assert await sdk(box, snippet) == [memory.id]
    assert memory.q_value == pytest.approx(0.65)


async def test_its_asynchronous_trace_context_submits_a_failure_on_an_exception(
    sdk: RunsSDK, box: Sandbox
) -> None:
    snippet = """
        async def agent():
            async with client.trace_async("2 + 2", blocking=True) as ctx:
                ctx.set_output(trajectory=TURNS)
                raise ValueError("the abacus broke")
        report(caught(lambda: run(agent())))
    """
    assert await sdk(box, snippet) == ["ValueError", "the abacus broke"]
    [memory] = box.reflect.memories()
    assert (memory.success, memory.lesson.key_mistake) == (False, "the abacus broke")


@pytest.mark.parametrize(
    ("define", "call"), [("def", "agent('2 + 2')"), ("async def", "run(agent('2 + 2'))")]
)
async def test_its_decorator_submits_what_an_agent_returns(
    sdk: RunsSDK, box: Sandbox, define: str, call: str
) -> None:
    snippet = f"""
        @reflect_trace(client, task=lambda question: question, blocking=True)
        {define} agent(ctx, question):
            return TraceResult(output="4", trajectory=TURNS, result="pass")
        report({call})
    """
    assert await sdk(box, snippet) == "4"
    assert [trace.task for trace in box.reflect.traces()] == ["2 + 2"]


async def test_its_decorator_submits_returned_text_as_the_trajectory(sdk: RunsSDK, box: Sandbox) -> None:
    snippet = """
        @reflect_trace(client, task="2 + 2", blocking=True)
        def agent(ctx):
            return "four"
        report(agent())
    """
    assert await sdk(box, snippet) == "four"
    [trace] = box.reflect.traces()
    assert trace.trajectory == [{"role": "assistant", "content": "four"}]


async def test_its_evaluation_loop_learns(sdk: RunsSDK, box: Sandbox) -> None:
    """An agent that believes the first memory, and is right when it is the good one."""
    task = "parse the date of the invoice"
    bad = box.reflect.seed_memory(task, guidance="guess the year", q_value=0.6)
    good = box.reflect.seed_memory(task, guidance="read the day before the month", q_value=0.5)
    snippet = f"""
        seen = []
        for _ in range(4):
            memories = client.augment_with_memories({task!r}, limit=20).memories
            believed = next(m for m in memories if m.id in {[bad.id, good.id]!r})
            seen.append(believed.id)
            client.create_trace_and_wait(
                task={task!r},
                trajectory=TURNS,
                retrieved_memory_ids=[believed.id],
                review_result="pass" if believed.id == {good.id!r} else "fail",
                poll_interval=0.01,
            )
        report(seen)
    """
    assert await sdk(box, snippet) == [bad.id, good.id, good.id, good.id]
    assert bad.q_value == pytest.approx(0.42)
    assert good.q_value == pytest.approx(1 - 0.5 * 0.7**3)
