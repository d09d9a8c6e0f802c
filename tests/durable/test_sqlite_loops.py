"""One database, used from event loops of several threads and one after the other."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from reflexio_async.durable.database import Statement
from reflexio_async.durable.sqlite import SQLiteDatabase
from tests.hang import A_HANG

if TYPE_CHECKING:
    from pathlib import Path

ADD = "insert into batch (id, account, url, kind, created_at) values (?, '', '', '', 0)"


async def write(database: SQLiteDatabase, *names: str) -> None:
    await database.open()
    try:
        await asyncio.gather(*(database.write([Statement(ADD, (name,))]) for name in names))
    finally:
        await database.aclose()


async def count(database: SQLiteDatabase) -> int:
    await database.open()
    try:
        ((found,),) = await database.read("select count(*) from batch")
    finally:
        await database.aclose()
    return int(found)


def test_event_loops_one_after_the_other_use_one_database(tmp_path: Path) -> None:
    database = SQLiteDatabase(str(tmp_path / "store.db"))
    for number in range(3):
        asyncio.run(write(database, str(number)))
    assert asyncio.run(count(database)) == 3


def test_event_loops_of_several_threads_write_at_once(tmp_path: Path) -> None:
    database = SQLiteDatabase(str(tmp_path / "store.db"))

    def thread(number: int) -> None:
        asyncio.run(write(database, *(f"{number}-{n}" for n in range(50))))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(thread, range(8)))
    assert asyncio.run(count(database)) == 400


def test_a_write_of_one_thread_wakes_who_waits_in_another(tmp_path: Path) -> None:
    database = SQLiteDatabase(str(tmp_path / "store.db"))
    waits = threading.Event()

    async def wait() -> int:
        await database.open()
        waiting = asyncio.ensure_future(database.changed(10 * A_HANG, database.changes))
        await asyncio.sleep(0)
        waits.set()
        try:
            async with asyncio.timeout(A_HANG):
                return await waiting
        finally:
            await database.aclose()

    with ThreadPoolExecutor(1) as pool:
        woken = pool.submit(asyncio.run, wait())
        assert waits.wait(A_HANG)
        asyncio.run(write(database, "a"))
        assert woken.result(A_HANG) >= 1


def test_a_loop_that_ends_in_the_middle_of_a_write_disturbs_no_other(tmp_path: Path) -> None:
    database = SQLiteDatabase(str(tmp_path / "store.db"))

    async def leave_behind() -> None:
        await database.open()
        loop = asyncio.get_running_loop()
        for name in ("a", "b"):
            loop.create_task(database.write([Statement(ADD, (name,))]))  # noqa: RUF006  # cancelled with the loop
        await asyncio.sleep(0)

    asyncio.run(leave_behind())
    asyncio.run(write(database, "c"))
    assert asyncio.run(count(database)) in (1, 2, 3)  # the others were cancelled
    asyncio.run(database.aclose())


async def test_closing_finishes_the_writes_that_were_asked_for(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    database = SQLiteDatabase(path)
    await database.open()
    writes = [asyncio.ensure_future(database.write([Statement(ADD, (str(n),))])) for n in range(100)]
    await asyncio.sleep(0)
    await database.aclose()
    assert await asyncio.gather(*writes) == [[[()]]] * 100
    assert await count(SQLiteDatabase(path)) == 100


async def test_who_waits_for_a_change_is_woken_when_the_database_is_closed(tmp_path: Path) -> None:
    database = SQLiteDatabase(str(tmp_path / "store.db"))
    await database.open()
    waiting = asyncio.ensure_future(database.changed(10 * A_HANG))
    await asyncio.sleep(0)
    await database.aclose()
    async with asyncio.timeout(A_HANG):
        await waiting


async def test_it_can_be_opened_again_while_it_is_being_closed(tmp_path: Path) -> None:
    database = SQLiteDatabase(str(tmp_path / "store.db"))
    for _ in range(20):
        await database.open()
        closing = asyncio.ensure_future(database.aclose())
        await asyncio.sleep(0)
        await database.open()
        await database.read("select 1")
        await closing
        await database.aclose()


async def test_a_file_that_could_not_be_opened_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    database = SQLiteDatabase(str(folder / "store.db"))
    failed = await asyncio.gather(database.open(), database.open(), return_exceptions=True)
    assert [type(error).__name__ for error in failed] == ["StoreError", "StoreError"]
    await asyncio.to_thread(folder.mkdir)
    await write(database, "a")
    assert await count(database) == 1


def test_a_write_that_is_cancelled_while_it_waits_is_left_out(tmp_path: Path) -> None:
    database = SQLiteDatabase(str(tmp_path / "store.db"))
    asyncio.run(write(database, "a"))
    with closing(sqlite3.connect(database.name, isolation_level=None, check_same_thread=False)) as other:

        async def main() -> None:
            await database.open()
            await asyncio.to_thread(other.execute, "begin immediate")
            first = asyncio.ensure_future(database.write([Statement(ADD, ("b",))]))
            await asyncio.sleep(0.1)  # the writing thread waits for the lock
            second = asyncio.ensure_future(database.write([Statement(ADD, ("c",))]))
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.to_thread(other.execute, "rollback")
            await first
            await database.write([Statement(ADD, ("d",))])
            assert await database.read("select id from batch order by id") == [("a",), ("b",), ("d",)]
            await database.aclose()

        asyncio.run(main())


def test_closing_leaves_no_warning_behind(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(write(SQLiteDatabase(str(tmp_path / "store.db")), "a"))
        asyncio.run(write(SQLiteDatabase(":memory:"), "a"))
        gc.collect()
