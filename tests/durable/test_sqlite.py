"""The database of a store in one file."""

from __future__ import annotations

import asyncio
import stat
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from reflexio_async.durable.database import Statement
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.errors import StoreError
from tests.hang import A_HANG, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

ADD = "insert into batch (id, account, url, kind, created_at) values (?, '', '', '', 0)"


@asynccontextmanager
async def opened(path: Path | str) -> AsyncGenerator[SQLiteDatabase]:
    database = SQLiteDatabase(str(path))
    await database.open()
    try:
        yield database
    finally:
        await database.aclose()


async def ids(database: SQLiteDatabase) -> list[str]:
    return [row for (row,) in await database.read("select id from batch order by id")]


async def test_what_was_written_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as database:
        await database.write([Statement(ADD, ("a",))])
    async with opened(tmp_path / "store.db") as database:
        assert await ids(database) == ["a"]


async def test_a_database_in_memory_is_read_and_written() -> None:
    async with opened(":memory:") as database:
        await database.write([Statement(ADD, ("a",))])
        assert await ids(database) == ["a"]


async def test_statements_of_one_write_are_done_all_or_none(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as database:
        with pytest.raises(StoreError, match="UNIQUE"):
            await database.write([Statement(ADD, ("a",)), Statement(ADD, ("a",))])
        assert await ids(database) == []


async def test_a_write_that_fails_does_not_fail_those_that_are_committed_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as database:
        writes = [[Statement(ADD, (name,))] for name in ("a", "b", "a", "c")]
        done = await asyncio.gather(*map(database.write, writes), return_exceptions=True)
        assert [isinstance(outcome, StoreError) for outcome in done] == [False, False, True, False]
        assert await ids(database) == ["a", "b", "c"]


async def test_a_write_of_this_process_wakes_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as database:
        waiting = asyncio.ensure_future(database.changed(10 * A_HANG))
        await asyncio.sleep(0)
        await database.write([Statement(ADD, ("a",))])
        async with asyncio.timeout(A_HANG):
            await waiting


async def test_a_write_of_another_connection_wakes(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as here, opened(tmp_path / "store.db") as elsewhere:
        waiting = asyncio.ensure_future(here.changed(10 * A_HANG))
        await asyncio.sleep(0.2)
        await elsewhere.write([Statement(ADD, ("a",))])
        async with asyncio.timeout(A_HANG):
            await waiting


async def test_a_change_between_reading_and_waiting_is_not_missed(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as database:
        before = database.changes
        await database.write([Statement(ADD, ("a",))])
        async with asyncio.timeout(A_HANG):
            assert await database.changed(10 * A_HANG, before) > before


async def test_waiting_for_a_change_ends_after_the_time_that_was_given(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as database:
        before = database.changes
        assert await database.changed(0.01, before) == before


async def test_the_last_of_those_who_opened_it_closes_it_and_ends_its_threads(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    database = SQLiteDatabase(str(tmp_path / "store.db"))
    await database.open()
    await database.open()
    await database.aclose()
    assert await ids(database) == []
    await database.aclose()
    await until(lambda: before.issuperset(threading.enumerate()))
    with pytest.raises(StoreError, match="is not open"):
        await database.write([])


async def test_the_file_and_those_beside_it_are_for_their_owner_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db"):
        modes = await asyncio.to_thread(modes_in, tmp_path)
    assert modes == {"store.db": 0o600, "store.db-shm": 0o600, "store.db-wal": 0o600}


def modes_in(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


async def test_every_commit_is_synchronised_to_the_disk(tmp_path: Path) -> None:
    full = 2
    async with opened(tmp_path / "store.db") as database:
        found = await database.write([Statement("pragma synchronous"), Statement("pragma journal_mode")])
    assert found == [[(full,)], [("wal",)]]
