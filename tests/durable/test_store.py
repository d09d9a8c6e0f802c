"""The operations of a store."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async._engine.clock import SystemClock
from reflexio_async._engine.wire import EncodedRequest
from reflexio_async.durable import sqlite_file
from reflexio_async.durable.database import Statement
from reflexio_async.durable.leases import hold
from reflexio_async.durable.outbox_rows import OutboxRows
from reflexio_async.durable.rows import BatchRow, LaneKey, NewJob, OutboxRow, RowState
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.durable.store import Store
from reflexio_async.errors import LeaseLost

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from reflexio_async.durable.database import Database

URL = "http://127.0.0.1:8061"
REQUEST = EncodedRequest("POST", "/api/rerun", "/api/rerun", b"{}", "application/json")
LANE = LaneKey(URL, "org", "profiles")


TABLE_NAMES = ("account", "lane", "job", "batch", "outbox")


class Time:
    """The clock of leases."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@asynccontextmanager
async def opened(database: Database) -> AsyncGenerator[Store]:
    store = Store(database, SystemClock())
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    """The operations are the same in both databases."""
    if request.param == "sqlite":
        return SQLiteDatabase(":memory:")
    postgres = pytest.importorskip("reflexio_async.durable.postgres")
    made: Database = postgres.PostgresDatabase(request.getfixturevalue("postgres").new_database())
    return made


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Store]:
    """An empty store."""
    async with opened(database) as store:
        await store.write(*(Statement(f"delete from {table}") for table in TABLE_NAMES))  # noqa: S608
        yield store


def job(name: str, account: str = "a", **fields: Any) -> NewJob:
    made = NewJob(name, account, URL, "profiles", "profile_rerun", REQUEST, {"user_id": name}, 1.0)
    return made._replace(**fields)


async def ids(store: Store, lane: LaneKey = LANE, limit: int = 10) -> list[str]:
    return [row.id for row in await store.open_jobs(lane, limit)]


async def test_a_job_is_read_as_it_was_added(store: Store) -> None:
    await store.add_jobs([job("ana", batch="b", key="ana")])
    (row,) = await store.jobs(["ana"])
    assert (row.request, row.params, row.state) == (REQUEST, {"user_id": "ana"}, RowState.QUEUED)
    assert (row.batch, row.key, row.outcome, row.before) == ("b", "ana", None, None)


async def test_a_key_of_a_batch_is_added_once(store: Store) -> None:
    await store.add_jobs([job("one", batch="b", key="ana"), job("two", batch="b", key="ana")])
    assert [row.id for row in await store.jobs_of_batch("b", ["ana"])] == ["one"]


async def test_a_batch_is_added_once(store: Store) -> None:
    first = BatchRow("b", "a", URL, "profile_rerun", 1.0)
    assert await store.add_batch(first) == first
    assert await store.add_batch(first._replace(kind="playbook_rerun", created_at=2.0)) == first


async def test_jobs_that_have_begun_come_first_and_then_those_that_were_added_first(store: Store) -> None:
    await store.add_account("a", URL, "org")
    await store.add_account("b", URL, "org")
    await store.add_jobs([job("q1"), job("q2", "b"), job("starts"), job("runs", "b"), job("ended")])
    lease = await store.acquire(LANE, "me")
    assert lease is not None
    await store.update_job(lease, "starts", state=RowState.STARTING)
    await store.update_job(lease, "runs", state=RowState.ADMITTED)
    await store.update_job(lease, "ended", state=RowState.ENDED, outcome={"state": "completed"})
    assert await ids(store) == ["runs", "starts", "q1", "q2"]
    assert await ids(store, limit=3) == ["runs", "starts", "q1"]


async def test_a_lane_has_the_jobs_of_all_accounts_of_its_organisation_and_no_others(store: Store) -> None:
    for account, org in {"a": "org", "b": "org", "c": "other", "d": None}.items():
        await store.add_account(account, URL, org)
        await store.add_jobs([job(f"of {account}", account)])
    assert await ids(store) == ["of a", "of b"]
    assert await ids(store, LANE._replace(org="other")) == ["of c"]


