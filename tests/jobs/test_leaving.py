"""Leaving ``async with`` in the middle of anything leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflexioClient, JobTimeout
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.scene import PUBLISH, RERUN, STATUS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Client = AsyncReflexioClient
TURNS = [{"content": "I like tea"}]


async def in_the_middle_of_a_publish(client: Client) -> None:
    await client.publish_interaction(user_id="frozen", session_id="s", interactions=TURNS)


async def in_the_middle_of_a_start(client: Client) -> None:
    await client.rerun_playbook_generation()


async def while_awaiting_a_job(client: Client) -> None:
    await (await client.rerun_profile_generation(user_id="slow"))


async def while_a_start_is_queued(client: Client) -> None:
    await asyncio.gather(*(client.rerun_profile_generation(user_id="slow") for _ in range(5)))
    await asyncio.sleep(3600)


async def while_watching(client: Client) -> None:
    async for _ in (await client.rerun_profile_generation(user_id="slow")).watch():
        pass


async def while_a_batch_runs(client: Client) -> None:
    await client.rerun_profiles_many([f"slow-{number}" for number in range(50)])


async def while_a_batch_is_streamed(client: Client) -> None:
    async with client.rerun_profiles_many(f"slow-{number}" for number in range(50)) as batch:
        async for _ in batch:
            pass


async def while_publishes_are_frozen(client: Client) -> None:
    await client.publish_many(
        {"user_id": "frozen", "session_id": "s", "interactions": TURNS} for _ in range(50)
    )


async def while_a_background_call_is_under_way(client: Client) -> None:
    await client.manual_profile_generation(user_id="slow")
    await asyncio.sleep(3600)


async def while_learning_is_awaited(client: Client) -> None:
    await client.learning("unknown-yet")


def _is_the_servers(task: asyncio.Task[Any]) -> bool:
    """The sandbox runs on the same loop, and goes on."""
    return "RequestHandler" in repr(task) or "/sandbox/" in repr(task)


@pytest.mark.parametrize("drain", [True, False], ids=["leaving", "by an exception"])
@pytest.mark.parametrize(
    "moment",
    [
        in_the_middle_of_a_publish,
        in_the_middle_of_a_start,
        while_awaiting_a_job,
        while_a_start_is_queued,
        while_watching,
        while_a_batch_runs,
        while_a_batch_is_streamed,
        while_publishes_are_frozen,
        while_a_background_call_is_under_way,
        while_learning_is_awaited,
    ],
    ids=lambda moment: moment.__name__,
)
async def test_nothing_is_left(moment: Callable[[Client], Awaitable[Any]], *, drain: bool) -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, rerun_seconds=1000.0) as box:
        for user in ("slow", *(f"slow-{number}" for number in range(50))):
            box.seed(user)
        box.faults.add(faults.freeze(), path=PUBLISH, times=None)
        box.faults.add(faults.freeze(), path="/api/rerun_playbook_generation", times=None)
        box.faults.add(faults.status(200, {"status": "pending"}), path="/api/learning_status", times=None)
        before = asyncio.all_tasks()
        client = AsyncReflexioClient(url_endpoint=box.url, clock=clock, drain_timeout=2.0)
        task = asyncio.ensure_future(moment(client))
        await clock.sleep(5.0)
        assert not task.done()
        await client.aclose(drain=drain)
        task.cancel()
        await asyncio.wait([task])
        left = asyncio.all_tasks() - before
        assert [task for task in left if not _is_the_servers(task)] == []


def _timers() -> list[str]:
    """The timers that an event loop still has to run, but for those of the sandbox's HTTP server."""
    gc.collect()
    # Not by isinstance: that loads the lazy settings of Django, which other tests import.
    handles = [each for each in gc.get_objects() if type(each) is asyncio.TimerHandle]
    shown = [repr(handle) for handle in handles if not handle.cancelled()]
    return [text for text in shown if "RequestHandler" not in text]


