"""A store in one SQLite file, which several processes of one machine may use at once."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING

from reflexio_async.durable.sqlite_file import MEMORY
from reflexio_async.durable.sqlite_threads import OpenFile, open_files
from reflexio_async.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reflexio_async.durable.database import Row, Statement, Value

BUSY_TIMEOUT = 10.0
"""Seconds to wait for another process that is writing."""

_lock = threading.Lock()  # of opening and closing


class SQLiteDatabase:
    """A ``Database`` in the SQLite file ``path``.

    It may be used from several event loops, at once and one after the other. ``open`` and ``aclose`` are
    counted: the last ``aclose`` closes the file.

    Args:
        path: The file. ``:memory:`` is a database that ends when it is closed.
        monotonic: The clock of the leases, in seconds. All processes with this file must have the same.
        busy_timeout: Seconds to wait for another process that is writing.
    """

    def __init__(
        self,
        path: str,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        busy_timeout: float = BUSY_TIMEOUT,
    ) -> None:
        self.name = path
        self.changes = 0
        self._monotonic = monotonic
        self._busy_timeout = busy_timeout
        self._users = 0
        self._file: OpenFile | None = None

    async def open(self) -> None:
        """Open the file, and make it if there is none.

        Raises:
            StoreError: It cannot be used. The message says why and what to do.
        """
        with _lock:
            for file in open_files:
                if file is self._file or file.path == self.name != MEMORY:
                    file.refuse_fork()
            if self._file is None or self._file.has_failed:
                self._file = OpenFile(self.name, self._monotonic, self._busy_timeout, self._count)
            self._users += 1
            file = self._file
        try:
            await asyncio.shield(asyncio.wrap_future(file.opened))
        except BaseException:
            await self.aclose()
            raise

    def _count(self) -> None:
        self.changes += 1

    def _opened(self) -> OpenFile:
        file = self._file
        if file is None:
            message = f"the store {self.name} is not open"
            raise StoreError(message)
        file.refuse_fork()
        return file

    async def read(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows of one SELECT."""
        file = self._opened()
        return (await file.ask(file.reads, ((sql, values),)))[0]

    async def write(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run ``statements`` in one transaction. Return the rows of each, when all are safe on the disk.

        Raises:
            StoreError: Nothing was written.
        """
        file = self._opened()
        return await file.ask(file.writes, statements)

    def write_soon(self, statements: Sequence[Statement]) -> None:
        """Run ``statements`` in one transaction, soon. See ``Database``."""
        self._opened().write_soon(statements)

    async def changed(self, within: float, since: int | None = None) -> int:
        """Wait until rows may have changed, in any process, and at most ``within`` seconds.

        Args:
            within: Seconds.
            since: The value of ``changes`` before the rows were read. If they have changed since then, there
                is no waiting.

        Returns:
            The value of ``changes`` now.
        """
        file = self._opened()
        waiter = asyncio.get_running_loop().create_future()
        file.waiters[waiter] = asyncio.get_running_loop()
        try:
            if since is None or since == self.changes:
                file.look()
                async with asyncio.timeout(within):
                    await waiter
        except TimeoutError:
            pass
        finally:
            file.waiters.pop(waiter, None)
        return self.changes

    async def aclose(self) -> None:
        """Finish the writes that were asked for, and close the file, if no other client has it open."""
        with _lock:
            self._users = max(self._users - 1, 0)
            file = self._file
            if self._users or file is None or file.pid != os.getpid():
                return
            self._file = None
        file.close()
        await asyncio.shield(asyncio.wrap_future(file.ended))
