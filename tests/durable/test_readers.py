"""Reading a store without taking part in it, and what the dashboard shows of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient, StoreError
from reflexio_async._engine.clock import SystemClock
from reflexio_async._engine.jobs.waits import WaitReason
from reflexio_async._engine.rate_snapshot import RateSnapshot
from reflexio_async._engine.wire import EncodedRequest
from reflexio_async.durable.opening import open_store
from reflexio_async.durable.outbox_rows import OutboxRows
from reflexio_async.durable.overview import read_overview
from reflexio_async.durable.readers import reader_of
from reflexio_async.durable.rows import BatchRow, LaneKey, NewJob, OutboxRow, RowState
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.durable.store import Store
from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

URL = "http://127.0.0.1:8061"
REQUEST = EncodedRequest("POST", "/api/rerun", "/api/rerun", b"{}", "application/json")
LANE = LaneKey(URL, "org", "profile_generation")


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "r.db")
    pytest.importorskip("reflexio_async.durable.postgres_reader")  # which takes long, so not in the loop
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def store(place: str) -> AsyncGenerator[tuple[str, Store]]:
    """A store: a lane that is held, a batch of which some have ended, and a call that was refused."""
    made = open_store(AsyncReflexioClient(url_endpoint=URL, store=place)._engine.settings)
    await made.open()
    await fill(made)
    yield place, made
    await made.aclose()


async def fill(store: Store) -> None:
    now = time.time()
    await store.add_account("a", URL, "org")
    await store.add_batch(BatchRow("night", "a", URL, "profile_rerun", now - 100))
    new = NewJob("", "a", URL, LANE.name, "profile_rerun", REQUEST, {}, now - 100)
    await store.add_jobs([new._replace(id=key, batch="night", key=key) for key in ("u1", "u2", "u3", "u4")])
    lease = await store.acquire(LANE, "process-1")
    assert lease is not None
    snapshot = RateSnapshot(at=now, hits=5, period=60.0, began=now - 20, end=now + 40, used=5).to_text()
    known = json.dumps({"dialect": "CORRELATED", "paths": {"/api/rerun": snapshot}})
    waits = f'[["{WaitReason.SERVER_AWAY}", {now - 80}, {now - 50}]]'
    ended, completed = RowState.ENDED, {"state": "completed"}
    await store.update_job(
        lease, "u1", state=ended, admitted_at=now - 50, ended_at=now - 40, outcome=completed, waits=waits
    )
    failed = {"state": "failed", "error": "no model"}
    await store.update_job(lease, "u2", state=ended, admitted_at=now - 40, ended_at=now - 30, outcome=failed)
    await store.update_job(lease, "u3", limiter=known, state=RowState.ADMITTED, admitted_at=now - 20)
    await OutboxRows(store).accept(
        [OutboxRow(0, "c1", "a", URL, "publish_interaction v1", "s", REQUEST, 2, "", 0, None, now)]
    )
    outbox = await store.acquire(LaneKey(URL, "org", "outbox"), "process-1")
    assert outbox is not None
    await OutboxRows(store).set_aside(outbox, "c1", "too long")


async def test_an_overview_says_what_runs_what_waits_and_what_failed(store: tuple[str, Store]) -> None:
    reader = reader_of(store[0])
    seen = await read_overview(reader)
    await reader.aclose()
    lane = next(entry for entry in seen["lanes"] if entry["name"] == LANE.name)
    assert (lane["holder"], lane["queued"]) == ("process-1", 1)
    assert [job["key"] for job in lane["running"]] == ["u3"]
    assert [(limit["hits"], limit["used"]) for limit in lane["limits"]] == [(5, 5)]
    assert 30 < lane["limits"][0]["opens_in"] <= 40
    (batch,) = seen["batches"]
    assert batch["jobs"] == {"completed": 1, "failed": 1, "running": 1, "queued": 1}
    assert (batch["left"], batch["eta"]) == (2, pytest.approx(60.0, rel=0.2))
    assert [(failure["key"], failure["reason"]) for failure in seen["failures"]] == [("u2", "no model")]
    assert [call["reason"] for call in seen["outbox"]["refused"]] == ["too long"]


async def test_an_overview_says_where_the_last_hour_went(store: tuple[str, Store]) -> None:
    reader = reader_of(store[0])
    lane = next(entry for entry in (await read_overview(reader))["lanes"] if entry["name"] == LANE.name)
    await reader.aclose()
    assert [part[0] for part in lane["hour"]["parts"]] == ["server_away", "running", "other", "running"]
    assert lane["hour"]["seconds"]["server_away"] == pytest.approx(30.0)


async def test_an_overview_says_why_the_holder_of_a_lane_sends_nothing_now(store: tuple[str, Store]) -> None:
    lane, now = LaneKey(URL, "org", "playbook_generation"), time.time()
    lease = await store[1].acquire(lane, "process-2")
    assert lease is not None
    await store[1].renew(lease, waiting_for=json.dumps({"reason": "server_away", "since": now - 60}))
    reader = reader_of(store[0])
    found = {entry["name"]: entry["waiting_for"] for entry in (await read_overview(reader))["lanes"]}
    assert found[lane.name] == {"reason": "server_away", "since": pytest.approx(now - 60)}
    await store[1].release(lease)
    found = {entry["name"]: entry["waiting_for"] for entry in (await read_overview(reader))["lanes"]}
    await reader.aclose()
    assert found[lane.name] is None


async def test_who_holds_a_lane_writes_why_it_sends_nothing_now(tmp_path: Path) -> None:
    path = str(tmp_path / "r.db")
    async with Sandbox() as box:
        box.start_foreign_operation(seconds=600.0)
        client = AsyncReflexioClient(url_endpoint=box.url, store=path, drain_timeout=0.0)
        client._engine.durable.lease_seconds = 0.3  # type: ignore[union-attr]  # renewed every 0.1 s
        async with client, asyncio.timeout(60):
            await client.rerun_profile_generation(user_id="u1")
            reader = reader_of(path)
            while not (waits := (await read_overview(reader))["lanes"][0]["waiting_for"]):  # noqa: ASYNC110  # another task writes it
                await asyncio.sleep(0.05)
            await reader.aclose()
    assert waits["reason"] == "slot_taken"


async def test_a_reader_can_write_nothing(store: tuple[str, Store]) -> None:
    reader = reader_of(store[0])
    for sql in ("delete from job returning 1", "create table other (a int)"):
        with pytest.raises(StoreError):
            await reader.read(sql)
    await reader.aclose()
    assert await store[1].count_incomplete("night") == 3


async def test_a_reader_sees_what_others_write_meanwhile(store: tuple[str, Store]) -> None:
    reader = reader_of(store[0])
    assert (await read_overview(reader))["batches"][0]["left"] == 2
    await store[1].withdraw(["u4"], {"state": "cancelled"}, time.time())
    assert (await read_overview(reader))["batches"][0]["left"] == 1
    await reader.aclose()


async def test_a_file_that_no_process_has_open_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    store = Store(SQLiteDatabase(str(path)), SystemClock())
    await store.open()
    await fill(store)
    await store.aclose()
    before = path.read_bytes()
    reader = reader_of(str(path))
    assert len((await read_overview(reader))["batches"]) == 1
    await reader.aclose()
    assert path.read_bytes() == before


async def test_a_file_that_was_deleted_or_replaced_is_not_read_any_more(tmp_path: Path) -> None:
    path, kept = tmp_path / "r.db", tmp_path / "kept.db"
    store = Store(SQLiteDatabase(str(path)), SystemClock())
    await store.open()
    await fill(store)
    await store.aclose()
    reader = reader_of(str(path))
    assert len((await read_overview(reader))["batches"]) == 1
    path.rename(kept)
    with pytest.raises(StoreError, match="cannot be opened"):
        await read_overview(reader)
    fresh = Store(SQLiteDatabase(str(path)), SystemClock())
    await fresh.open()
    await fresh.aclose()
    assert (await read_overview(reader))["batches"] == []
    await reader.aclose()


async def test_a_database_that_is_away_is_named_on_one_line() -> None:
    pytest.importorskip("psycopg")
    reader = reader_of("postgresql://user:hunter2@127.0.0.1:9/db")
    with pytest.raises(StoreError, match=r"cannot be read: .*refused") as caught:
        await read_overview(reader)
    await reader.aclose()
    assert "\\t" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_what_is_no_store_is_refused_and_not_made_one(tmp_path: Path) -> None:
    missing, empty, other = (tmp_path / name for name in ("missing.db", "empty.db", "other.db"))
    empty.touch()
    with sqlite3.connect(other) as connection:
        connection.execute("create table a (b)")
    connection.close()
    for path, reason in ((missing, "cannot be opened"), (empty, "no tables yet"), (other, "another program")):
        reader = reader_of(str(path))
        with pytest.raises(StoreError, match=reason):
            await read_overview(reader)
        await reader.aclose()
    assert not missing.exists()
    assert empty.read_bytes() == b""