@pytest.mark.parametrize("drain", [True, False], ids=["leaving", "by an exception"])
async def test_a_closed_client_leaves_no_timer_on_the_loop(*, drain: bool) -> None:
    async with Sandbox(rerun_seconds=0.1) as box:
        box.seed("ana", "I like tea")
        box.faults.add(faults.status(200, {"status": "pending"}), path="/api/learning_status", times=None)
        before = _timers()
        client = AsyncReflexioClient(url_endpoint=box.url, drain_timeout=1.0)
        await client.get_interactions(user_id="ana")
        job = await client.rerun_profile_generation(user_id="ana")
        waits = [
            asyncio.ensure_future(work)
            for work in (
                job.result(wait_timeout=500.0),
                client.learning("r1").result(poll_interval=100.0, wait_timeout=500.0),
                client.rerun_profiles_many(["ana", "bob"]).run(),
            )
        ]
        await asyncio.sleep(0.05)
        assert len(_timers()) > len(before)
        await client.aclose(drain=drain)
        await asyncio.gather(*waits, return_exceptions=True)
        assert _timers() == before


@pytest.mark.parametrize("drain", [True, False], ids=["leaving", "by an exception"])
async def test_a_closed_client_leaves_no_timer_on_a_virtual_clock(*, drain: bool) -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, rerun_seconds=1000.0) as box:
        box.seed("ana", "I like tea")
        box.faults.add(faults.status(200, {"status": "pending"}), path="/api/learning_status", times=None)
        client = AsyncReflexioClient(url_endpoint=box.url, clock=clock, drain_timeout=2.0)
        job = await client.rerun_profile_generation(user_id="ana")
        waits = [asyncio.ensure_future(each.result()) for each in (job, client.learning("r1"))]
        await clock.sleep(5.0)
        await client.aclose(drain=drain)
        await asyncio.gather(*waits, return_exceptions=True)
        await clock.sleep(2000.0)  # the rerun ends at the server
        assert clock.pending == 0


async def test_no_entry_is_kept_for_a_wait_timeout_or_an_interval() -> None:
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:9") as client:

        def use(number: int) -> None:
            client.with_options(wait_timeout=600.0 + number, poll_interval=1.0 + number).learning("r1")
            client.with_options(timeout=600.0 + number).reflect.with_options(wait_timeout=60.0 + number)

        use(0)
        gc.collect()
        before = len(gc.get_objects())
        for number in range(500):
            use(number)
        gc.collect()
        assert len(gc.get_objects()) - before < 50


async def test_no_entry_is_kept_for_the_interval_of_a_wait_that_ended() -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, rerun_seconds=1e6) as box:
        box.seed("ana", "I like tea")
        async with AsyncReflexioClient(url_endpoint=box.url, clock=clock, drain_timeout=0.0) as client:
            job = await client.rerun_profile_generation(user_id="ana")

            for number in range(20):
                with pytest.raises(JobTimeout):
                    await job.result(poll_interval=10.0 + number, wait_timeout=1.0 + number)
            [lane] = client._engine.jobs.lanes
            assert len(lane.slot._subscriptions) == 0


async def test_closing_twice_is_harmless() -> None:
    async with Sandbox() as box:
        client = AsyncReflexioClient(url_endpoint=box.url)
        await client.whoami()
        assert (await client.aclose()).complete
        assert (await client.aclose()).complete


async def test_a_client_that_was_never_used_closes_without_a_connection() -> None:
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:9") as client:
        assert repr(client) == "AsyncReflexioClient('http://127.0.0.1:9')"


async def test_a_drained_client_has_asked_for_what_it_had_to() -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, rerun_seconds=3.0) as box:
        box.seed("slow")
        async with AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
            for _ in range(3):
                await client.rerun_profile_generation(user_id="slow")
        assert box.count("POST", RERUN, 200) == 3
        assert box.count("GET", STATUS) > 0


PROGRAM = """
import asyncio
from reflexio_async import AsyncReflexioClient, JobTimeout
from reflexio_async.sandbox import Sandbox

async def main():
    async with Sandbox() as box:
        users = [f"user-{number}" for number in range(20)]
        for user in users:
            box.seed(user)
        async with AsyncReflexioClient(url_endpoint=box.url) as client:
            report = await client.rerun_profiles_many(users)
        assert report.ok and len(report) == 20

"""


@pytest.mark.slow
@pytest.mark.parametrize("run", ["asyncio.run(main())", "import uvloop; uvloop.run(main())"])
def test_a_program_runs_clean_on_either_loop_with_every_warning_an_error(run: str) -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM + run]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
