"""Processes are killed and frozen while they rerun users: every user is started exactly once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from reflexio_async.testing import Sandbox, faults
from tests.durable.windows import refused, shorten_windows
from tests.scene import RERUN

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

USERS = int(os.environ.get("RERUNS", "200"))
LEASE = 0.6  # seconds


class Rerunner:
    """A process with ``tests.durable.rerunner``."""

    def __init__(self, url: str, store: Path, users: list[str], lease: float = LEASE) -> None:
        self.store = store
        self._arguments = (url, str(store), "batch", str(lease), ",".join(users))
        self.process: asyncio.subprocess.Process
        self.lines: list[str] = []

    async def start(self) -> Rerunner:
        program = (sys.executable, "-m", "tests.durable.rerunner", *self._arguments)
        self.process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
        self._reading = asyncio.create_task(self._read())
        return self

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().strip())

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.ended()

    async def freeze(self) -> None:
        """Stop the process between two writes: one that is in the middle of a write stops all others."""
        while True:
            self.process.send_signal(signal.SIGSTOP)
            if await asyncio.to_thread(is_writable, self.store):
                return
            self.process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.01)

    async def ended(self) -> int:
        code = await self.process.wait()
        await self._reading
        return code

    @property
    def states(self) -> Counter[str]:
        return Counter(line.split()[1] for line in self.lines if " " in line)


def is_writable(store: Path) -> bool:
    """Whether no process is in the middle of a write."""
    with closing(sqlite3.connect(store, timeout=0.2)) as connection, suppress(sqlite3.OperationalError):
        connection.execute("begin immediate")
        return True
    return False


def started(box: Sandbox) -> Counter[str]:
    """How often the server has begun a rerun of each user."""
    return Counter(operation.params["user_id"] for operation in box.operations())


def seeded(box: Sandbox, count: int = USERS) -> list[str]:
    users = [f"u{number}" for number in range(count)]
    for user in users:
        box.seed(user)
    return users


async def test_a_client_that_is_killed_again_and_again_starts_every_user_once(tmp_path: Path) -> None:
    chance = random.Random(5)  # noqa: S311  # the same moments in every run
    store = tmp_path / "r.db"
    async with Sandbox(rerun_seconds=0.01) as box:
        users = seeded(box)
        # The answer to a start comes late: the kill below meets the time between admission and answer.
        box.faults.add(faults.delay(0.02, after_effect=True), path=RERUN, times=None)
        for number in range(3):
            rerunner = await Rerunner(box.url, store, users).start()
            await box.arrived("POST", RERUN, box.count("POST", RERUN) + 5 + number)
            await asyncio.sleep(0.005)
            await rerunner.kill()
        for _ in range(10):
            rerunner = await Rerunner(box.url, store, users).start()
            await box.arrived("POST", RERUN, box.count("POST", RERUN) + 1)
            await asyncio.sleep(chance.uniform(0, 0.5))
            await rerunner.kill()
        rerunner = await Rerunner(box.url, store, users).start()
        assert await rerunner.ended() == 0
        assert rerunner.states == {"completed": USERS}
        assert started(box) == Counter(users)


async def test_two_processes_share_a_file_and_its_quota(tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    async with Sandbox(rerun_seconds=0.01) as box:
        users = seeded(box)
        both = [await Rerunner(box.url, store, users).start() for _ in range(2)]
        assert [await each.ended() for each in both] == [0, 0]
        assert [each.states for each in both] == [{"completed": USERS}] * 2
        assert started(box) == Counter(users)


async def test_a_process_that_was_frozen_past_its_lease_starts_nothing_twice(tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    async with Sandbox(rerun_seconds=0.01) as box:
        users = seeded(box)
        frozen = await Rerunner(box.url, store, users).start()
        await box.arrived("POST", RERUN, 10)
        await frozen.freeze()
        other = await Rerunner(box.url, store, users).start()
        await box.arrived("POST", RERUN, box.count("POST", RERUN) + 20)
        frozen.process.send_signal(signal.SIGCONT)
        assert [await each.ended() for each in (frozen, other)] == [0, 0]
        assert frozen.states == other.states == {"completed": USERS}
        assert started(box) == Counter(users)


async def test_two_processes_at_once_share_the_rate_limit_also_when_one_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_windows(monkeypatch)
    async with Sandbox(rerun_seconds=0.02, rate_limits=True) as box:
        users = [f"u{number}" for number in range(22)]
        for user in users:
            box.seed(user)
        both = [await Rerunner(box.url, tmp_path / "r.db", users).start() for _ in range(2)]
        await box.arrived("POST", RERUN, 9)
        holder = sender_of(tmp_path / "r.db", both)
        await holder.kill()
        (other,) = [process for process in both if process is not holder]
        await other.ended()
        assert other.lines[-1] == "finished"
        starts = Counter(operation.params["user_id"] for operation in box.operations())
        assert starts == dict.fromkeys(users, 1)
        assert refused(box) == 1  # the one by which the limit is learned


def sender_of(store: Path, processes: list[Rerunner]) -> Rerunner:
    """The process that holds the lane."""
    with closing(sqlite3.connect(store)) as connection:
        (holder,) = connection.execute("select holder from lane where name = 'profile_generation'").fetchone()
    (found,) = [one for one in processes if one.process.pid == int(holder.partition("-")[0])]
    return found
