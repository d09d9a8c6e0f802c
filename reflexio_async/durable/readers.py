"""Reading a store without taking part in it: nothing is written, no table is made and no lease is taken."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from reflexio_async.durable.sqlite_file import as_store_error, connect_read_only, database_text
from reflexio_async.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from reflexio_async.durable.database import Row, Value


class StoreReader(Protocol):
    """Reads the tables of a store. The SQL is as in ``Database``."""

    async def read(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows of one SELECT.

        Raises:
            StoreError: The store cannot be read now. The next call tries again.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...


def reader_of(store: str) -> StoreReader:
    """The reader of a file or of a database in Postgres. This does no I/O.

    Raises:
        ConfigurationError: It is an address, and the extra ``cluster`` is not installed.
    """
    if "://" not in store:
        return SQLiteReader(store)
    try:
        from reflexio_async.durable.postgres_reader import PostgresReader  # noqa: PLC0415  # an extra
    except ImportError as error:
        message = (
            f"a store in Postgres needs the extra cluster: pip install 'reflexio-async[cluster]' ({error})"
        )
        raise ConfigurationError(message) from None
    return PostgresReader(store)


class SQLiteReader:
    """Reads a store in a file, in threads. Other processes may write to it meanwhile."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None
        self._lock = asyncio.Lock()

    async def read(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows of one SELECT."""
        async with self._lock:
            return await asyncio.to_thread(self._read, database_text(sql), values)

    def _read(self, sql: str, values: tuple[Value, ...]) -> list[Row]:
        try:
            if self._opened is not None and not self._is_in_place(self._opened):
                self._close()
            if self._connection is None:
                self._connection = connect_read_only(self._path)
                self._opened = Path(self._path).stat()
            return self._connection.execute(sql, values).fetchall()
        except (sqlite3.Error, OSError, StoreError) as error:
            self._close()  # another file may be in its place next time
            raise as_store_error(error, self._path) from None

    def _is_in_place(self, opened: os.stat_result) -> bool:
        """Whether the path still names the open file: it may have been deleted or replaced."""
        try:
            return os.path.samestat(opened, Path(self._path).stat())
        except FileNotFoundError:
            return False

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._opened = None

    async def aclose(self) -> None:
        """Close the file."""
        async with self._lock:
            await asyncio.to_thread(self._close)
