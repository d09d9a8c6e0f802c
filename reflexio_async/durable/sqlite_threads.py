"""The threads of an open SQLite file: one writes, one reads.

``sqlite3`` blocks, so an event loop cannot call it. The writing thread takes everything that waits, and
commits it as one transaction: callers that write at once share one ``fsync``.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sqlite3
import threading
import time
from collections import defaultdict
from concurrent.futures import Future as ThreadFuture
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from weakref import WeakSet

from reflexio_async._engine.logs import fields
from reflexio_async.durable.sqlite_file import MEMORY, as_store_error, connect, database_text, when_free
from reflexio_async.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reflexio_async.durable.database import Row, Value

logger = logging.getLogger("reflexio_async")

_FIRST_LOOK, _LAST_LOOK = 0.05, 1.0  # seconds between two looks for the changes of other processes
_MOST_STATEMENTS = 2000  # in one transaction: other processes wait for its end
_EXIT_TIMEOUT = 10.0  # seconds that the end of the program waits for pending writes

_Done: TypeAlias = "tuple[asyncio.Future[Any], Any]"


class _Request(NamedTuple):
    """Statements to run in one transaction, and the future of the caller who waits for their rows.

    Without a caller they do not wait for the disk.
    """

    future: asyncio.Future[Any] | None
    statements: Sequence[tuple[str, tuple[Value, ...]]]


_Queue: TypeAlias = "SimpleQueue[_Request | None]"  # None: look whether there is something else to do


class OpenFile:
    """The threads of an open file. Nothing in it locks: an event loop must never wait for a thread.

    Attributes:
        opened: Done when the file is open; its error says why it could not be opened.
        ended: Done when the threads have closed the file.
        path: The file.
        pid: The process that opened it.
        writes: What waits for the writing thread.
        reads: What waits for the reading thread.
        waiters: The futures that wait for a change, and their loops.
    """

    def __init__(
        self, path: str, monotonic: Callable[[], float], busy_timeout: float, count: Callable[[], None]
    ) -> None:
        self.pid = os.getpid()
        self.opened: ThreadFuture[None] = ThreadFuture()
        self.ended: ThreadFuture[None] = ThreadFuture()
        self.writes: _Queue = SimpleQueue()
        # A database in memory belongs to one connection, so one thread does everything.
        self.reads: _Queue = self.writes if path == MEMORY else SimpleQueue()
        self.waiters: dict[asyncio.Future[Any], asyncio.AbstractEventLoop] = {}
        self.path = path
        self._monotonic = monotonic
        self._busy_timeout = busy_timeout
        self._count = count
        self._closing = self._closed = False
        self._is_full = True
        self._version = -1
        self._file: tuple[int, int] | None = None
        self._look_after = _FIRST_LOOK
        self._next_look = 0.0
        # Daemons, because a client that is never closed must not keep the program from ending.
        self._writer = threading.Thread(target=self._write_all, name=f"store {path}", daemon=True)
        self._writer.start()
        open_files.add(self)

    @property
    def has_failed(self) -> bool:
        """Whether it could not be opened."""
        return self.opened.done() and self.opened.exception() is not None

    async def ask(
        self, queue: _Queue, statements: Sequence[tuple[str, tuple[Value, ...]]]
    ) -> list[list[Row]]:
        """Put ``statements`` into the queue of a thread. Return their rows."""
        future: asyncio.Future[list[list[Row]]] = asyncio.get_running_loop().create_future()
        queue.put(_Request(future, statements))
        if self._closed:
            self._refuse(queue)
        return await future

    def write_soon(self, statements: Sequence[tuple[str, tuple[Value, ...]]]) -> None:
        """Let the writing thread run ``statements``, without waiting for the disk."""
        self.writes.put(_Request(None, statements))
        if self._closed:
            self._refuse(self.writes)

    def look(self) -> None:
        """Let the writing thread look for changes of other processes, as long as there are waiters."""
        self.writes.put(None)

    def close(self) -> None:
        """Let the threads finish what waits and end."""
        self._closing = True
        self.writes.put(None)

    def refuse_fork(self) -> None:
        """Raise StoreError if the parent of this forked process opened it.

        SQLite takes the parent's locks for its own there, so that a new connection is not safe either.
        """
        if self.pid != os.getpid() and not self.ended.done():
            message = (
                f"the store {self.path} was open when this process was forked, and SQLite cannot use a file "
                "on both sides of a fork. Start the process with the method 'spawn', or make the client in "
                "the children only"
            )
            raise StoreError(message)

    def close_at_exit(self) -> None:
        """Finish what waits, and wait for that."""
        if self.pid == os.getpid():
            self.close()
            self._writer.join(_EXIT_TIMEOUT)

    # From here on, everything runs in the two threads.

    def _write_all(self) -> None:
        connections: list[sqlite3.Connection] = []
        error: StoreError | None = None
        try:
            connections.append(connect(self.path, self._monotonic, self._busy_timeout))
            if self.reads is not self.writes:
                connections.append(connect(self.path, self._monotonic, self._busy_timeout, reads=True))
            self._run(*connections)
        except Exception as failure:  # noqa: BLE001  # it is raised where the file is opened
            error = as_store_error(failure, self.path)
        for connection in reversed(connections):
            connection.close()
        self._closed = True
        self._refuse(self.reads)
        self._refuse(self.writes)
        self._hand_over([], changed=True)
        self.ended.set_result(None)
        if error is not None and self.opened.done():  # pragma: no cover  # a fault of this program
            logger.error(
                "the store %s was closed",
                self.path,
                exc_info=error,
                extra=fields("store_closed", error, store=str(self.path)),
            )
        elif error is not None:
            self.opened.set_exception(error)

    def _run(self, connection: sqlite3.Connection, for_reads: sqlite3.Connection | None = None) -> None:
        """Write what is asked for, until the file is to be closed."""
        reader = threading.Thread(
            target=self._read_all, args=(for_reads,), name=f"store {self.path} (reads)", daemon=True
        )
        if for_reads is not None:
            reader.start()
        (self._version,) = connection.execute("pragma data_version").fetchone()
        self._file = self._identity()
        self.opened.set_result(None)
        while requests := self._take_writes(connection):
            changes = connection.total_changes
            self._synchronise(connection, any(request.future is not None for request in requests))
            done = self._refuse_replaced(requests) or _run_group(
                connection, requests, self.path, self._busy_timeout
            )
            self._hand_over(done, changed=connection.total_changes != changes)
        if for_reads is not None:
            self.reads.put(None)
            reader.join()

    def _synchronise(self, connection: sqlite3.Connection, full: bool) -> None:  # noqa: FBT001
        """Choose whether the next transaction waits for the disk, with all that was written before it."""
        if full is not self._is_full:
            self._is_full = full
            connection.execute("pragma synchronous=full" if full else "pragma synchronous=normal")

    def _identity(self) -> tuple[int, int] | None:
        """What identifies the file at its place; None for a database in memory or no file."""
        try:
            found = os.stat(self.path)  # noqa: PTH116  # a path object costs each write more
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _refuse_replaced(self, requests: list[_Request]) -> list[tuple[_Request, Any]]:
        """Refuse all of ``requests`` if the file is gone: no other process would find what is written."""
        if self.path == MEMORY or self._identity() == self._file:
            return []
        message = (
            f"the store {self.path} was deleted or replaced while it was open. Put it back, with the files "
            "beside it, and restart the programs that use it"
        )
        return [(request, StoreError(message)) for request in requests]

    def _read_all(self, connection: sqlite3.Connection) -> None:
        while request := self.reads.get():
            self._hand_over([(request, _run_one(connection, request, self.path, whole=True))])

    def _take_writes(self, connection: sqlite3.Connection) -> list[_Request]:
        """Wait for requests and return those that wait. Return none when the file is to be closed."""
        requests: list[_Request] = []
        statements = 0
        while not requests:
            wait = max(self._next_look - time.monotonic(), 0) if self.waiters else None
            if self._closing and self.writes.empty():
                return []
            try:
                request = self.writes.get(timeout=wait)
                while True:
                    if request is not None and not (request.future and request.future.cancelled()):
                        requests.append(request)
                        statements += len(request.statements)
                        if statements >= _MOST_STATEMENTS:
                            break
                    request = self.writes.get_nowait()
            except Empty:
                self._look_for_changes(connection)
        return requests

    def _look_for_changes(self, connection: sqlite3.Connection) -> None:
        """Wake the waiters if another process has written since the last look."""
        if not self.waiters or time.monotonic() < self._next_look:
            return
        self._look_after = min(self._look_after * 1.5, _LAST_LOOK)
        self._next_look = time.monotonic() + self._look_after
        try:
            # Writes of this connection do not change it.
            (version,) = connection.execute("pragma data_version").fetchone()
        except sqlite3.Error:
            return  # reads and writes report it
        if version != self._version:
            self._version = version
            self._hand_over([], changed=True)

    def _hand_over(self, done: Sequence[tuple[_Request, Any]], *, changed: bool = False) -> None:
        """Give results to their callers, with one callback for each event loop."""
        by_loop: defaultdict[asyncio.AbstractEventLoop, list[_Done]] = defaultdict(list)
        for request, result in done:
            if request.future is not None:
                by_loop[request.future.get_loop()].append((request.future, result))
            elif isinstance(result, StoreError):
                logger.warning(
                    "a row could not be written: %s",
                    result,
                    extra=fields("row_not_written", result, store=str(self.path)),
                )
        if changed:
            self._count()
            self._look_after = _FIRST_LOOK
            while self.waiters:
                waiter, loop = self.waiters.popitem()
                by_loop[loop].append((waiter, None))
        for loop, results in by_loop.items():
            try:
                loop.call_soon_threadsafe(_resolve, results)
            except RuntimeError:  # the loop is closed, and its callers are gone
                continue

    def _refuse(self, queue: _Queue) -> None:
        """Refuse what was asked for when the file was already closed."""
        refused: list[tuple[_Request, StoreError]] = []
        try:
            while True:
                request = queue.get_nowait()
                if request is not None:
                    refused.append((request, StoreError(f"the store {self.path} was closed")))
        except Empty:
            self._hand_over(refused)


def _resolve(results: list[_Done]) -> None:
    for future, result in results:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def _run_group(
    connection: sqlite3.Connection, requests: list[_Request], path: str, busy_timeout: float
) -> list[tuple[_Request, Any]]:
    """Run all requests in one transaction. Return the rows of each, or its error."""
    try:
        when_free(connection, "begin immediate", busy_timeout)
    except sqlite3.Error as error:
        return [(request, as_store_error(error, path)) for request in requests]
    done: list[tuple[_Request, Any]] = []
    try:
        for request in requests:
            result = _run_one(connection, request, path, whole=len(requests) == 1)
            if isinstance(result, StoreError) and not connection.in_transaction:
                raise result  # this error has ended the transaction, with all that was in it
            done.append((request, result))
        connection.execute("commit")
    except (sqlite3.Error, StoreError) as error:
        if connection.in_transaction:
            connection.execute("rollback")
        if len(requests) == 1:
            return [(requests[0], as_store_error(error, path))]
        # One of them may be to blame: it must not fail the others.
        return [one for request in requests for one in _run_group(connection, [request], path, busy_timeout)]
    return done


def _run_one(
    connection: sqlite3.Connection, request: _Request, path: str, *, whole: bool
) -> list[list[Row]] | StoreError:
    """Run the statements of one request: all of them or none.

    ``whole``: the transaction has no other request, and ends with this one.
    """
    statements = request.statements
    # SQLite itself undoes a statement that fails.
    needs_savepoint = len(statements) > 1 and not whole
    try:
        if needs_savepoint:
            connection.execute("savepoint request")
        rows = [_rows(connection.execute(database_text(sql), values)) for sql, values in statements]
        if needs_savepoint:
            connection.execute("release request")
    except Exception as error:  # noqa: BLE001  # it is the caller's
        if needs_savepoint and connection.in_transaction:
            connection.execute("rollback to request")
            connection.execute("release request")
        elif whole and connection.in_transaction:
            connection.execute("rollback")
        return as_store_error(error, path)
    return rows


def _rows(cursor: sqlite3.Cursor) -> list[Row]:
    """The rows, or an empty one for each row that was changed: ``returning`` costs a table of its own."""
    return cursor.fetchall() if cursor.description else [()] * cursor.rowcount


open_files: WeakSet[OpenFile] = WeakSet()


def _close_all() -> None:
    for file in list(open_files):
        file.close_at_exit()


atexit.register(_close_all)
