"""Tests of the traces that an adapter sends. The class that tests an adapter derives from these."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient, ConfigurationError
from reflexio_async.testing import Sandbox, faults
from reflexio_async.testing.conformance import AdapterConformance

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from reflexio_async.integrations.agent_memory import MemoryOptions

QUESTION = "Where is sushi?"
LESSON = "Name the street as well."
TRACES = "/v1/projects/default/traces"
QUERIES = "/v1/projects/default/memory/query"


@asynccontextmanager
async def reflecting() -> AsyncGenerator[tuple[Sandbox, AsyncReflexioClient]]:
    """Make a sandbox with one memory, and a client that has both servers."""
    async with (
        Sandbox() as box,
        AsyncReflexioClient(
            url_endpoint=box.url, reflect_url=box.reflect_url, reflect_api_key=box.reflect_key
        ) as client,
    ):
        await client.reflect.create_trace_and_wait(
            task=QUESTION,
            trajectory="User: Where is sushi?\nAssistant: There.",
            review_result="fail",
            feedback_text=LESSON,
        )
        box.seed_profile("ana", "likes sushi")
        yield box, client


async def answers(prompt: str) -> str:
    """A model that has learned from the memory."""
    return "At the harbour, in Quay Street." if LESSON in prompt else "At the harbour."


def judge(task: str, answer: str) -> str:
    assert task == QUESTION
    return "pass" if "Street" in answer else "fail"


class AdapterWithTraces(AdapterConformance):
    """The tests. ``agent`` passes ``memory_options`` to the adapter."""

    options: MemoryOptions = {}  # noqa: RUF012  # replaced, not changed

    @property
    def memory_options(self) -> MemoryOptions:
        """The options of a test, with the timeout of the suite."""
        return {"timeout": self.recall_timeout, **self.options}

    async def test_a_run_is_traced_with_its_memories_and_the_review_of_the_judge(self) -> None:
        async with reflecting() as (box, client):
            [memory] = box.reflect.memories()
            before = memory.q_value
            self.options = {"judge": judge}
            assert "Street" in await self.agent(client, answers)("ana", "s1", QUESTION)
            await client.aclose()  # waits for the judge and for the outbox
            _, trace = box.reflect.traces()
            assert trace.task == QUESTION
            assert trace.retrieved_memory_ids == [memory.id]
            assert trace.metadata == {"session_id": "s1", "agent_version": "agent-v0"}
            [review] = [each.body for each in box.requests if each.path == TRACES][1:]
            assert review is not None
            assert review["review"] == {"result": "pass", "alpha": 0.1}
            [used] = [each for each in box.reflect.memories() if each.id == memory.id]
            assert used.q_value == pytest.approx(before + 0.1 * (1 - before))

    async def test_a_traced_run_searches_once(self) -> None:
        async with reflecting() as (box, client):
            self.options = {"traces": True}
            await self.agent(client, answers)("ana", "s1", QUESTION)
            await client.aclose()
            assert (box.count("POST", QUERIES), box.count("POST", "/api/search")) == (1, 1)
            assert len(box.reflect.traces()) == 2

    async def test_a_trace_has_what_was_said_and_not_what_was_recalled(self) -> None:
        async with reflecting() as (box, client):
            self.options = {"traces": True}
            ask = self.agent(client, answers)
            await ask("ana", "s1", "Hello")
            await ask("ana", "s1", QUESTION)
            await client.aclose()
            *_, body = [each.body for each in box.requests if each.path == TRACES]
            assert body is not None
            said = [(each["role"], each["content"]) for each in body["trajectory"]]
            assert said == [("user", QUESTION), ("assistant", "At the harbour, in Quay Street.")]

    async def test_without_the_option_no_trace_is_sent(self) -> None:
        async with reflecting() as (box, client):
            await self.agent(client, answers)("ana", "s1", QUESTION)
            await client.aclose()
            assert len(box.reflect.traces()) == 1

    async def test_neither_a_slow_judge_nor_a_server_in_error_holds_up_the_answer(self) -> None:
        async with reflecting() as (box, client):
            judging, over = asyncio.Event(), asyncio.Event()

            async def slow(_task: str, _answer: str) -> None:
                judging.set()
                await over.wait()

            box.faults.add(faults.internal_error(), path=TRACES, times=2)
            self.options = {"judge": slow}
            assert "harbour" in await self.agent(client, answers)("ana", "s1", QUESTION)
            async with asyncio.timeout(60):
                await judging.wait()
                over.set()

    async def test_traces_without_a_reflect_server_are_an_error_at_once(self) -> None:
        async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:9") as client:
            self.options = {"traces": True}
            with pytest.raises(ConfigurationError, match="reflect_url"):
                await self.agent(client, answers)("ana", "s1", QUESTION)
