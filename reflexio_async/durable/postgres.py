"""A store in a Postgres database, which several machines share. Needs the extra ``cluster``.

The tables are in a schema of their own, ``reflexio_async``, so that they can be in an application's database.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from reflexio_async._engine.logs import fields
from reflexio_async.durable.database import NO_POSTGRES_URL, Statement, without_password
from reflexio_async.durable.schema import TABLES, VERSION
from reflexio_async.durable.waker import Waker
from reflexio_async.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.tasks import TaskTracker
    from reflexio_async.durable.database import Row, Value

T = TypeVar("T")
logger = logging.getLogger("reflexio_async")
Connection: TypeAlias = "psycopg.AsyncConnection[Any]"
Pool: TypeAlias = "AsyncConnectionPool[Connection]"

SCHEMA = "reflexio_async"

CONNECTIONS = 4
"""Connections for reading and writing, for each process and event loop. One more waits for changes."""

OUTAGE_TIMEOUT = 30.0
"""Seconds that an operation waits for a database that is away, for example because it restarts."""

IDLE_TIMEOUT = 5.0
"""Seconds after which the database ends a transaction whose process says nothing more, for example because it
is frozen: the rows that it has locked are another's then."""

POLL_INTERVAL = 2.0
"""Seconds between two looks at the rows where no notification came. Changes that end nothing send none."""

_CHANNEL = "reflexio_async"
_LOCK = 0x5266_6C78  # of all processes that may make the tables
_QUIET = 0.05  # seconds between two looks at the rows, at least: several notifications are one
_CLOSE_TIMEOUT = 5.0

# A machine that is gone without a word is noticed after ten seconds, where the URL says nothing else.
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "tcp_user_timeout": 10_000,
    "application_name": "reflexio_async",
}

# The workers that were alive, and which changes of procrastinate's own tables were made.
_CLUSTER_TABLES = """
create table worker (name text primary key, seen_at double precision not null);
create table procrastinate_migration (name text primary key);
"""

# It is sent in a transaction of its own, which does not wait for the disk. Postgres commits transactions that
# notify one after the other, so that a notification in each write makes writes six times slower.
_NOTIFY = f"set local synchronous_commit to off; notify {_CHANNEL}".encode()


_SIZE = (
    "(select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint from pg_class "
    f"where relnamespace = '{SCHEMA}'::regnamespace and relkind = 'r')"
)


