"""The two servers of one sandbox share its faults, records and clock."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest

from reflexio_async.sandbox import ReflectSettings, Sandbox, faults
from tests.sandbox.reflect.wire import PASSED, ReflectWire

if TYPE_CHECKING:
    from reflexio_async.sandbox import VirtualClock
    from tests.sandbox.conftest import Opens
    from tests.sandbox.reflect.conftest import Reflects


async def test_the_servers_listen_on_ports_of_their_own(opened: Opens) -> None:
    async with opened() as (box, wire):
        reflect = ReflectWire(box, wire.session, wire.clock)
        assert box.url != box.reflect_url
        assert (await wire.get("/v1/projects/default/traces")).status == 404
        assert (await reflect.get("/api/whoami")).status == 404


async def test_a_record_names_its_server(opened: Opens) -> None:
    async with opened() as (box, wire):
        await wire.get("/health")
        await ReflectWire(box, wire.session, wire.clock).get("/health")
        assert [record.service for record in box.requests] == ["reflexio", "reflect"]


async def test_faults_strike_both_servers(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        fault = wire.box.faults.add(faults.status(503), path=wire.at("/traces"))
        assert (await wire.submit()).status == 503
        assert (await wire.submit()).status == 200
        assert fault.hits == 1


async def test_a_submission_whose_answer_is_lost_is_stored(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        wire.box.faults.add(faults.answer_lost(), method="POST", path=wire.at("/traces"))
        with pytest.raises(aiohttp.ClientError):
            await wire.submit()
        assert len(wire.box.reflect.queued) + len(wire.box.reflect.traces()) == 1


async def test_requests_to_both_servers_are_counted_and_awaited(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        submitting = asyncio.create_task(wire.submit())
        await wire.box.arrived("POST", wire.at("/traces"))
        await submitting
        assert wire.box.count("POST", wire.at("/traces"), 200) == 1


async def test_the_port_is_an_option(clock: VirtualClock) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with Sandbox(clock=clock, reflect_port=port) as box:
        assert box.reflect_url == f"http://127.0.0.1:{port}"


async def test_a_port_that_is_taken_leaves_nothing_open(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as one:
        port = int(one.reflect_url.rpartition(":")[2])
        other = Sandbox(clock=clock, reflect_port=port)
        with pytest.raises(OSError, match="address already in use"):
            await other.start()
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectionError):
                await session.get(other.url)


async def test_seeded_memories_are_found_and_readable(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        seeded = wire.box.reflect.seed_memory("sort a list", guidance="use sorted", q_value=0.9, success=None)
        [found] = await wire.query("sort a list")
        assert (found["id"], found["guidance"], found["success"]) == (seeded.id, "use sorted", None)
        assert wire.box.reflect.memories() == [seeded]


async def test_stored_rows_are_readable(reflecting: Reflects) -> None:
    async with reflecting(ingest_seconds=1.0) as wire:
        stored = await wire.stored("one", review=PASSED)
        queued = await wire.submitted("two")
        assert [trace.id for trace in wire.box.reflect.traces()] == [stored["id"]]
        assert [trace.id for trace in wire.box.reflect.queued] == [queued]
        assert (wire.box.reflect.traces("other"), wire.box.reflect.memories("other")) == ([], [])


async def test_secrets_are_not_in_the_settings_repr() -> None:
    shown = repr(ReflectSettings(master_key="very-secret", bootstrap_token="as-secret"))
    assert "secret" not in shown


async def test_hundreds_of_traces_at_once_all_end(reflecting: Reflects, clock: VirtualClock) -> None:
    async with reflecting(ingest_seconds=30.0) as wire:
        tasks = [f"task {number}" for number in range(300)]
        ids = await asyncio.gather(*(wire.submitted(task, review=PASSED) for task in tasks))
        await clock.sleep(31)
        traces = await asyncio.gather(*(wire.trace(trace_id) for trace_id in ids))
        assert [trace.json["task"] for trace in traces if trace.json["review_status"] == "reviewed"] == tasks
