"""Whose process has ended: the others of its machine need not wait for the end of its lease."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflexioClient, JobTimeout
from reflexio_async.durable.leases import HeldLease
from reflexio_async.durable.process import has_ended, this_process
from reflexio_async.durable.rows import LaneKey
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.durable.store import Store
from reflexio_async.errors import LeaseLost
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.hang import A_HANG
from tests.scene import RERUN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells whether a process has ended"
)

LANE = LaneKey("http://server", "org", "profile_generation")
NAME = "from reflexio_async.durable.process import this_process; print(this_process(), flush=True); input()"


@pytest.fixture
def child() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process, and its name."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", NAME], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def test_a_process_that_runs_has_not_ended(child: tuple[subprocess.Popen[str], str]) -> None:
    assert not has_ended(this_process())
    assert not has_ended(child[1])


def test_a_process_that_is_stopped_has_not_ended(child: tuple[subprocess.Popen[str], str]) -> None:
    process, name = child
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    assert not has_ended(name)


def test_a_process_that_was_killed_has_ended(child: tuple[subprocess.Popen[str], str]) -> None:
    process, name = child
    process.kill()
    process.wait()
    assert has_ended(name)


def test_a_process_whose_parent_has_not_asked_for_its_end_has_ended(
    child: tuple[subprocess.Popen[str], str],
) -> None:
    process, name = child
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert has_ended(name)


@pytest.fixture
def dead() -> str:
    """The name of a process that had the number of this one, and has ended."""
    pid, started, space = this_process().split(" ")
    return f"{pid} {int(started) - 1} {space}"


def test_another_process_with_the_same_number_is_not_taken_for_it(dead: str) -> None:
    assert has_ended(dead)


@pytest.mark.parametrize(
    "name", ["", "1", "x y z", "999999999 1 pid:[1]/time:[1]", "-1 1 pid:[1]/time:[1]", "1 2 3 4"]
)
def test_what_cannot_be_told_is_no_end(name: str) -> None:
    assert not has_ended(name)


def test_a_number_that_no_process_can_have_is_no_end(dead: str) -> None:
    assert not has_ended(f"{10**30} {dead.partition(' ')[2]}")


# Leases


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    clock = VirtualClock()
    opened = Store(SQLiteDatabase(str(tmp_path / "r.db"), clock.now), clock)
    await opened.open()
    yield opened
    await opened.aclose()


def hand_over(path: str, process: str) -> None:
    """Let the lanes be held by ``process``."""
    with sqlite3.connect(path) as connection:
        connection.execute("update lane set process = ?", (process,))
    connection.close()


async def test_the_lease_of_a_process_that_has_ended_is_taken_at_once(store: Store, dead: str) -> None:
    assert await store.acquire(LANE, "one") is not None
    assert await store.acquire(LANE, "two") is None
    hand_over(store.database.name, dead)
    assert await store.acquire(LANE, "two", at_once=False) is None
    assert await store.acquire(LANE, "two") is not None


async def test_the_lease_of_a_process_in_another_container_is_waited_for(store: Store, dead: str) -> None:
    assert await store.acquire(LANE, "one") is not None
    hand_over(store.database.name, f"{dead.rpartition(' ')[0]} pid:[1]/time:[1]")
    assert await store.acquire(LANE, "two") is None


async def test_a_start_that_was_being_sent_is_waited_for(tmp_path: Path, dead: str) -> None:
    clock = VirtualClock()
    path = str(tmp_path / "r.db")
    async with Sandbox(clock=clock, rerun_seconds=30) as box:
        box.seed("u")
        options: dict[str, Any] = {"url_endpoint": box.url, "clock": clock, "store": path, "drain_timeout": 0}
        async with AsyncReflexioClient(**options) as client:
            job = await client.rerun_profile_generation(user_id="u")
        sent, began = len(box.requests), clock.now()
        with sqlite3.connect(path) as connection:  # as if it had been killed just after it has sent it
            row = "update job set state = 'starting', operation_id = null, intent_at = ?"
            connection.execute(row, (clock.time(),))
            lane = "update lane set holder = 'dead', lease_end = ?, process = ?"
            connection.execute(lane, (began + 15, dead))
        connection.close()
        async with AsyncReflexioClient(**options) as client:
            found = client.job(job.token or "")
            with pytest.raises(JobTimeout):
                await found.result(wait_timeout=14)
            assert len(box.requests) == sent
            assert (await found).profiles_generated == 1
        assert len(box.operations()) == 1


async def test_a_client_that_is_closed_while_a_start_is_sent_keeps_its_lane(tmp_path: Path) -> None:
    async with Sandbox() as box:
        box.seed("u")
        box.faults.add(faults.freeze(), path=RERUN, times=1)
        client = AsyncReflexioClient(url_endpoint=box.url, store=tmp_path / "r.db")
        starting = asyncio.create_task(client.rerun_profile_generation(user_id="u"))
        await box.arrived("POST", RERUN)
        await client.aclose(drain=False)
        await asyncio.wait([starting])
        async with AsyncReflexioClient(url_endpoint=box.url, store=tmp_path / "r.db") as other:
            (lane,) = [lane for lane in (await other.store.stats()).lanes if lane.name != "outbox"]
            assert lane.holder is not None


async def test_a_lease_that_ends_just_before_bytes_leave_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    check = HeldLease.check

    def over_at_the_last_look(held: HeldLease) -> None:
        looks.append(box.count("POST", RERUN))
        if len(looks) == 2:  # the first one is before the row is written
            message = "it has ended"
            raise LeaseLost(message)
        check(held)

    clock = VirtualClock()
    async with Sandbox(clock=clock) as box:
        box.seed("u")
        monkeypatch.setattr(HeldLease, "check", over_at_the_last_look)
        store = tmp_path / "r.db"
        async with AsyncReflexioClient(url_endpoint=box.url, clock=clock, store=store) as client:
            job = await client.rerun_profile_generation(user_id="u")
            assert (await job).success
        assert looks[1] == 0
        assert len(looks) > 2
        assert box.count("POST", RERUN) == 1


@pytest.mark.slow
async def test_after_kill_9_another_process_goes_on_before_the_lease_ends(tmp_path: Path) -> None:
    async with Sandbox(rerun_seconds=3) as box:
        box.seed("a")
        box.seed("b")
        store, lease = str(tmp_path / "r.db"), str(10 * A_HANG)
        program = ("-m", "tests.durable.rerunner", box.url, store, "batch", lease, "a,b")
        first = await asyncio.create_subprocess_exec(sys.executable, *program)
        await box.arrived("POST", RERUN)
        await asyncio.sleep(0.5)  # its start is answered
        first.kill()
        await first.wait()
        second = await asyncio.create_subprocess_exec(
            sys.executable, *program, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(second.communicate(), 2 * A_HANG)
        assert output.decode().split()[-1] == "finished"
        assert len(box.operations()) == 2


async def test_a_start_that_waits_for_an_outcome_to_be_written_is_not_sent_after_the_lease_was_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Sandbox(rerun_seconds=0.0) as box:
        for user in ("ana", "ben"):
            box.seed(user, "I like tea")
        async with AsyncReflexioClient(url_endpoint=box.url, store=tmp_path / "r.db") as client:
            writing = asyncio.Event()
            update_jobs = Store.update_jobs

            async def update(self: Store, *args: Any, **options: Any) -> list[bool]:
                if any("outcome" in values for _, values in args[1:]):
                    writing.set()
                    await asyncio.sleep(A_HANG)  # as long as the disk is full
                return await update_jobs(self, *args, **options)

            monkeypatch.setattr(Store, "update_jobs", update)
            await client.rerun_profile_generation(user_id="ana")
            starting = asyncio.create_task(client.rerun_profile_generation(user_id="ben"))
            await writing.wait()
            await asyncio.sleep(0.2)  # the start of ben waits for it
        await starting
        await asyncio.sleep(0.2)
        assert box.count("POST", RERUN) == 1