async def test_one_credential_belongs_to_another_organisation_at_another_server(store: Store) -> None:
    other = "http://127.0.0.1:9000"
    await store.add_account("a", URL, "org")
    await store.add_account("a", other, "other")
    await store.add_jobs([job("here"), job("there", url=other)])
    assert await ids(store) == ["here"]
    assert await ids(store, LaneKey(other, "other", "profiles")) == ["there"]
    assert await store.organisation("a", URL) == "org"
    assert await store.organisation("a", other) == "other"


async def test_the_organisation_of_an_account_is_not_forgotten(store: Store) -> None:
    assert await store.organisation("a", URL) is None
    await store.add_account("a", URL, None)
    await store.add_account("a", URL, "")  # a server that has no organisations
    await store.add_account("a", URL, None)
    assert await store.organisation("a", URL) == ""


async def test_the_lanes_of_an_organisation_are_those_with_jobs_that_have_not_ended(store: Store) -> None:
    await store.add_account("a", URL, "org")
    await store.add_account("b", URL, "org")
    await store.add_jobs([job("one"), job("two", service="zebra"), job("three", "b", service="other")])
    await store.add_jobs([job("four", service="done")])
    await store.withdraw(["four"], {"state": "cancelled"}, 2.0)
    assert {lane.name for lane in await store.lanes(URL, "org")} == {"profiles", "zebra", "other"}
    assert await store.lanes(URL, "unknown") == []


async def test_a_lease_is_held_by_one_until_it_is_released(store: Store) -> None:
    lease = await store.acquire(LANE, "one")
    assert lease is not None
    assert await store.acquire(LANE, "two") is None
    await store.release(lease)
    assert await store.acquire(LANE, "two") is not None


async def test_a_lease_that_is_not_renewed_passes_to_another_and_the_first_holder_writes_nothing() -> None:
    time = Time()
    async with opened(SQLiteDatabase(":memory:", time)) as store:
        await store.add_jobs([job("ana")])
        first = await store.acquire(LANE, "one")
        assert first is not None
        time.seconds += 14
        first = await store.renew(first)
        time.seconds += 14
        assert await store.acquire(LANE, "two") is None
        time.seconds += 2
        assert await store.acquire(LANE, "two") is not None
        with pytest.raises(LeaseLost):
            await store.update_job(first, "ana", state=RowState.STARTING)
        with pytest.raises(LeaseLost):
            await store.renew(first)
        await store.release(first)  # changes nothing
        assert await store.acquire(LANE, "three") is None
        assert [row.state for row in await store.jobs(["ana"])] == [RowState.QUEUED]


async def test_a_promotion_is_written_with_the_lease_alone(store: Store) -> None:
    await store.add_batch(BatchRow("b", "a", URL, "profile_rerun", 1.0))
    first = await store.acquire(LANE, "one")
    assert first is not None
    await store.promote(first, "b", "1")
    await store.release(first)
    assert await store.acquire(LANE, "two") is not None
    with pytest.raises(LeaseLost):
        await store.promote(first, "b", "2")
    assert await store.promotion("b") == "1"


async def test_a_lease_of_an_earlier_boot_is_over() -> None:
    time = Time()
    async with opened(SQLiteDatabase(":memory:", time)) as store:
        assert await store.acquire(LANE, "one") is not None
        time.seconds = 5  # the clock begins anew with the machine
        assert await store.acquire(LANE, "two") is not None


@pytest.mark.parametrize("steps", range(0, 40, 2))
async def test_a_task_that_is_cancelled_at_any_time_leaves_its_lane_to_others(
    store: Store, steps: int
) -> None:
    async def take() -> None:
        async with hold(store, LANE, "one", SystemClock()):
            await asyncio.sleep(0)

    task = asyncio.create_task(take())
    for _ in range(steps):
        await asyncio.sleep(0.0002)
    task.cancel()
    await asyncio.wait([task])
    assert await store.acquire(LANE, "two") is not None


