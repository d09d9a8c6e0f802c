"""Which calls are sent twice, and the errors when it is unknown whether a request arrived."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    AsyncReflectClient,
    RetryPolicy,
    ServerError,
    UnexpectedResponse,
)
from reflexio_async.reflect.api import ReflectAPI
from reflexio_async.sandbox import faults
from tests.reflect.scene import TRACES, scene
from tests.transport.servers import HANG_UP, closed_port, crash, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import Callable

ONCE: dict[str, Callable[[AsyncReflectClient], Any]] = {
    "create_trace": lambda client: client.create_trace(task="t", trajectory=[]),
    "create_trace_and_wait": lambda client: client.create_trace_and_wait(task="t", trajectory=[]),
    "create_memory": lambda client: client.create_memory(task="t", summary="s", guidance="g", result="pass"),
    "review_trace": lambda client: client.review_trace("t", result="pass"),
    "create_skill": lambda client: client.create_skill(),
    "create_api_key": lambda client: client.create_api_key(label="l", scopes=["s"]),
}
REPEATED: dict[str, Callable[[AsyncReflectClient], Any]] = {
    "health": lambda client: client.health(),
    "query_memories": lambda client: client.query_memories("t"),
    "augment_with_memories": lambda client: client.augment_with_memories("t"),
    "list_traces": lambda client: client.list_traces(),
    "learning_report": lambda client: client.learning_report(),
    "get_trace": lambda client: client.get_trace("t"),
    "get_skill": lambda client: client.get_skill(),
    "list_api_keys": lambda client: client.list_api_keys(),
    "delete_traces": lambda client: client.delete_traces(["t"]),
    "revoke_api_key": lambda client: client.revoke_api_key("k"),
    "delete_project": lambda client: client.delete_project(),
}
TRACE = {"id": "t", "task": "t", "review_status": "pending"}
KEY = {"id": "k", "public_id": "p", "label": "l"}
REPLIES: dict[str, Any] = {
    "health": {},
    "query_memories": [],
    "augment_with_memories": [],
    "list_traces": [],
    "learning_report": [],
    "get_trace": TRACE,
    "get_skill": {},
    "list_api_keys": [],
    "delete_traces": {},
    "revoke_api_key": KEY,
    "delete_project": {},
}
QUICK = RetryPolicy(max_attempts=4, base_delay=0.001, max_delay=0.002)


def test_every_call_is_in_one_of_the_tables() -> None:
    calls = {name for name, value in vars(ReflectAPI).items() if inspect.iscoroutinefunction(value)}
    public = {name.removesuffix("_async") for name in calls if not name.startswith("_")}
    assert public == {*ONCE, *REPEATED}


@pytest.mark.parametrize("name", ONCE)
@pytest.mark.parametrize("reply", [HANG_UP, crash()], ids=["no answer", "500"])
async def test_a_call_that_is_not_repeatable_is_sent_once(name: str, reply: Any) -> None:
    async with (
        raw_server(sequence(then=reply)) as server,
        AsyncReflectClient(base_url=server.url, retry=QUICK) as client,
    ):
        with pytest.raises((APIConnectionError, ServerError)) as caught:
            await ONCE[name](client)
    assert getattr(caught.value, "outcome_unknown", None) is True
    assert len(server.arrived) == 1


@pytest.mark.parametrize("name", REPEATED)
@pytest.mark.parametrize("reply", [HANG_UP, crash()], ids=["no answer", "500"])
async def test_a_repeatable_call_is_retried(name: str, reply: Any) -> None:
    async with (
        raw_server(sequence(reply, reply, then=reply_with(REPLIES[name]))) as server,
        AsyncReflectClient(base_url=server.url, retry=QUICK) as client,
    ):
        await REPEATED[name](client)
    assert len(server.arrived) == 3


@pytest.mark.parametrize("name", ONCE)
async def test_any_call_that_was_not_sent_is_retried(name: str) -> None:
    retries: list[Any] = []
    url = f"http://127.0.0.1:{closed_port()}"
    async with AsyncReflectClient(base_url=url, retry=QUICK, on_retry=retries.append) as client:
        with pytest.raises(APIConnectionError) as caught:
            await ONCE[name](client)
    assert (caught.value.outcome_unknown, len(retries)) == (False, 3)


async def test_after_a_lost_response_the_outcome_of_a_trace_is_unknown() -> None:
    async with scene() as s:
        s.box.faults.add(faults.answer_lost(), method="POST", path=TRACES)
        with pytest.raises(APIConnectionError) as caught:
            await s.client.create_trace(task="t", trajectory=[])
        assert caught.value.outcome_unknown
        await s.clock.sleep(1)
        assert (s.sent(), len(s.box.reflect.traces())) == (1, 1)


async def test_after_a_response_of_another_shape_the_outcome_of_a_trace_is_unknown() -> None:
    async with scene() as s:
        s.box.faults.add(faults.broken_json(), method="POST", path=TRACES)
        with pytest.raises(UnexpectedResponse) as caught:
            await s.client.create_trace(task="t", trajectory=[])
        assert caught.value.outcome_unknown
        assert s.sent() == 1


async def test_a_trace_waits_for_a_rate_limit() -> None:
    async with scene() as s:
        s.box.faults.add(
            faults.status(429, {"detail": "slow down"}, headers={"Retry-After": "3"}), method="POST"
        )
        await s.client.create_trace(task="t", trajectory=[])
        assert s.clock.now() >= 3


async def test_a_cancelled_trace_is_not_sent_again() -> None:
    async with scene() as s:
        s.box.faults.add(faults.freeze(), method="POST", path=TRACES)
        sending = asyncio.create_task(s.client.create_trace(task="t", trajectory=[]))
        await s.box.arrived("POST", TRACES)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await s.clock.sleep(100)
        assert s.sent() == 1


async def test_the_outcome_of_a_review_can_be_looked_up() -> None:
    async with scene() as s:
        trace = await s.client.create_trace_and_wait(task="t", trajectory=[])
        s.box.faults.add(faults.answer_lost(), method="POST", path=f"{TRACES}/{trace.id}/review")
        with pytest.raises(APIConnectionError) as caught:
            await s.client.review_trace(trace.id, result="pass")
        assert caught.value.outcome_unknown
        assert (await s.client.wait_for_trace(trace.id, require_reviewed=True)).created_memory_id is not None
