"""The sandbox's rows in a SQLite file, from which it starts again after a restart or ``kill -9``."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from reflexio_async.errors import ConfigurationError, ReflexioError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.storage.tables import Change, Changes, Place

APPLICATION: Final = 0x52465842
"""What says in a SQLite file's header that it is ours."""

FORMAT: Final = 2
"""Of the rows; another one is not read."""

_SLICE: Final = 500
"""Rows that are encoded before others get their turn on the loop."""

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
    """A change is not in the file, which does not take it or JSON cannot say it; it is tried again."""


class Storage:
    """Keeps what ``changes`` notes in the file ``path``, soon after it happens.

    Nobody else may open the file meanwhile. The clock is held while a thread writes.
    """

    def __init__(self, path: Path, clock: Clock, changes: Changes) -> None:
        self._path = path
        self._clock = clock
        self._changes = changes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reflexio-sandbox-data")
        self._database: sqlite3.Connection | None = None
        self._writing: asyncio.Task[None] | None = None
        self._kept = 0

    async def open(self, *, anew: bool = False) -> None:
        """Read every row into its table, or (``anew``) forget them all.

        Raises ConfigurationError when the file is not a sandbox's, of another format, in use or unreadable.
        """
        self._loop = asyncio.get_running_loop()
        try:
            with self._clock.busy():
                await self._in_thread(lambda: self._open(anew=anew))
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        self._changes.told = self._soon
        if self._changes.pending:
            self._soon()

    async def settled(self) -> None:
        """Return once all that has happened so far is in the file; raises NotStored when it is not."""
        target = self._changes.count
        while self._kept < target:
            await asyncio.shield(self._writing or self._begin())

    async def close(self) -> None:
        """Keep the rest and let go of the file; raises NotStored when there is a rest."""
        try:
            await self.settled()
        finally:
            self._changes.told = _nobody
            with self._clock.busy():
                await self._in_thread(self._close)
            self._thread.shutdown(wait=False)

    def _soon(self) -> None:
        # Whoever changes one row changes the next one too, before the loop comes round.
        self._loop.call_soon(self._begin)

    def _begin(self) -> asyncio.Task[None]:
        if self._writing is None:
            self._writing = self._loop.create_task(self._write())
            self._writing.add_done_callback(self._written)
        return self._writing

    def _written(self, writing: asyncio.Task[None]) -> None:
        if writing.cancelled():
            if self._writing is writing:  # cancelled before its first step
                self._writing = None
            return
        if (error := writing.exception()) is not None:
            _logger.error("%s", error)
        elif self._changes.pending:
            self._begin()

    async def _write(self) -> None:
        count, left = self._changes.count, self._changes.taken()
        try:
            with self._clock.busy():
                batch, unfit = await self._encoded(left)
                await self._in_thread(lambda: self._put(batch))
            left = {place: left[place] for place in unfit}
            for (kind, key), error in unfit.items():
                message = f"{self._path}: {kind} {key!r} cannot be written: {error}"
                raise NotStored(message) from error
            self._kept = count
        except sqlite3.Error as error:
            message = f"{self._path}: what happened could not be written: {error}"
            raise NotStored(message) from error
        finally:
            # Whatever ended it, a cancellation too: what is not in the file is still to be kept.
            self._changes.put_back(left)
            # Here, not when the loop comes to it: whoever waits for more begins the next one at once.
            self._writing = None

    async def _encoded(self, taken: dict[Place, bool]) -> tuple[list[Change], dict[Place, Exception]]:
        """The rows to write, and what JSON has against the others: one must not cost the rest."""
        batch: list[Change] = []
        unfit: dict[Place, Exception] = {}
        for number, (place, moved) in enumerate(taken.items(), 1):
            try:
                batch.append(self._changes.change(place, moved=moved))
            except Exception as error:  # noqa: BLE001  (a row may hold anything, told in NotStored)
                unfit[place] = error
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        return batch, unfit

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        # A thread cannot be stopped: whoever is cancelled meanwhile leaves only once it has ended.
        future = asyncio.wrap_future(self._thread.submit(work))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def _open(self, *, anew: bool) -> None:
        try:
            database = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            message = f"{self._path}: cannot be opened: {error}"
            raise ConfigurationError(message) from error
        try:
            self._claim(database)
            if anew:
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

    def _claim(self, database: sqlite3.Connection) -> None:
        # First look, for another program's file is to stay as it is.
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
            database.execute(_CREATE)
            database.execute(f"PRAGMA application_id = {APPLICATION}")
            database.execute(f"PRAGMA user_version = {FORMAT}")
        database.execute("COMMIT")
        database.execute("PRAGMA journal_mode = WAL")
        # What was written survives the end of this process; only a crash of the machine loses some.
        database.execute("PRAGMA synchronous = NORMAL")
        # The lock is taken with the first write under WAL, and then held.
        database.execute("BEGIN IMMEDIATE")
        database.execute("COMMIT")

    def _read(self, rows: sqlite3.Cursor) -> None:
        for kind, document in rows:
            # Rows of a service that is not served this time stay in the file.
            if (table := self._changes.tables.get(kind)) is None:
                continue
            try:
                table.restore(document)
            except (TypeError, ValueError, KeyError) as error:
                message = f"{self._path}: a row of {kind} cannot be read: {error}"
                raise ConfigurationError(message) from error

    def _put(self, batch: Sequence[Change]) -> None:
        assert self._database is not None  # noqa: S101  # open() came first
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            drops = [(row.kind, row.key) for row in batch if row.moved or row.document is None]
            database.executemany(_DROP, drops)
            puts = [(row.kind, row.key, row.document) for row in batch if row.document is not None]
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


def _nobody() -> None:
    pass