async def test_what_is_written_soon_is_there_for_all_and_an_error_is_logged(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(database) as store:
        await store.write(Statement("delete from account"))
        store.write_soon(Statement("insert into account (id, url) values ('a', 'b')"))
        store.write_soon(Statement("insert into nothing values (1)"))
        store.write_soon(Statement("update account set org = 'org'"))
        while await store.organisation("a", "b") is None:  # noqa: ASYNC110  # nothing tells it
            await asyncio.sleep(0.01)
    assert "nothing" in caplog.text


async def test_what_was_learned_of_the_rate_limit_goes_to_the_next_holder(store: Store) -> None:
    await store.add_jobs([job("ana")])
    lease = await store.acquire(LANE, "one")
    assert lease is not None
    assert lease.limiter is None
    await store.update_job(lease, "ana", state=RowState.STARTING, limiter="[1]")
    await store.release(lease)
    lease = await store.acquire(LANE, "two")
    assert lease is not None
    assert lease.limiter == "[1]"


async def test_the_starts_of_a_lane_that_were_admitted_lately_are_known(store: Store) -> None:
    for account, org in (("a", "org"), ("b", "org"), ("c", "other")):
        await store.add_account(account, URL, org)
    await store.add_jobs([job("early"), job("ended"), job("runs", "b"), job("queued"), job("other", "c")])
    lease = await store.acquire(LANE, "one")
    assert lease is not None
    for name, at in (("early", 10.0), ("ended", 20.0), ("runs", 30.0), ("other", 40.0)):
        await store.update_job(lease, name, state=RowState.ADMITTED, admitted_at=at)
    for name in ("early", "ended"):
        await store.update_job(
            lease, name, state=RowState.ENDED, ended_at=50.0, outcome={"state": "completed"}
        )
    assert sorted(await store.admissions(LANE, 15.0)) == [("profile_rerun", 20.0), ("profile_rerun", 30.0)]


async def test_a_job_is_withdrawn_only_while_it_is_queued(store: Store) -> None:
    await store.add_jobs([job("ana"), job("ben")])
    lease = await store.acquire(LANE, "me")
    assert lease is not None
    await store.update_job(lease, "ben", state=RowState.STARTING)
    assert await store.withdraw(["ana", "ben"], {"state": "cancelled"}, 5.0) == ["ana"]
    (row,) = await store.jobs(["ana"])
    assert (row.state, row.outcome, row.ended_at) == (RowState.ENDED, {"state": "cancelled"}, 5.0)


async def test_any_number_of_jobs_is_withdrawn_and_queued_again(store: Store) -> None:
    names = [str(number) for number in range(1201)]
    await store.add_account("a", URL, "org")
    await store.add_jobs([job(name) for name in names])
    assert await store.withdraw(names, {"state": "cancelled"}, 5.0) == names
    assert await ids(store) == []
    await store.queue_again(names)
    assert len(await ids(store, limit=2000)) == 1201


async def test_a_job_that_was_queued_again_is_as_new(store: Store) -> None:
    await store.add_jobs([job("ana")])
    (new,) = await store.jobs(["ana"])
    await store.withdraw(["ana"], {"state": "cancelled"}, 5.0)
    await store.queue_again(["ana"])
    assert await store.jobs(["ana"]) == [new]


async def test_an_ended_job_is_not_changed_any_more(store: Store) -> None:
    await store.add_jobs([job("ana")])
    lease = await store.acquire(LANE, "me")
    assert lease is not None
    await store.update_job(lease, "ana", state=RowState.ENDED, outcome={"state": "completed"})
    assert not await store.update_job(lease, "ana", state=RowState.STARTING)
    (ana,) = await store.jobs(["ana"])
    assert ana.state is RowState.ENDED


async def test_calls_wait_in_the_outbox_in_the_order_in_which_they_were_accepted(store: Store) -> None:
    lane = LANE._replace(name="outbox")
    for account in ("a", "b"):
        await store.add_account(account, URL, "org")
    await OutboxRows(store).accept(
        [
            OutboxRow(0, name, account, URL, "publish", "s", REQUEST, 10, "waiting", 0, None, 1.0)
            for name, account in (("1", "a"), ("2", "b"), ("3", "a"), ("3", "b"))
        ]
    )
    rows = await OutboxRows(store).waiting(lane, 10)
    assert [row.id for row in rows] == ["1", "2", "3"]
    assert [row.id for row in await OutboxRows(store).waiting(lane, 1, after=rows[0].seq)] == ["2"]
    lease = await store.acquire(lane, "me")
    assert lease is not None
    await OutboxRows(store).delivered(lease, ["2"])
    await OutboxRows(store).set_aside(lease, "1", "refused")
    assert [row.id for row in await OutboxRows(store).waiting(lane, 10)] == ["3"]


async def test_a_lease_of_another_boot_of_the_machine_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "store.db")
    async with opened(SQLiteDatabase(path)) as before:
        assert await before.acquire(LANE, "one") is not None
        async with opened(SQLiteDatabase(path)) as same_boot:
            assert await same_boot.acquire(LANE, "two") is None
        monkeypatch.setattr(sqlite_file, "_boot_id", lambda: "another boot")
        async with opened(SQLiteDatabase(path)) as after:
            assert await after.acquire(LANE, "three") is not None


