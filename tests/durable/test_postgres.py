"""A store's database in Postgres: connecting, outages, changes. What every database does is in test_store."""

from __future__ import annotations

import asyncio
import multiprocessing
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from reflexio_async.durable import postgres as module
from reflexio_async.durable.database import Statement
from reflexio_async.durable.postgres import PostgresDatabase
from reflexio_async.durable.schema import VERSION
from reflexio_async.errors import StoreError
from tests.hang import A_HANG, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.postgres import PostgresServer

ADD = "insert into account (id, url) values (?, ?)"


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncGenerator[PostgresDatabase]:
    database = PostgresDatabase(url, **options)
    await database.open()
    try:
        yield database
    finally:
        await database.aclose()


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


_OURS = "from pg_stat_activity where application_name = 'reflexio_async' and datname = current_database()"
COUNT_CONNECTIONS = f"select count(*) {_OURS}"  # constants
END_CONNECTIONS = f"select pg_terminate_backend(pid) {_OURS}"  # constants


async def accounts(database: PostgresDatabase) -> list[str]:
    return [name for (name,) in await database.read("select id from account order by id")]


def test_an_error_that_quotes_the_password_does_not_show_it() -> None:
    database = PostgresDatabase("postgresql://me:secret-word@127.0.0.1:9/db")
    error = database._error(psycopg.OperationalError("no such option: secret-word"))
    assert str(error) == ("the store postgresql://me@127.0.0.1:9/db cannot be used: no such option: ***")


async def test_what_is_written_is_there_for_another_process(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as other:
        await one.write([Statement(ADD, ("a", "http://server"))])
        assert await accounts(other) == ["a"]


async def test_statements_of_one_write_are_written_all_or_none(postgres_url: str) -> None:
    async with opened(postgres_url) as database:
        twice = [Statement(ADD, ("a", "http://server"))] * 2
        with pytest.raises(StoreError, match="duplicate key"):
            await database.write(twice)
        assert await accounts(database) == []


async def test_a_process_that_stops_in_the_middle_of_a_transaction_keeps_no_row_locked(
    postgres_url: str,
) -> None:
    """The database ends the transaction after ``IDLE_TIMEOUT``."""
    async with opened(postgres_url) as frozen, opened(postgres_url) as other:
        await other.write([Statement(ADD, ("a", "http://server"))])
        change = Statement("update account set org = ?", ("acme",))
        with suppress(psycopg.errors.IdleInTransactionSessionTimeout):
            async with frozen.pool.connection() as connection, connection.transaction():
                await connection.execute("update account set org = 'zombie'")
                async with asyncio.timeout(A_HANG):
                    await other.write([change])
        assert await other.read("select org from account") == [("acme",)]


async def test_every_statement_of_a_write_gives_its_rows_or_one_for_each_that_it_has_changed(
    postgres_url: str,
) -> None:
    async with opened(postgres_url) as database:
        done = await database.write(
            [Statement(f"{ADD} returning id", ("a", "x")), Statement(ADD, ("b", "x")), Statement("select 7")]
        )
    assert done == [[("a",)], [()], [(7,)]]


async def test_an_application_s_own_table_of_the_same_name_is_left_alone(postgres_url: str) -> None:
    execute(postgres_url, "create table account (id int)")
    async with opened(postgres_url) as database:
        await database.write([Statement(ADD, ("a", "http://server"))])
    assert execute(postgres_url, "select count(*) from account") == [(0,)]


async def test_many_that_open_at_once_make_the_tables_once(postgres_url: str) -> None:
    databases = [PostgresDatabase(postgres_url) for _ in range(20)]
    await asyncio.gather(*(database.open() for database in databases))
    await asyncio.gather(*(database.aclose() for database in databases))
    assert execute(postgres_url, "select number from reflexio_async.version") == [(VERSION,)]


async def test_tables_of_a_newer_release_are_refused(postgres_url: str) -> None:
    async with opened(postgres_url):
        execute(postgres_url, "update reflexio_async.version set number = number + 1")
    with pytest.raises(StoreError, match=rf"newer release .*\(version {VERSION + 1} .*Upgrade"):
        await PostgresDatabase(postgres_url).open()


async def test_a_user_who_may_not_read_the_tables_is_told_so(postgres_url: str) -> None:
    async with opened(postgres_url):
        execute(postgres_url, "create role stranger login")
    with pytest.raises(StoreError, match="permission denied for schema reflexio_async"):
        await PostgresDatabase(postgres_url.replace("reflexio:", "stranger:")).open()


async def test_closing_closes_all_connections(postgres_url: str) -> None:
    async with opened(postgres_url) as database:
        await database.changed(0.1)
        await accounts(database)
        assert execute(postgres_url, COUNT_CONNECTIONS) > [(0,)]
    await until(lambda: execute(postgres_url, COUNT_CONNECTIONS) == [(0,)])


async def test_the_last_of_several_clients_closes_it(postgres_url: str) -> None:
    async with opened(postgres_url) as database:
        await database.open()
        await database.aclose()
        assert await accounts(database) == []
    with pytest.raises(StoreError, match="is not open"):
        await accounts(database)


def test_event_loops_one_after_the_other_have_connections_of_their_own(postgres_url: str) -> None:
    database = PostgresDatabase(postgres_url)

    async def add(name: str) -> list[str]:
        await database.open()
        await database.write([Statement(ADD, (name, "http://server"))])
        found = await accounts(database)
        await database.aclose()
        return found

    assert [asyncio.run(add("a")), asyncio.run(add("b"))] == [["a"], ["a", "b"]]


def read_in_child(database: PostgresDatabase, answers: Any) -> None:
    async def read() -> str:
        try:
            await database.open()
        except StoreError as error:
            return str(error)
        return "opened"

    answers.put(asyncio.run(read()))


async def test_a_forked_child_is_refused(postgres_url: str) -> None:
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    async with opened(postgres_url) as database:
        child = context.Process(target=read_in_child, args=(database, answers))
        child.start()
        assert "forked" in await asyncio.to_thread(answers.get, timeout=A_HANG)
        child.join()
        assert await accounts(database) == []


# Outages


async def test_an_operation_outlasts_a_restart_of_the_server(
    postgres: PostgresServer, postgres_url: str
) -> None:
    async with opened(postgres_url) as database:
        await accounts(database)
        await asyncio.to_thread(postgres.stop)
        writing = asyncio.create_task(database.write([Statement(ADD, ("a", "http://server"))]))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(postgres.start)
        await writing
        assert await accounts(database) == ["a"]


async def test_a_server_that_stays_away_ends_an_operation_in_time(
    postgres: PostgresServer, postgres_url: str
) -> None:
    async with opened(postgres_url, outage_timeout=0.5) as database:
        await accounts(database)
        await asyncio.to_thread(postgres.stop)
        try:
            with pytest.raises(
                StoreError, match=r"postgresql://reflexio@/\w+ cannot be used: .*within 0.5 s"
            ):
                await accounts(database)
        finally:
            await asyncio.to_thread(postgres.start)


async def test_a_connection_that_the_server_ended_is_replaced(postgres_url: str) -> None:
    async with opened(postgres_url) as database:
        await accounts(database)
        execute(postgres_url, END_CONNECTIONS)
        assert await accounts(database) == []


# Messages


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ana:s3cr3t@localhost:1/reflexio",
        "postgresql://ana:s3cr3t@/reflexio?host=/nowhere",
        "postgresql://ana:s3cr3t@localhost/reflexio?colour=red",
        "postgresql://ana:s3cr3t@local host:port/x",
    ],
)
async def test_no_message_holds_the_password(url: str) -> None:
    with pytest.raises(StoreError) as refused:
        await PostgresDatabase(url).open()
    chain: list[BaseException | None] = [refused.value]
    while (error := chain[-1]) is not None:
        assert "s3cr3t" not in f"{error} {error!r}"
        chain.append(None if error.__suppress_context__ and not error.__cause__ else error.__cause__)


