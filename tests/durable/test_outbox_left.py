"""What a process has left in the outbox of a store is delivered by the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from reflexio_async import AsyncReflectClient, AsyncReflexioClient
from reflexio_async.durable import outbox
from reflexio_async.sandbox import faults
from reflexio_async.testing import Sandbox
from tests.hang import A_HANG, until
from tests.reflect.scene import MESSAGES, TRACES
from tests.scene import PUBLISH

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TURN = {"role": "user", "content": "I like tea"}


def options(box: Sandbox, folder: Path) -> dict[str, Any]:
    servers = {"url_endpoint": box.url, "reflect_url": box.reflect_url, "reflect_api_key": box.reflect_key}
    return {**servers, "store": folder / "r.db"}


async def leave_trace(box: Sandbox, folder: Path) -> None:
    async with AsyncReflexioClient(**options(box, folder)) as client:
        await client.reflect.create_trace_later(task="book a table", trajectory=MESSAGES)


async def test_a_client_that_has_nothing_to_publish_delivers_what_another_one_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_LOOK", 0.05)
    async with Sandbox() as box, AsyncReflexioClient(**options(box, tmp_path)) as client:
        await client.outbox.organisation()
        box.faults.add(faults.lost_before(), times=None)
        other = AsyncReflexioClient(**options(box, tmp_path))
        await other.publish_later("u", [TURN], session_id="s")
        await other.aclose(drain=False)
        box.faults.clear()
        await until(lambda: box.stored_requests)


async def test_a_trace_that_was_left_is_delivered_by_the_next_client(tmp_path: Path) -> None:
    async with Sandbox() as box:
        await leave_trace(box, tmp_path)
        async with AsyncReflexioClient(**options(box, tmp_path)):
            await asyncio.wait_for(box.arrived("POST", TRACES), A_HANG)


async def test_a_trace_that_was_left_is_delivered_by_the_next_reflect_client(tmp_path: Path) -> None:
    async with Sandbox() as box:
        await leave_trace(box, tmp_path)
        async with AsyncReflectClient(
            base_url=box.reflect_url, api_key=box.reflect_key, store=tmp_path / "r.db"
        ):
            await asyncio.wait_for(box.arrived("POST", TRACES), A_HANG)


async def test_a_trace_whose_sender_ended_before_the_answer_is_set_aside_and_not_sent_again(
    tmp_path: Path,
) -> None:
    async with Sandbox() as box:
        box.faults.add(faults.freeze(), method="POST", path=TRACES, times=1)
        client = AsyncReflexioClient(**options(box, tmp_path))
        await client.reflect.create_trace_later(task="book a table", trajectory=MESSAGES)
        await box.arrived("POST", TRACES)
        await client.aclose(drain=False)
        async with AsyncReflexioClient(**options(box, tmp_path)) as client:
            await client.reflect.outbox.drained()
            (row,) = await client.reflect.outbox.refused()
            assert "it may have arrived" in (row.reason or "")
        assert box.count("POST", TRACES) == 1


async def test_closing_waits_for_the_answer_to_a_trace_that_was_sent(tmp_path: Path) -> None:
    async with Sandbox() as box:
        box.faults.add(faults.delay(0.2), method="POST", path=TRACES)
        async with AsyncReflexioClient(**options(box, tmp_path)) as client:
            await client.reflect.create_trace_later(task="book a table", trajectory=MESSAGES)
            await box.arrived("POST", TRACES)
        async with AsyncReflexioClient(**options(box, tmp_path)) as client:
            assert (await client.store.stats()).outbox_waiting == 0


async def test_a_client_whose_store_is_empty_sends_nothing_when_it_is_opened(tmp_path: Path) -> None:
    async with Sandbox() as box, AsyncReflexioClient(**options(box, tmp_path)):
        await asyncio.sleep(0.1)
        assert not box.requests


async def test_a_publish_that_was_accepted_twice_has_one_handle(tmp_path: Path) -> None:
    async with Sandbox() as box, AsyncReflexioClient(**options(box, tmp_path)) as client:
        calls = [await client.publish_later("u", [TURN], session_id="s", request_id="r1") for _ in range(2)]
        first, second = await asyncio.gather(*calls)
        assert first == second
        assert box.count("POST", PUBLISH) == 1


async def test_a_client_that_signs_in_elsewhere_does_not_send_what_waits_for_its_first_organisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Sandbox(logins={"a@b.c": "one", "d@e.f": "two"}) as box:
        client = AsyncReflexioClient(**options(box, tmp_path))
        organisation = "first"

        async def ask() -> str:
            return organisation

        monkeypatch.setattr(client.outbox._accounts, "_ask", ask)
        async with client:
            await client.login("a@b.c", "one")
            box.faults.add(faults.status(503), method="POST", path=PUBLISH, times=None)
            await client.publish_later("u", [TURN], session_id="s", request_id="of-the-first")
            await box.arrived("POST", PUBLISH)
            organisation = "second"
            await client.login("d@e.f", "two")
            box.faults.clear()
            await (await client.publish_later("u", [TURN], session_id="s", request_id="of-the-second"))
            assert list(box.stored_requests) == ["of-the-second"]
