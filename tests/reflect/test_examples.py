"""The programs in ``examples/reflect``: the vendor's patterns, run as they stand on a sandbox."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reflexio_async.sandbox import ReflectSettings, Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.slow  # each program imports the package

EXAMPLES = Path(__file__).parents[2] / "examples" / "reflect"
TESTED = {"conversation", "decorated", "graph_nodes", "single_task", "smoke_test"}


@pytest.fixture
async def box() -> AsyncGenerator[Sandbox]:
    async with Sandbox(reflect=ReflectSettings(ingest_seconds=0.01)) as box:
        yield box


async def run(box: Sandbox, name: str, *, key: str = "", code: int = 0) -> list[str]:
    """The lines that an example prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")),
        env={**os.environ, "REFLECT_API_URL": box.reflect_url, "REFLECT_API_KEY": key or box.reflect_key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == code, out.decode()
    return out.decode().splitlines()


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == TESTED


async def test_a_single_task_is_solved_with_the_lesson_of_the_one_before(box: Sandbox) -> None:
    assert await run(box, "single_task") == ["4 March 2025", "5 June 2025"]
    assert [memory.success for memory in box.reflect.memories()] == [False, True]
    first, second = box.reflect.traces()
    assert second.retrieved_memory_ids == [first.created_memory_id]


async def test_a_conversation_is_found_by_its_early_intent_and_remembered_by_its_late_one(
    box: Sandbox,
) -> None:
    assert await run(box, "conversation") == [
        "0 memories for: change the address of an order",
        "It is cancelled.",
        "1 memories for: change the address of an order",
        "It is cancelled. Here is a label for the return.",
        "2 memories that began as a change",
    ]
    first, second = box.reflect.traces()
    assert {trace.task for trace in (first, second)} == {"cancel an order that has left the warehouse"}
    assert second.metadata == {"channel": "chat", "action_types": ["cancel", "change"]}
    used = next(memory for memory in box.reflect.memories() if memory.id == first.created_memory_id)
    assert used.q_value == pytest.approx(0.55)  # by the small alpha of the judge


async def test_nodes_of_a_graph_share_a_trace(box: Sandbox) -> None:
    assert await run(box, "graph_nodes") == [
        "Answered with 0 memories.",
        "Answered with 0 memories.",
        "Answered with 1 memories.",
    ]
    first, second = box.reflect.traces()  # and none of "Hello"
    assert second.retrieved_memory_ids == [first.created_memory_id]


async def test_decorated_functions_send_their_runs(box: Sandbox) -> None:
    assert await run(box, "decorated") == ["2 + 2 is 4, says a model with 0 memories", "5", "1 memory: 2 + 3"]
    traces = {trace.task: trace for trace in box.reflect.traces()}
    assert traces["2 + 2"].metadata == {"agent": "adder"}
    assert (traces["2 + 3"].review_status, traces["2 + 3"].model) == ("reviewed", "none")


async def test_the_smoke_test_passes_where_a_passed_trace_is_found_by_a_similar_task(box: Sandbox) -> None:
    assert await run(box, "smoke_test") == ["PASS"]
    assert await run(box, "smoke_test") == ["PASS"]


async def test_the_smoke_test_says_what_is_wrong(box: Sandbox) -> None:
    [line] = await run(box, "smoke_test", key="wrong", code=1)
    assert line.startswith("FAIL: AuthenticationError: ")


async def test_the_smoke_test_says_that_no_memory_was_made() -> None:
    failing = ReflectSettings(fails=lambda _task, _attempt: True)
    async with Sandbox(reflect=failing) as box:
        [line] = await run(box, "smoke_test", code=1)
    assert line.startswith("FAIL: no memory was made of the trace: ")