async def test_the_message_names_the_server_and_the_reason() -> None:
    with pytest.raises(StoreError, match=r"store postgresql://ana@localhost:1/reflexio .*refused"):
        await PostgresDatabase("postgresql://ana:s3cr3t@localhost:1/reflexio").open()


# Changes

JOB = (
    "insert into job (id, account, url, service, kind, request, params, created_at) "
    "values ('j', 'a', 'u', 's', 'k', '[]', '[]', 0)"
)
END = Statement("update job set state = ? where id = 'j'", ("ended",))


async def test_the_outcome_of_a_job_wakes_another_process_at_once(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_INTERVAL", 10 * A_HANG)
    async with opened(postgres_url) as one, opened(postgres_url) as other:
        await one.write([Statement(JOB)])
        seen = await other.changed(1)
        waiting = asyncio.create_task(other.changed(10 * A_HANG, since=seen))
        await asyncio.sleep(0.2)
        await one.write([END])
        async with asyncio.timeout(A_HANG):
            assert await waiting > seen


async def test_a_change_between_reading_and_waiting_is_not_missed(postgres_url: str) -> None:
    async with opened(postgres_url) as database:
        seen = await database.changed(A_HANG)
        await database.write([Statement(JOB)])
        await database.write([END])
        assert await database.changed(A_HANG, since=seen) > seen
        async with asyncio.timeout(A_HANG):
            assert await database.changed(10 * A_HANG, since=seen) > seen


async def test_without_notifications_rows_are_looked_at_now_and_then(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_INTERVAL", 0.2)
    async with opened(postgres_url) as database:
        seen = await database.changed(A_HANG)
        assert await database.changed(A_HANG, since=seen) > seen


async def test_waiting_for_changes_goes_on_when_its_connection_ends(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_INTERVAL", 0.2)
    async with opened(postgres_url) as one, opened(postgres_url) as other:
        await one.write([Statement(JOB)])
        seen = await other.changed(A_HANG)
        execute(postgres_url, END_CONNECTIONS)
        async with asyncio.timeout(A_HANG):
            while seen < 8:
                seen = await other.changed(A_HANG, since=seen)


async def test_waiting_for_changes_ends_in_time(postgres_url: str) -> None:
    async with opened(postgres_url) as database:
        seen = await database.changed(A_HANG)
        async with asyncio.timeout(A_HANG):
            await database.changed(0.05, since=seen)
