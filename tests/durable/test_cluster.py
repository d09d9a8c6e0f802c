"""How the processes of a store in Postgres wake workers and know who is alive."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from procrastinate.schema import SchemaManager

from reflexio_async._engine.clock import SystemClock
from reflexio_async._engine.wire import EncodedRequest
from reflexio_async.durable.cluster import DRAIN, QUEUE, Cluster, lock_of
from reflexio_async.durable.database import Statement
from reflexio_async.durable.outbox_rows import OutboxRows
from reflexio_async.durable.postgres import PostgresDatabase
from reflexio_async.durable.rows import LaneKey, NewJob, OutboxRow
from reflexio_async.durable.store import Store
from reflexio_async.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tests.postgres import PostgresServer

URL = "http://server"
LANE = LaneKey(URL, "org", "profiles")
REQUEST = EncodedRequest("POST", "/api/rerun", "/api/rerun", b"{}", "application/json")


@pytest.fixture(scope="module")
def database(request: pytest.FixtureRequest) -> PostgresDatabase:
    return PostgresDatabase(request.getfixturevalue("postgres").new_database())


@pytest.fixture
async def cluster(database: PostgresDatabase) -> AsyncGenerator[Cluster]:
    await database.open()
    cluster = Cluster(database)
    await cluster.open()
    tables = ("account", "lane", "job", "outbox", "worker", "procrastinate_jobs")
    await database.write([Statement(f"delete from {table}") for table in tables])  # noqa: S608
    yield cluster
    await database.aclose()


@pytest.fixture
def store(database: PostgresDatabase) -> Store:
    return Store(database, SystemClock())


async def add(store: Store, name: str, account: str = "a", service: str = "profiles") -> None:
    await store.add_jobs([NewJob(name, account, URL, service, "kind", REQUEST, {}, 0.0)])


async def drains(database: PostgresDatabase) -> list[tuple[str, str, bool]]:
    rows = await database.read(
        "select lock, status::text, scheduled_at > now() from procrastinate_jobs order by id"
    )
    return [(lock, status, bool(later)) for lock, status, later in rows]


async def fetched(cluster: Cluster) -> int:
    """Let a worker that does nothing take the next drain. Return its id in procrastinate."""
    app = await cluster.open()
    worker = await app.job_manager.register_worker()
    job = await app.job_manager.fetch_job([QUEUE], worker)
    assert job is not None
    assert job.task_name == DRAIN
    return worker


# Waking


async def test_a_lane_that_is_woken_several_times_is_driven_once(
    cluster: Cluster, database: PostgresDatabase
) -> None:
    await cluster.wake(LANE)
    await cluster.wake(LANE, 60.0)
    await cluster.wake(LANE._replace(org="other"), 60.0)
    assert await drains(database) == [
        (lock_of(LANE), "todo", False),
        (lock_of(LANE._replace(org="other")), "todo", True),
    ]


async def test_a_lane_may_be_woken_while_it_is_driven(cluster: Cluster, database: PostgresDatabase) -> None:
    await cluster.wake(LANE)
    await fetched(cluster)
    await cluster.wake(LANE)
    assert [state for _, state, _ in await drains(database)] == ["doing", "todo"]


# Who is alive


async def test_the_last_sign_of_any_worker_counts(cluster: Cluster, database: PostgresDatabase) -> None:
    assert await cluster.silent_for() is None
    await cluster.seen("one")
    await cluster.seen("two")
    await database.write([Statement("update worker set seen_at = seen_at - 100 where name = 'one'")])
    silent = await cluster.silent_for()
    assert silent is not None
    assert silent < 60
    await cluster.forget("two")
    silent = await cluster.silent_for()
    assert silent is not None
    assert silent >= 100


# What nobody drives


async def test_lanes_with_jobs_or_calls_and_without_a_lease_are_found(cluster: Cluster, store: Store) -> None:
    await store.add_account("a", URL, "org")
    await store.add_account("b", URL, "org")
    await add(store, "1")
    await add(store, "2", account="b")
    await add(store, "3", service="reflect")
    await OutboxRows(store).accept(
        [OutboxRow(0, "c", "b", URL, "publish", "s", REQUEST, 1, "waiting", 0, None, 0.0)]
    )
    assert await store.acquire(LANE._replace(name="reflect"), "holder") is not None
    assert sorted(await cluster.lanes_without_lease()) == [LANE._replace(name="outbox"), LANE]


async def test_a_lane_that_waits_for_its_next_drain_is_not_woken_before(
    cluster: Cluster, store: Store, database: PostgresDatabase
) -> None:
    await store.add_account("a", URL, "org")
    await add(store, "1")
    await add(store, "2", service="reflect")
    await cluster.wake(LANE, 60.0)
    await cluster.wake_lanes_without_lease()
    assert await drains(database) == [
        (lock_of(LANE), "todo", True),
        (lock_of(LANE._replace(name="reflect")), "todo", False),
    ]


async def test_waking_a_lane_that_is_queued_leaves_no_error_in_the_server_s_log(
    cluster: Cluster, postgres: PostgresServer
) -> None:
    before = postgres.log()
    for _ in range(3):
        await cluster.wake(LANE)
    assert "ERROR" not in postgres.log().removeprefix(before)


async def test_a_lane_whose_jobs_have_ended_is_not_found(cluster: Cluster, store: Store) -> None:
    await store.add_account("a", URL, "org")
    await add(store, "1")
    await store.withdraw(["1"], {"state": "cancelled"}, 0.0)
    assert await cluster.lanes_without_lease() == []


async def test_rows_of_an_organisation_that_is_not_known_are_counted(cluster: Cluster, store: Store) -> None:
    await store.add_account("a", URL, None)
    await add(store, "1")
    assert await cluster.lanes_without_lease() == []
    assert await cluster.unknown_accounts() == 1


async def test_a_lease_that_was_not_renewed_is_found(cluster: Cluster, store: Store) -> None:
    await store.add_account("a", URL, "org")
    await add(store, "1")
    assert await store.acquire(LANE, "dead", 0.0) is not None
    assert await store.acquire(LANE._replace(org="other"), "alive", 15.0) is not None
    expired = await cluster.expired_leases()
    assert expired.lanes == [LANE]
    assert expired.next_end == pytest.approx(15.0, abs=5.0)


async def test_a_lease_of_an_outbox_that_was_not_renewed_is_found(cluster: Cluster, store: Store) -> None:
    await store.add_account("a", URL, "org")
    call = OutboxRow(0, "c", "a", URL, "publish", "s", REQUEST, 1, "waiting", 0, None, 0.0)
    await OutboxRows(store).accept([call])
    outbox = LANE._replace(name="outbox")
    assert await store.acquire(outbox, "dead", 0.0) is not None
    assert (await cluster.expired_leases()).lanes == [outbox]


async def test_a_lane_without_rows_wakes_no_worker_when_its_lease_is_over(
    cluster: Cluster, store: Store
) -> None:
    await store.add_account("a", URL, "org")
    await add(store, "1", service="reflect")
    assert await store.acquire(LANE, "dead", 0.0) is not None
    assert (await cluster.expired_leases()).lanes == []


async def test_the_drain_of_a_silent_worker_is_deleted(cluster: Cluster, database: PostgresDatabase) -> None:
    await cluster.wake(LANE)
    worker = await fetched(cluster)
    await cluster.free(5.0)
    assert len(await drains(database)) == 1
    silence = "update procrastinate_workers set last_heartbeat = now() - interval '6 s' where id = ?"
    await database.write([Statement(silence, (worker,))])
    await cluster.free(5.0)
    assert await drains(database) == []


async def test_a_drain_that_had_no_lease_for_a_while_is_deleted(
    cluster: Cluster, store: Store, database: PostgresDatabase
) -> None:
    other = LANE._replace(org="other")
    for lane in (LANE, other):
        await cluster.wake(lane)
        await fetched(cluster)
    assert await store.acquire(other, "alive") is not None
    for _ in range(2):
        await cluster.free_ended()
        assert len(await drains(database)) == 2
    await cluster.free_ended(after=0.0)
    assert await drains(database) == [(lock_of(other), "doing", False)]


# procrastinate's tables


async def test_a_user_who_may_not_make_them_gets_an_error_of_the_store(postgres_url: str) -> None:
    owned = PostgresDatabase(postgres_url)
    await owned.open()
    grants = (
        "create role writer login",
        "grant usage on schema reflexio_async to writer",
        "grant all on all tables in schema reflexio_async to writer",
    )
    await owned.write([Statement(sql) for sql in grants])
    await owned.aclose()
    database = PostgresDatabase(postgres_url.replace("reflexio:", "writer:"))
    await database.open()
    with pytest.raises(StoreError, match=r"procrastinate .* could not be made: permission denied for schema"):
        await Cluster(database).open()
    await database.aclose()


async def test_many_that_open_at_once_make_procrastinate_s_tables_once(postgres_url: str) -> None:
    databases = [PostgresDatabase(postgres_url) for _ in range(8)]
    await asyncio.gather(*(database.open() for database in databases))
    await asyncio.gather(*(Cluster(database).open() for database in databases))
    await asyncio.gather(*(Cluster(database).wake(LANE) for database in databases))
    assert len(await drains(databases[0])) == 1
    await asyncio.gather(*(database.aclose() for database in databases))


@pytest.mark.usefixtures("cluster")
async def test_what_a_newer_procrastinate_adds_to_its_tables_is_applied(
    database: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "99.00.00_01_pre.sql").write_text("create table added_by_procrastinate (id int);")
    monkeypatch.setattr(SchemaManager, "get_migrations_path", lambda: str(tmp_path))
    for _ in range(2):
        await Cluster(database).open()
    assert await database.read("select * from added_by_procrastinate") == []
