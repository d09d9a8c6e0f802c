"""The SQLite file that keeps the sandbox's rows over a restart or ``kill -9``."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from reflexio_async._engine.clock import Clock
from reflexio_async.errors import ConfigurationError, ReflexioError
from reflexio_async.sandbox.storage.tables import ChangeTracker, RowChange, RowKey

APPLICATION: Final = 0x52465842
"""SQLite's ``application_id`` of a sandbox's file."""

FORMAT: Final = 5
"""The version of the rows. Another one is not read."""

_OWNER_ONLY: Final = 0o600
"""The file may hold keys and conversations, so only its owner may read it."""

_ROWS_PER_TURN: Final = 500
"""After encoding so many rows, other tasks of the loop get their turn."""

_CREATE: Final = """
CREATE TABLE IF NOT EXISTS rows (
    place INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL,
    UNIQUE (kind, key)
)
"""
_PUT: Final = """
INSERT INTO rows (kind, key, document) VALUES (?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE SET document = excluded.document
"""
_DROP: Final = "DELETE FROM rows WHERE kind = ? AND key = ?"

_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class NotStored(ReflexioError):
    """A change is not in the file: the file refused it, or JSON cannot encode it. It is tried again."""


class DataFile:
    """Writes the changes to all tables into a file, soon after they happen.

    No other process may open the file meanwhile. The clock is held while a thread writes.

    Args:
        path: The file. It is created with mode 0600 if it does not exist.
        clock: Held while a thread works.
        changes: The tables and their changes.
    """

    def __init__(self, path: Path, clock: Clock, changes: ChangeTracker) -> None:
        self._path = path
        self._clock = clock
        self._changes = changes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reflexio-sandbox-data")
        self._database: sqlite3.Connection | None = None
        self._writing: asyncio.Task[None] | None = None
        self._written = 0

    async def open(self, *, discard: bool = False) -> None:
        """Read every row into its table, or ``discard`` them all.

        Raises:
            ConfigurationError: The file is not a sandbox's, has another format, is in use or unreadable.
        """
        self._loop = asyncio.get_running_loop()
        try:
            with self._clock.busy():
                await self._in_thread(lambda: self._open(discard=discard))
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        self._changes.on_change = self._write_soon
        if self._changes.pending:
            self._write_soon()

    async def settled(self) -> None:
        """Return once all changes so far are in the file. Raises NotStored when one is not."""
        target = self._changes.count
        while self._written < target:
            await asyncio.shield(self._writing or self._begin_write())

    async def close(self) -> None:
        """Write the remaining changes and close the file. Raises NotStored when one is not written."""
        try:
            await self.settled()
        finally:
            self._changes.on_change = _ignore
            with self._clock.busy():
                await self._in_thread(self._close)
            self._thread.shutdown(wait=False)

    def _write_soon(self) -> None:
        # In the loop's next pass: further changes of this pass are then written with the first.
        self._loop.call_soon(self._begin_write)

    def _begin_write(self) -> asyncio.Task[None]:
        if self._writing is None:
            self._writing = self._loop.create_task(self._write())
            self._writing.add_done_callback(self._write_ended)
        return self._writing

    def _write_ended(self, writing: asyncio.Task[None]) -> None:
        if writing.cancelled():
            if self._writing is writing:  # cancelled before its first step
                self._writing = None
            return
        if (error := writing.exception()) is not None:
            _logger.error("%s", error)
        elif self._changes.pending:
            self._begin_write()

    async def _write(self) -> None:
        count, left = self._changes.count, self._changes.take()
        try:
            with self._clock.busy():
                batch, unfit = await self._encoded(left)
                await self._in_thread(lambda: self._put(batch))
            left = {row_key: left[row_key] for row_key in unfit}
            for (table, key), error in unfit.items():
                message = f"{self._path}: {table} {key!r} cannot be written: {error}"
                raise NotStored(message) from error
            self._written = count
        except sqlite3.Error as error:
            message = f"{self._path}: changes could not be written: {error}"
            raise NotStored(message) from error
        finally:
            # After any end, cancellation included, what is not in the file is still pending.
            self._changes.put_back(left)
            # Not in the done callback: a task that waits for more changes begins the next write at once.
            self._writing = None

    async def _encoded(self, taken: dict[RowKey, bool]) -> tuple[list[RowChange], dict[RowKey, Exception]]:
        """The rows to write, and the errors of rows that JSON cannot encode. One must not cost the rest."""
        batch: list[RowChange] = []
        unfit: dict[RowKey, Exception] = {}
        for number, (row_key, reinsert) in enumerate(taken.items(), 1):
            try:
                batch.append(self._changes.row_change(row_key, reinsert=reinsert))
            except Exception as error:  # noqa: BLE001  (a row may hold any object; NotStored reports it)
                unfit[row_key] = error
            if number % _ROWS_PER_TURN == 0:
                await asyncio.sleep(0)
        return batch, unfit

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        # A thread cannot be stopped. A cancelled caller leaves once the thread is done.
        future = asyncio.wrap_future(self._thread.submit(work))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def _open(self, *, discard: bool) -> None:
        try:
            self._create()
            database = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            message = f"{self._path}: cannot be opened: {error}"
            raise ConfigurationError(message) from error
        try:
            self._claim(database)
            if discard:
                database.execute("DELETE FROM rows")
            self._read(database.execute("SELECT kind, document FROM rows ORDER BY place"))
        except sqlite3.Error as error:
            database.close()
            message = f"{self._path}: {_reason(error)}"
            raise ConfigurationError(message) from error
        except BaseException:
            database.close()
            raise
        self._database = database

    def _create(self) -> None:
        """Create the file if it does not exist. SQLite gives its ``-wal`` and ``-shm`` the same mode."""
        if not self._path.exists():
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, _OWNER_ONLY))

    def _claim(self, database: sqlite3.Connection) -> None:
        # Look first: another program's file must stay as it is.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("BEGIN IMMEDIATE")
        application = _value(database, "PRAGMA application_id")
        version = _value(database, "PRAGMA user_version")
        fresh = not application and not _value(database, "SELECT count(*) FROM sqlite_master")
        if application != APPLICATION and not fresh:
            message = f"{self._path}: a SQLite file, but not one of a sandbox"
            raise ConfigurationError(message)
        if not fresh and version != FORMAT:
            message = (
                f"{self._path}: written by another version of the sandbox "
                f"(format {version}, this one reads {FORMAT})"
            )
            raise ConfigurationError(message)
        if fresh:
            self._path.chmod(_OWNER_ONLY)  # an empty file may have another mode
            database.execute(_CREATE)
            database.execute(f"PRAGMA application_id = {APPLICATION}")
            database.execute(f"PRAGMA user_version = {FORMAT}")
        database.execute("COMMIT")
        database.execute("PRAGMA journal_mode = WAL")
        # What was written survives the end of this process. Only a crash of the machine loses some of it.
        database.execute("PRAGMA synchronous = NORMAL")
        # Under WAL the first write takes the lock, which is then held.
        database.execute("BEGIN IMMEDIATE")
        database.execute("COMMIT")

    def _read(self, rows: sqlite3.Cursor) -> None:
        for name, document in rows:
            # Rows of a service that does not run this time stay in the file.
            if (table := self._changes.tables.get(name)) is None:
                continue
            try:
                table.restore(document)
            except (TypeError, ValueError, KeyError) as error:
                message = f"{self._path}: a row of {name} cannot be read: {error}"
                raise ConfigurationError(message) from error

    def _put(self, batch: Sequence[RowChange]) -> None:
        assert self._database is not None  # noqa: S101  # open() was called
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            drops = [(change.table, change.key) for change in batch if change.reinsert or not change.document]
            database.executemany(_DROP, drops)
            puts = [(change.table, change.key, change.document) for change in batch if change.document]
            database.executemany(_PUT, puts)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()


def _value(database: sqlite3.Connection, query: str) -> Any:
    return database.execute(query).fetchone()[0]


def _reason(error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return "in use by another running sandbox"
    if "not a database" in str(error):
        return "not a SQLite file, so not one of a sandbox"
    return f"cannot be used: {error}"


def _ignore() -> None:
    pass