async def test_prune_deletes_what_ended_before_and_the_batches_without_jobs(store: Store) -> None:
    for name in ("done", "open"):
        await store.add_batch(BatchRow(name, "a", URL, "profile_rerun", 1.0))
    await store.add_jobs([job("old"), job("new"), job("queued"), job("b", batch="done", key="b")])
    await store.add_jobs([job("c", batch="open", key="c"), job("d", batch="open", key="d")])
    await store.withdraw(["old", "b", "c"], {"state": "cancelled"}, 5.0)
    await store.withdraw(["new"], {"state": "cancelled"}, 50.0)
    assert await store.prune(10.0) == 2
    assert {row.id for row in await store.jobs(["old", "new", "queued", "b", "c", "d"])} == {
        "new",
        "queued",
        "c",
        "d",
    }
    assert await store.read("select id from batch") == [("open",)]


async def test_no_operation_of_a_lane_looks_at_all_rows() -> None:
    """So that a hundred thousand rows are as fast as ten."""
    plans: list[str] = []

    class Explained(SQLiteDatabase):
        async def read(self, sql: str, *values: Any) -> list[Any]:
            await self._explain(sql, values)
            return await super().read(sql, *values)

        async def write(self, statements: Any) -> Any:
            for sql, values in statements:
                await self._explain(sql, values)
            return await super().write(statements)

        async def _explain(self, sql: str, values: tuple[Any, ...]) -> None:
            plans.extend(row[-1] for row in await super().read(f"explain query plan {sql}", *values))

    outbox = LANE._replace(name="outbox")
    async with opened(Explained(":memory:")) as store:
        await store.add_account("a", URL, "org")
        await store.add_jobs([job("ana", batch="b", key="ana")])
        await OutboxRows(store).accept(
            [OutboxRow(0, "r", "a", URL, "publish", "s", REQUEST, 10, "waiting", 0, None, 1.0)]
        )
        lease = await store.acquire(LANE, "me")
        outbox_lease = await store.acquire(outbox, "me")
        assert lease is not None
        assert outbox_lease is not None
        await store.lanes(URL, "org")
        await store.open_jobs(LANE, 2)
        await store.admissions(LANE, 1.0)
        await store.jobs(["ana"])
        await store.jobs_of_batch("b", ["ana"])
        await store.update_job(lease, "ana", state=RowState.STARTING, limiter="[]")
        await store.withdraw(["ana"], {"state": "cancelled"}, 5.0)
        await store.queue_again(["ana"])
        await store.renew(lease)
        await store.release(lease)
        await OutboxRows(store).waiting(outbox, 10)
        await OutboxRows(store).delivered(outbox_lease, ["r"])
        await store.prune(1.0)
    assert any("USING INDEX job_open" in plan for plan in plans)
    assert [plan for plan in plans if re.match(r"SCAN (job|outbox|lane|account)\b", plan)] == []