class PostgresDatabase:
    """A ``Database`` in Postgres.

    It may be used from several event loops, and has connections of its own on each. ``open`` and ``aclose``
    are counted for each loop: the last ``aclose`` closes the connections. While the database is away, an
    operation waits up to ``OUTAGE_TIMEOUT`` and is then tried again. That is safe, because each operation of
    ``Store`` may be repeated.

    Args:
        url: ``postgresql://user:password@host:port/database``, with any options of libpq.
        connections: See ``CONNECTIONS``.
        outage_timeout: See ``OUTAGE_TIMEOUT``.

    Raises:
        StoreError: ``url`` cannot be read.
    """

    def __init__(
        self, url: str, *, connections: int = CONNECTIONS, outage_timeout: float = OUTAGE_TIMEOUT
    ) -> None:
        try:
            given = conninfo_to_dict(url)
            self.name = without_password(url)
        except (psycopg.Error, ValueError):
            raise StoreError(NO_POSTGRES_URL) from None  # the error quotes the URL
        self.changes = 0
        self.outage_timeout = outage_timeout
        self._password = str(given.get("password") or "")
        self._parameters: dict[str, Any] = {**_DEFAULTS, **given}
        self.connections = connections
        self._opened: dict[asyncio.AbstractEventLoop, _Opened] = {}
        self._pid = os.getpid()

    async def open(self) -> None:
        """Connect, and make the tables if there are none.

        Raises:
            StoreError: It cannot be used. The message says why and what to do.
        """
        self._refuse_fork()
        loop = asyncio.get_running_loop()
        for other in [other for other in self._opened if other.is_closed()]:
            del self._opened[other]
        opened = self._opened.get(loop)
        if opened is None:
            opened = self._opened[loop] = _Opened(self._new_pool())
        opened.users += 1
        try:
            async with opened.opening:
                if not opened.is_ready:
                    await self._prepare()
                    await opened.pool.open()
                    opened.is_ready = True
        except BaseException:
            await self.aclose()
            raise

    async def read(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows of one SELECT."""

        async def read(connection: Connection) -> list[Row]:
            cursor = await connection.execute(database_text(sql), values)
            return await cursor.fetchall()

        return await self._run(read)

    async def write(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run ``statements`` in one transaction. Return the rows of each, when all are safe on the disk.

        Raises:
            StoreError: Nothing was written, or the connection broke just when it was, and again each time
                that it was tried.
        """

        async def write(connection: Connection) -> list[list[Row]]:
            if len(statements) == 1:
                ((sql, values),) = statements
                return [await _rows(await connection.execute(database_text(sql), values))]
            # One round trip, not one for each statement.
            async with connection.pipeline() as pipeline, connection.transaction():
                cursors = [await connection.execute(database_text(sql), values) for sql, values in statements]
                await pipeline.sync()
            return [await _rows(cursor) for cursor in cursors]

        opened = self._opened_here()
        rows = await self._run(write)
        if any(map(_ends_something, statements)):
            opened.notify_soon()
        return rows

    def write_soon(self, statements: Sequence[Statement]) -> None:
        """Run ``statements`` in one transaction, soon. See ``Database``."""
        opened = self._opened_here()
        opened.soon.append([Statement("set local synchronous_commit to off"), *statements])
        if opened.writer is None or opened.writer.done():
            opened.writer = asyncio.get_running_loop().create_task(self._write_soon(opened))

    async def _write_soon(self, opened: _Opened) -> None:
        while opened.soon:
            try:
                await self.write(opened.soon[0])
            except StoreError as error:
                logger.warning(
                    "a row could not be written: %s",
                    error,
                    extra=fields("row_not_written", error, store=self.name),
                )
            opened.soon.popleft()

    async def changed(self, within: float, since: int | None = None) -> int:
        """Wait until rows may have changed, in any process, and at most ``within`` seconds.

        Args:
            within: Seconds.
            since: The value of ``changes`` before the rows were read. If they have changed since then, there
                is no waiting.

        Returns:
            The value of ``changes`` now.
        """
        opened = self._opened_here()
        if opened.listener is None or opened.listener.done():
            opened.listener = asyncio.get_running_loop().create_task(self._listen(opened))
        if since is None or since == self.changes:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await opened.changed.wait()
        return self.changes

    async def aclose(self) -> None:
        """Finish the writes that were asked for, and close, if no other client of this loop has it open."""
        opened = self._opened.get(asyncio.get_running_loop())
        if opened is None or self._pid != os.getpid():
            return
        opened.users -= 1
        if opened.users <= 0:
            del self._opened[asyncio.get_running_loop()]
            await opened.aclose()

    def waker(
        self,
        url: str,
        organisation: Callable[[], Awaitable[str]],
        clock: Clock,
        tasks: TaskTracker,
        *,
        refused: Callable[[str, Exception], None] | None = None,
    ) -> Waker:
        """What wakes the workers for a client of the server at ``url``. See there."""
        return Waker(self, url, organisation, clock, tasks, refused=refused)

    @property
    def pool(self) -> Pool:
        """The connections of the running loop."""
        return self._opened_here().pool

    async def _connect(self) -> Connection:
        return await psycopg.AsyncConnection.connect(**self._parameters, autocommit=True)

    async def _prepare(self) -> None:
        """Make the tables if there are none. A wrong address fails here at once."""
        try:
            async with await self._connect() as connection:
                await _use_schema(connection)
                await _make_tables(connection)
        except psycopg.Error as error:
            raise self._error(error) from error

    def _refuse_fork(self) -> None:
        if self._pid != os.getpid():
            message = (
                f"the store {self.name} was opened before this process was forked. Start the process with "
                "the method 'spawn', or make the client in the children only"
            )
            raise StoreError(message)

    def _opened_here(self) -> _Opened:
        self._refuse_fork()
        opened = self._opened.get(asyncio.get_running_loop())
        if opened is None:
            message = f"the store {self.name} is not open"
            raise StoreError(message)
        return opened

    def _new_pool(self) -> Pool:
        return AsyncConnectionPool(
            # Not ``autocommit``: procrastinate gives it too, when it connects by these.
            kwargs=self._parameters,
            min_size=0,
            max_size=self.connections,
            timeout=self.outage_timeout,
            max_idle=60.0,
            configure=_use_schema,
            open=False,
            name=SCHEMA,
        )

    async def _run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Call ``work`` with a connection, again when that breaks, for ``outage_timeout`` seconds."""
        pool = self._opened_here().pool
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self.outage_timeout
        last: psycopg.Error | None = None
        while True:
            connection: Connection | None = None
            try:
                async with pool.connection(max(ends_at - loop.time(), 0.1)) as connection:
                    return await work(connection)
            except PoolTimeout as error:
                raise self._error(error, last) from (last or error)
            except psycopg.Error as error:
                is_passing = isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure))
                is_broken = connection is not None and connection.closed
                if not (is_passing or is_broken) or loop.time() > ends_at:
                    raise self._error(error) from error
                last = error
                await asyncio.sleep(0.01)

    def _error(self, error: psycopg.Error, last: psycopg.Error | None = None) -> StoreError:
        text = " ".join(str(last or error).split())
        if isinstance(error, PoolTimeout):
            text = f"no connection within {self.outage_timeout:g} s" + (f"; at first: {text}" if last else "")
        if self._password:
            text = text.replace(self._password, "***")
        return StoreError(f"the store {self.name} cannot be used: {text}")

    async def _listen(self, opened: _Opened) -> None:
        """Wake the waiters of a loop at each notification, and every ``POLL_INTERVAL`` seconds."""
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(f"listen {_CHANNEL}".encode())
                    while True:
                        self._wake(opened)
                        await asyncio.sleep(_QUIET)
                        async for _ in connection.notifies(timeout=POLL_INTERVAL, stop_after=1):
                            pass
            except psycopg.Error:
                # Without notifications the rows are still looked at.
                self._wake(opened)
                await asyncio.sleep(POLL_INTERVAL)

    def _wake(self, opened: _Opened) -> None:
        self.changes += 1
        opened.changed.set()
        opened.changed = asyncio.Event()


class _Opened:
    """What the database has on one event loop."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.users = 0
        self.is_ready = False
        self.opening = asyncio.Lock()
        self.changed = asyncio.Event()
        self.listener: asyncio.Task[None] | None = None
        self.soon: deque[list[Statement]] = deque()
        """What is written soon, in its order."""
        self.writer: asyncio.Task[None] | None = None
        self._notifier: asyncio.Task[None] | None = None
        self._has_changed = False

    def notify_soon(self) -> None:
        """Notify all processes soon. Several changes are one notification."""
        self._has_changed = True
        if self._notifier is None or self._notifier.done():
            self._notifier = asyncio.get_running_loop().create_task(self._notify_others())

    async def _notify_others(self) -> None:
        while self._has_changed:
            await self._notify()
            await asyncio.sleep(_QUIET)

    async def _notify(self) -> None:
        self._has_changed = False
        with contextlib.suppress(psycopg.Error):  # the others look at the rows now and then
            async with self.pool.connection() as connection:
                await connection.execute(_NOTIFY)

    async def aclose(self) -> None:
        if self.writer is not None:
            await asyncio.wait([self.writer])
        tasks = [task for task in (self.listener, self._notifier) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._has_changed:
            await self._notify()
        self.changed.set()
        await self.pool.close(_CLOSE_TIMEOUT)


def database_text(sql: str) -> bytes:
    """``sql`` as Postgres reads it: with its own placeholders, clock and types."""
    text = sql.replace("%", "%%").replace("?", "%s")
    if "{" in text:
        text = (
            text.replace("{now}", "extract(epoch from clock_timestamp())::float8")
            .replace("{boot}", "''")
            .replace("{process}", "''")
            .replace("{ended}", "false")
            .replace("{serial}", "bigserial")
            .replace("{size}", _SIZE)
        )
    return text.encode()


def _ends_something(statement: Statement) -> bool:
    """Whether others may wait for this: the outcome of a job, or a call that leaves the outbox."""
    sql, values = statement
    if sql.startswith("update job"):
        return "ended" in values or "set state = 'ended'" in sql
    return sql.startswith(("update outbox", "delete from outbox"))


async def _rows(cursor: psycopg.AsyncCursor[Any]) -> list[Row]:
    """The rows of a statement, or an empty one for each row that it has changed."""
    return await cursor.fetchall() if cursor.description else [()] * cursor.rowcount


async def _use_schema(connection: Connection) -> None:
    await connection.set_autocommit(True)
    # Compiling the look for lanes takes a second, running it a few milliseconds.
    settings = (
        f"set search_path to {SCHEMA}; set jit to off; "
        f"set idle_in_transaction_session_timeout to '{IDLE_TIMEOUT:g} s'"
    )
    await connection.execute(settings.encode())


async def _make_tables(connection: Connection) -> None:
    """Check the version of the tables. Make them if there are none."""
    if await _version(connection) == VERSION:
        return
    async with connection.transaction():
        # Many processes may be here at once. The first one makes the tables.
        await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        if await _version(connection) == VERSION:
            return
        await connection.execute(f"create schema if not exists {SCHEMA}".encode())
        for table in TABLES:
            await connection.execute(database_text(table))
        await connection.execute(_CLUSTER_TABLES.encode())
        await connection.execute("create table version (number int not null)")
        await connection.execute("insert into version values (%s)", (VERSION,))


async def _version(connection: Connection) -> int:
    """The version of the tables, and 0 if there are none."""
    # ``to_regclass`` may not see yet what another connection has just made.
    tables = "select 1 from pg_catalog.pg_tables where schemaname = %s and tablename = 'version'"
    cursor = await connection.execute(tables, (SCHEMA,))
    if await cursor.fetchone() is None:
        return 0
    cursor = await connection.execute(f"select number from {SCHEMA}.version".encode())
    (number,) = await cursor.fetchone() or (0,)
    if number > VERSION:
        message = (
            f"the store was made by a newer release of reflexio_async (version {number} of its tables; this "
            f"release knows {VERSION}). Upgrade, or name another database"
        )
        raise StoreError(message)
    return int(number)


__all__ = ["CONNECTIONS", "OUTAGE_TIMEOUT", "SCHEMA", "PostgresDatabase", "database_text"]
