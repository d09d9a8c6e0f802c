"""Workers that are killed for good, and workers that are frozen: every job is started once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox.reflexio import rate_limits
from reflexio_async.testing import Sandbox
from tests.hang import A_HANG

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

# In real time: a machine that is busy with something else may be too slow once.
pytestmark = [pytest.mark.slow, pytest.mark.flaky(reruns=2)]

RERUN = "/api/rerun_profile_generation"
LEASE = 3.0
HITS, WINDOW = 5, 3  # what each server admits
USERS = 40  # of each organisation


@pytest.fixture(autouse=True)
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five starts in three seconds, not in a minute."""
    monkeypatch.setattr(rate_limits, "WINDOW", float(WINDOW))
    monkeypatch.setattr(rate_limits, "PERIOD", f"{WINDOW} second")


class Workers:
    """Worker processes."""

    def __init__(self, store: str, urls: list[str], folder: Path) -> None:
        self._command = [sys.executable, "-m", "tests.durable.worker_program", store, f"{LEASE:g}", *urls]
        self._store = store
        self._folder = folder
        self.processes: dict[int, asyncio.subprocess.Process] = {}

    async def start(self, count: int) -> None:
        for _ in range(count):
            with (self._folder / "workers.log").open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *self._command, cwd=Path(__file__).parents[2], stdout=log, stderr=log
                )
            self.processes[process.pid] = process

    async def holders(self) -> dict[str, tuple[int, int]]:
        """By server: the process that drives its lane now, and the lane's fence."""
        async with await psycopg.AsyncConnection.connect(self._store) as connection:
            try:
                cursor = await connection.execute(
                    "select url, holder, fence from reflexio_async.lane where holder is not null"
                )
            except psycopg.errors.UndefinedTable:  # nobody has opened the store yet
                return {}
            return {
                url: (int(holder.partition("-")[0]), fence) for url, holder, fence in await cursor.fetchall()
            }

    async def a_holder(self) -> tuple[str, int, int]:
        """A server, the worker that drives its lane, and the fence."""
        async with asyncio.timeout(A_HANG):
            while True:
                for url, (pid, fence) in (await self.holders()).items():
                    if pid in self.processes:
                        return url, pid, fence
                await asyncio.sleep(0.05)

    async def taken_over(self, url: str, fence: int) -> float:
        """Wait until another worker drives the lane of ``url``. Return the seconds that it took."""
        began = time.monotonic()
        async with asyncio.timeout(A_HANG):
            while (await self.holders()).get(url, (0, 0))[1] <= fence:  # noqa: ASYNC110  # another process tells
                await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def end(self) -> None:
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@asynccontextmanager
async def playing(
    store: str, folder: Path, organisations: int
) -> AsyncGenerator[tuple[list[Sandbox], Workers]]:
    async with AsyncExitStack() as stack:
        boxes = [
            await stack.enter_async_context(Sandbox(rate_limits=True, rerun_seconds=0.05))
            for _ in range(organisations)
        ]
        workers = Workers(store, [box.url for box in boxes], folder)
        stack.push_async_callback(workers.end)
        yield boxes, workers


async def rerun_all(box: Sandbox, store: str) -> list[Any]:
    """Rerun every user of ``box`` by a client that only adds rows and waits."""
    users = [f"u{n}" for n in range(USERS)]
    for user in users:
        box.seed(user, "I like tea")
    async with AsyncReflexioClient(url_endpoint=box.url, store=store) as client:
        jobs = [await client.rerun_profile_generation(user_id=user) for user in users]
        return await asyncio.gather(*jobs)


def assert_exact(box: Sandbox) -> None:
    """Every user was admitted once, by the server's own records, and one request was refused at most."""
    admitted = Counter(operation.params["user_id"] for operation in box.operations())
    assert admitted == {f"u{n}": 1 for n in range(USERS)}
    answers = Counter(record.status for record in box.requests if record.path == RERUN)
    assert answers[429] <= 1, answers


async def test_two_of_four_workers_are_killed_and_all_jobs_of_three_organisations_are_done_once(
    postgres_url: str, tmp_path: Path
) -> None:
    async with playing(postgres_url, tmp_path, 3) as (boxes, workers):
        await workers.start(4)
        running = [asyncio.create_task(rerun_all(box, postgres_url)) for box in boxes]
        for _ in range(2):
            await asyncio.sleep(4.0)
            url, pid, fence = await workers.a_holder()
            workers.processes.pop(pid).kill()
            took = await workers.taken_over(url, fence)
            assert took < LEASE + 1.0
        responses = await asyncio.gather(*running)
        assert sum(map(len, responses)) == 3 * USERS
        for box in boxes:
            assert_exact(box)


async def test_a_worker_that_is_frozen_past_its_lease_starts_nothing_twice_when_it_wakes(
    postgres_url: str, tmp_path: Path
) -> None:
    async with playing(postgres_url, tmp_path, 1) as ((box,), workers):
        await workers.start(2)
        running = asyncio.create_task(rerun_all(box, postgres_url))
        for _ in range(6):
            await asyncio.sleep(0.7)
            url, pid, fence = await workers.a_holder()
            os.kill(pid, signal.SIGSTOP)
            try:
                await workers.taken_over(url, fence)
            finally:
                os.kill(pid, signal.SIGCONT)
        await running
        assert_exact(box)
