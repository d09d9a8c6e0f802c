"""A trajectory may be plain text. It is sent as it is, by every way to send a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflectClient, TraceContext, TraceCreate, TraceResult, reflect_trace
from tests.reflect.scene import scene
from tests.transport.servers import raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TASK = "count the rows of the orders table"
TEXT = f"User: {TASK}\nAssistant: 42"


async def by_create_trace(client: AsyncReflectClient) -> None:
    await client.create_trace(task=TASK, trajectory=TEXT)


async def by_a_mapping(client: AsyncReflectClient) -> None:
    await client.create_trace({"task": TASK, "trajectory": TEXT})


async def by_a_model(client: AsyncReflectClient) -> None:
    await client.create_trace(TraceCreate(task=TASK, trajectory=TEXT))


async def by_create_trace_and_wait(client: AsyncReflectClient) -> None:
    await client.create_trace_and_wait(task=TASK, trajectory=TEXT)


async def by_a_batch(client: AsyncReflectClient) -> None:
    report = await client.create_traces_many([{"task": TASK, "trajectory": TEXT}])
    assert report.ok


async def by_a_block(client: AsyncReflectClient) -> None:
    async with client.trace(TASK) as ctx:
        ctx.set_output(trajectory=TEXT)


async def by_an_opened_trace(client: AsyncReflectClient) -> None:
    ctx = await client.open_trace(TASK)
    ctx.set_output(trajectory=TEXT)
    await ctx.close()


async def by_a_trace_result(client: AsyncReflectClient) -> None:
    @reflect_trace(client)
    async def answer(_ctx: TraceContext, _question: str) -> TraceResult[int]:
        return TraceResult(42, TEXT)

    assert await answer(TASK) == 42


async def by_returned_text(client: AsyncReflectClient) -> None:
    @reflect_trace(client, task=TASK)
    async def answer(_ctx: TraceContext) -> str:
        return TEXT

    assert await answer() == TEXT


WAYS: list[Callable[[AsyncReflectClient], Awaitable[None]]] = [
    by_create_trace,
    by_a_mapping,
    by_a_model,
    by_create_trace_and_wait,
    by_a_batch,
    by_a_block,
    by_an_opened_trace,
    by_a_trace_result,
    by_returned_text,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_text_is_sent_as_it_is(way: Callable[[AsyncReflectClient], Awaitable[None]]) -> None:
    async with scene() as s:
        await way(s.client)
        assert s.trajectories() == [TEXT]


@pytest.mark.parametrize("text", ["", "[1, 2]", "null"], ids=repr)
async def test_a_function_may_return_any_text(text: str) -> None:
    async with scene() as s:

        @reflect_trace(s.client, task=TASK)
        async def answer(_ctx: TraceContext) -> str:
            return text

        assert await answer() == text
        assert s.trajectories() == [text]


async def test_a_memory_is_made_of_a_trace_with_text() -> None:
    async with scene() as s:
        trace = await s.client.create_trace_and_wait(task=TASK, trajectory=TEXT, review_result="pass")
        [memory] = await s.client.query_memories(TASK)
        assert (memory.id, trace.final_response) == (trace.created_memory_id, TEXT)


@pytest.mark.parametrize(
    "returned", [TEXT, [{"role": "assistant", "content": TEXT}]], ids=["text", "message"]
)
async def test_a_stored_text_is_read_as_one_message(returned: Any) -> None:
    trace = {"id": "t", "task": TASK, "review_status": "pending", "trajectory": returned}
    async with (
        raw_server(sequence(reply_with(trace))) as server,
        AsyncReflectClient(base_url=server.url) as client,
    ):
        assert (await client.get_trace("t")).trajectory == [{"role": "assistant", "content": TEXT}]
