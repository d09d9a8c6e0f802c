"""Starting, stopping and restarting."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING

import aiohttp
import pytest

from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.behaviour.wire import Wire
from tests.hang import A_HANG

if TYPE_CHECKING:
    from tests.sandbox.conftest import Opens


@pytest.mark.parametrize("clock", [None, VirtualClock(auto_advance=False)], ids=["real", "virtual"])
async def test_it_closes_while_requests_and_generations_run(
    clock: VirtualClock | None,
) -> None:
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as session:
        async with Sandbox(clock=clock, rerun_seconds=3600) as box:
            wire = Wire(box.url, session, clock)
            box.seed("a")
            box.faults.add(faults.freeze(), path="/health")
            box.faults.add(faults.delay(3600), path="/health/live")
            await wire.post("/api/rerun_profile_generation", user_id="a")
            waiting = [asyncio.create_task(wire.get(path)) for path in ("/health", "/health/live")]
            waiting.append(asyncio.create_task(wire.post("/api/manual_playbook_generation")))
            await box.arrived("GET", "/health")
            await box.arrived("GET", "/health/live")
            await box.arrived("POST", "/api/manual_playbook_generation")
            started = time.perf_counter()
        assert time.perf_counter() - started < 60
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, aiohttp.ClientError) for outcome in outcomes)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    gc.collect()  # a forgotten socket would warn, and a warning is an error


async def test_nothing_answers_once_it_is_closed() -> None:
    async with aiohttp.ClientSession() as session:
        async with Sandbox() as box:
            wire = Wire(box.url, session)
            await wire.get("/health")
        with pytest.raises(aiohttp.ClientError):
            await wire.get("/health")


async def test_a_restart_keeps_rows_and_leaves_a_running_operation_dead_in_its_slot(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened(rerun_seconds=10) as (box, wire):
        box.seed("a")
        url = box.url
        await wire.post("/api/rerun_profile_generation", user_id="a")
        await box.restart()
        assert box.url == url
        await clock.sleep(300)
        assert (await wire.operation())["status"] == "in_progress"
        await clock.sleep(301)
        assert (await wire.operation())["status"] == "failed"
        assert len(box.stored_requests) == 1


async def test_a_restart_without_data_is_a_new_server_at_the_same_url(opened: Opens) -> None:
    async with opened(logins={"ana@example.com": "right"}, api_key="key-1") as (box, wire):
        url, key = box.url, {"Authorization": "Bearer key-1"}
        box.seed("a")
        login = await wire.send("POST", "/token", data={"username": "ana@example.com", "password": "right"})
        await box.restart(keep_data=False)
        assert (box.url, len(box.stored_requests)) == (url, 0)
        token = {"Authorization": f"Bearer {login.json['api_key']}"}
        assert (await wire.send("GET", "/api/whoami", headers=token)).status == 401
        assert (await wire.send("GET", "/api/whoami", headers=key)).status == 200


async def test_a_restart_forgets_memory_and_continues_stored_work(opened: Opens, clock: VirtualClock) -> None:
    async with opened(evaluation_seconds=10.0, aggregation_seconds=10.0) as (box, wire):
        box.seed("a")
        regeneration = (await wire.post("/api/evaluations/regenerate", from_ts=0, to_ts=2**33)).json
        path = "/api/playbook_aggregation_operations"
        aggregation = (await wire.post(path, request_id="r", agent_version="v")).json
        await clock.sleep(6)
        await box.restart()
        assert (await wire.get(f"/api/evaluations/regenerate/{regeneration['job_id']}")).status == 404
        await clock.sleep(11)
        ended = (await wire.get(f"{path}/{aggregation['operation_id']}")).json
        assert (ended["status"], ended["attempts"]) == ("succeeded", 2)


async def test_two_sandboxes_share_nothing() -> None:
    async with Sandbox() as one, Sandbox() as other:
        one.seed("a")
        assert one.url != other.url
        assert not other.stored_requests


@pytest.mark.slow
async def test_idle_connections_are_closed_in_real_time() -> None:
    async with Sandbox(clock=VirtualClock(), keepalive_seconds=0.2) as box:
        host, port = box.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert await asyncio.wait_for(reader.read(), A_HANG)
        writer.close()
