"""Reading a store in Postgres over one connection that may only read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg

from reflexio_async.durable.postgres import SCHEMA, database_text
from reflexio_async.errors import StoreError, printable

if TYPE_CHECKING:
    from reflexio_async.durable.database import Row, Value

_CONNECT_TIMEOUT = 10  # seconds


class PostgresReader:
    """A ``StoreReader`` of the store at ``url``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._lock = asyncio.Lock()

    async def read(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows of one SELECT."""
        async with self._lock:
            try:
                if self._connection is None:
                    self._connection = await self._connect()
                cursor = await self._connection.execute(database_text(sql), values)
                return await cursor.fetchall()
            except psycopg.errors.UndefinedTable:
                await self._close()
                message = "the database has no tables of a store; the first client or worker makes them"
                raise StoreError(message) from None
            except psycopg.Error as error:
                await self._close()
                # Its text may hold the address, but psycopg leaves out the password.
                reason = printable(" ".join(str(error).split()), 300)
                message = f"the database cannot be read: {reason}"
                raise StoreError(message) from None

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT
        )
        settings = f"set default_transaction_read_only to on; set search_path to {SCHEMA}; set jit to off"
        await connection.execute(settings.encode())
        return connection

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def aclose(self) -> None:
        """Close the connection."""
        async with self._lock:
            await self._close()
