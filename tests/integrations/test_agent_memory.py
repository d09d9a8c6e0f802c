"""What adapters share: an outbox that fails does not replace the answer of an agent."""

from __future__ import annotations

import logging
from typing import Any
from unittest.mock import AsyncMock

import pytest

from reflexio_async import (
    AsyncReflectClient,
    AsyncReflexioClient,
    ConfigurationError,
    InvalidRequest,
    ReflexioError,
    StoreError,
)
from reflexio_async.integrations.agent_memory import AgentMemory
from reflexio_async.testing import Sandbox


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (StoreError("the disk is full"), "the disk is full"),
        (InvalidRequest("what was said"), "InvalidRequest"),
    ],
)
async def test_a_turn_that_cannot_be_published_is_logged(
    error: ReflexioError, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:9") as client:
        with caplog.at_level(logging.ERROR, "reflexio_async"):
            await AgentMemory(client).publish(AsyncMock(add=AsyncMock(side_effect=error)), [])
    assert caplog.messages == [f"a turn was not published: {shown}"]


TURN = [{"role": "user", "content": "Where is sushi?"}, {"role": "assistant", "content": "At the harbour."}]


async def traced(box: Sandbox, messages: list[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
    """The traces that were sent for a turn."""
    async with AsyncReflexioClient(
        url_endpoint=box.url, reflect_url=box.reflect_url, reflect_api_key=box.reflect_key
    ) as client:
        memory = AgentMemory(client, user_id="ana", session_id="s1", **options)
        await memory.publish(memory.conversation(), messages)
    return [dict(each.body or {}) for each in box.requests if each.path == "/v1/projects/default/traces"]


async def test_a_judge_that_fails_is_reported_and_its_trace_is_sent_without_a_review(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_task: str, _answer: str) -> bool:
        raise LookupError

    async with Sandbox() as box:
        [trace] = await traced(box, TURN, judge=fail)
    assert "review" not in trace
    assert [record.message for record in caplog.records if "judge" in record.message] == [
        "the judge of a trace failed in the background: LookupError: "
    ]


async def test_a_turn_that_goes_on_is_not_traced() -> None:
    async with Sandbox() as box:
        assert await traced(box, TURN[:1], traces=True) == []


async def test_a_turn_in_which_the_user_asked_for_nothing_is_not_traced() -> None:
    async with Sandbox() as box:
        assert await traced(box, TURN[1:], traces=True) == []


async def test_the_trace_of_a_whole_conversation_is_that_of_its_last_turn() -> None:
    messages = [{"role": "system", "content": "Be brief."}, *TURN, {"role": "user", "content": "And tea?"}]
    async with Sandbox() as box:
        [trace] = await traced(box, [*messages, {"role": "assistant", "content": "Next door."}], traces=True)
    assert trace["task"] == "And tea?"
    assert [message["content"] for message in trace["trajectory"]] == ["And tea?", "Next door."]


async def test_the_options_of_recall_are_passed_on() -> None:
    async with (
        Sandbox() as box,
        AsyncReflexioClient(
            url_endpoint=box.url, reflect_url=box.reflect_url, reflect_api_key=box.reflect_key
        ) as client,
    ):
        memory = AgentMemory(
            client, user_id="ana", session_id="s1", preset="later", top_k=2, threshold=0.7, max_chars=500
        )
        context = await memory.recall(memory.conversation(), "sushi")
        bodies = {each.path: dict[str, Any](each.body or {}) for each in box.requests}
        assert (bodies["/api/search"]["top_k"], bodies["/api/search"]["threshold"]) == (2, 0.7)
        query = bodies["/v1/projects/default/memory/query"]
        assert (query["limit"], query["lambda"], query["similarity_threshold"]) == (2, 0.5, 0.5)
        assert context.max_chars == 500


async def test_a_run_whose_messages_cannot_be_read_keeps_its_own_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with AsyncReflexioClient(reflect_url="http://127.0.0.1:9") as client:
        memory = AgentMemory(client, user_id="ana", session_id="s1", traces=True)
        await memory.failed(memory.conversation(), [5], OSError())
    assert caplog.messages == ["a trace was not sent: InvalidRequest"]


async def test_a_judge_must_take_a_task_and_an_answer() -> None:
    judge: Any = len
    async with AsyncReflexioClient(reflect_url="http://127.0.0.1:9") as client:
        with pytest.raises(InvalidRequest, match="judge"):
            AgentMemory(client, judge=judge)


async def test_an_option_that_does_not_exist_is_an_error_that_names_the_one_meant() -> None:
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        with pytest.raises(ConfigurationError, match="no option max_char; did you mean max_chars"):
            AgentMemory(client, max_char=100)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("timeout", "fast", "timeout must be a finite number of seconds, not 'fast'"),
        ("timeout", 0, "timeout must be more than zero seconds, not 0"),
        ("max_chars", "all", "max_chars must be a whole number of at least 1, not 'all'"),
        ("top_k", "many", "top_k: "),
        ("top_k", 0, "top_k: "),
        ("threshold", 2, "threshold: "),
        ("user_id", 7, "user_id: "),
        ("session_id", ["s1"], "session_id: "),
        ("agent_version", None, "agent_version: "),
        ("source", "My App", "source: "),
        ("traces", "no", "traces must be True or False, not 'no'"),
        ("preset", "warm", "preset must be 'cold_start' or 'later', not 'warm'"),
        ("preset", [], "preset must be 'cold_start' or 'later', not []"),
    ],
)
def test_a_value_that_no_run_could_use_is_an_error_that_names_the_option(
    option: str, value: object, said: str
) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(ConfigurationError) as refused:
        AgentMemory(AsyncReflexioClient(url_endpoint="http://127.0.0.1:9"), **options)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("name", ["user_id", "session_id", "threshold", "judge"])
def test_an_option_that_may_be_absent_may_be_none(name: str) -> None:
    options: dict[str, Any] = {name: None}
    AgentMemory(AsyncReflexioClient(url_endpoint="http://127.0.0.1:9"), **options)


@pytest.mark.parametrize(
    ("client", "found"),
    [
        ("http://localhost:8061", "str"),
        (None, "NoneType"),
        (AsyncReflexioClient, "the class AsyncReflexioClient"),
        (AsyncReflectClient(base_url="http://127.0.0.1:9"), "AsyncReflectClient"),
    ],
)
def test_something_else_than_a_client_is_an_error_that_names_it(client: Any, found: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        AgentMemory(client, user_id="ana")
    assert str(refused.value) == f"client must be an AsyncReflexioClient, not {found}"
