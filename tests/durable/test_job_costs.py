"""What the jobs of a store cost, counted: writes, reads, tasks and objects."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.durable.job import StoredJob
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.sandbox import Sandbox, VirtualClock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from reflexio_async.durable.database import Row, Statement, Value

USERS = [f"u{number}" for number in range(60)]
MANY = [f"user-{number}" for number in range(20_000)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "r.db"


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the database was asked: ``writes`` that wait for the disk, ``soon``, and ``reads``."""
    found: Counter[str] = Counter()
    read, write, write_soon = SQLiteDatabase.read, SQLiteDatabase.write, SQLiteDatabase.write_soon

    async def counted_read(self: SQLiteDatabase, sql: str, *values: Value) -> list[Row]:
        found["reads"] += 1
        return await read(self, sql, *values)

    async def counted_write(self: SQLiteDatabase, statements: Sequence[Statement]) -> list[list[Row]]:
        found["writes"] += 1
        return await write(self, statements)

    def counted_write_soon(self: SQLiteDatabase, statements: Sequence[Statement]) -> None:
        found["soon"] += 1
        write_soon(self, statements)

    monkeypatch.setattr(SQLiteDatabase, "read", counted_read)
    monkeypatch.setattr(SQLiteDatabase, "write", counted_write)
    monkeypatch.setattr(SQLiteDatabase, "write_soon", counted_write_soon)
    return found


async def test_a_job_of_a_batch_waits_for_the_disk_once(store: Path, counts: Counter[str]) -> None:
    clock = VirtualClock()
    async with (
        Sandbox(clock=clock) as box,
        AsyncReflexioClient(url_endpoint=box.url, store=store, clock=clock) as client,
    ):
        for user in USERS:
            box.seed(user)
        assert (await client.rerun_profiles_many(USERS[:1])).ok
        counts.clear()
        assert (await client.rerun_profiles_many(USERS[1:])).ok
    jobs = len(USERS) - 1
    assert counts["soon"] <= jobs  # the admissions of jobs that run for a while
    assert counts["writes"] < 1.3 * jobs  # an outcome, and the next intent with it
    assert counts["reads"] < jobs


async def test_keys_of_a_batch_that_wait_take_no_task_and_no_job_each(store: Path) -> None:
    clock = VirtualClock()
    async with (
        Sandbox(clock=clock, rerun_seconds=1e6) as box,
        AsyncReflexioClient(
            url_endpoint=box.url, store=store, clock=clock, drain_timeout=0.1, wait_timeout=1e9
        ) as client,
    ):
        box.seed(MANY[0])
        batch = asyncio.ensure_future(client.rerun_profiles_many(MANY, batch_id="many").run())
        stored = 0
        while stored < len(MANY):
            await asyncio.sleep(0.05)
            stored = sum(sum(found.jobs.values()) for found in await client.store.batches())
        gc.collect()
        jobs: list[Any] = [found for found in gc.get_objects() if type(found) is StoredJob]
        assert len(jobs) < 400
        assert len(asyncio.all_tasks()) < 400
        del jobs
        batch.cancel()
        await asyncio.wait([batch])


async def test_a_batch_that_is_stopped_while_its_keys_are_stored_is_cancelled_and_can_be_continued(
    store: Path,
) -> None:
    keys = [*USERS, *MANY[:3000]]
    async with Sandbox(rerun_seconds=0.01) as box:
        for user in USERS:
            box.seed(user)
        async with AsyncReflexioClient(url_endpoint=box.url, store=store) as client:
            async with client.rerun_profiles_many(keys, batch_id="night") as batch:
                async for _ in batch:
                    batch.stop()
            counts = batch.progress.counts
        assert set(counts) == {"completed", "cancelled"}
        assert sum(counts.values()) == len(keys)
        async with AsyncReflexioClient(url_endpoint=box.url, store=store) as client:
            report = await client.rerun_profiles_many(USERS, batch_id="night")
        assert report.ok
        assert sorted(operation.params["user_id"] for operation in box.operations()) == sorted(USERS)
