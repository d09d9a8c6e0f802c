"""Opens the SQLite file of a store, and says in words what is wrong with one."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from reflexio_async._engine.files import fault_of
from reflexio_async.durable.process import has_ended, this_process
from reflexio_async.durable.schema import TABLES, VERSION
from reflexio_async.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from reflexio_async.durable.database import Row

MEMORY = ":memory:"

_APPLICATION = 0x5266_6C78  # marks the file as ours
_OLDEST_SQLITE = (3, 35, 0)  # has ``returning``
_FIRST_PAUSE, _LAST_PAUSE = 0.0005, 0.01  # seconds between two tries

# Their locks, or the memory that processes share, do not work between machines.
_NETWORK = frozenset(
    [
        *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph", "fuse.cephfs", "fuse.davfs"),
        *("fuse.gcsfuse", "fuse.glusterfs", "fuse.juicefs", "fuse.rclone", "fuse.s3fs", "fuse.smbnetfs"),
        *("fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb2"),
        *("smb3", "smbfs"),
    ]
)


def database_text(sql: str) -> str:
    """Replace the names in braces by what they are in SQLite."""
    if "{" not in sql:
        return sql
    return (
        sql.replace("{now}", "monotonic()")
        .replace("{boot}", "boot()")
        .replace("{process}", "this_process()")
        .replace("{ended}", "has_ended(process)")
        .replace("{size}", "(select page_count * page_size from pragma_page_count, pragma_page_size)")
        .replace("{serial} primary key", "integer primary key autoincrement")
    )


def connect(
    path: str, monotonic: Callable[[], float], busy_timeout: float, *, reads: bool = False
) -> sqlite3.Connection:
    """Open the file and check it. Make it, with its tables, if there is none.

    Raises:
        StoreError: It cannot be used.
        sqlite3.Error: ``as_store_error`` says what it means.
        OSError: Likewise.
    """
    if path != MEMORY and not reads:
        _check_file(Path(path))
    # One thread opens both connections, and another one reads.
    connection = sqlite3.connect(
        path, timeout=busy_timeout, isolation_level=None, check_same_thread=not reads
    )
    try:
        _add_functions(connection, monotonic)
        if reads:
            connection.execute("pragma query_only=1")
        else:
            _prepare(connection, path, busy_timeout)
            connection.execute("pragma busy_timeout=0")  # ``when_free`` waits
    except BaseException:
        connection.close()
        raise
    return connection


def connect_read_only(path: str) -> sqlite3.Connection:
    """Open a file that must be there, for SELECTs in any thread. It is the file of a store, or it is refused.

    Raises:
        StoreError: It is no store, or of a newer release.
        sqlite3.Error: ``as_store_error`` says what it means.
    """
    address = f"file:{quote(os.path.abspath(path))}?mode=ro"  # noqa: PTH100  # without following links
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        _add_functions(connection, time.monotonic)
        version = _check_owner(connection, path)
    except BaseException:
        connection.close()
        raise
    if version == 0:
        connection.close()
        message = f"the store {path} has no tables yet; the first client or rerun with it makes them"
        raise StoreError(message)
    return connection


def _add_functions(connection: sqlite3.Connection, monotonic: Callable[[], float]) -> None:
    """Add what ``database_text`` writes in place of the names in braces."""
    boot = _boot_id()
    connection.create_function("monotonic", 0, monotonic)
    connection.create_function("boot", 0, lambda: boot)
    connection.create_function("this_process", 0, this_process)
    connection.create_function("has_ended", 1, has_ended)


def _boot_id() -> str:
    """The id of this start of the machine. Where there is none, ``Store.acquire`` sees it by the times."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _check_file(path: Path) -> None:
    """Refuse a file that cannot be the file of a store, and create one that does not exist, for its owner."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        message = f"a store needs SQLite 3.35, and this Python has {sqlite3.sqlite_version}"
        raise StoreError(message)
    if (fault := fault_of(path.resolve())) is not None:
        message = f"the store {path} cannot be used: {fault}"
        raise StoreError(message)
    kind = file_system(_mounts(), path.resolve().parent)
    if kind in _NETWORK:
        message = (
            f"the store {path} is on a network file system ({kind}), where SQLite can lose data. Use a disk "
            "of this machine, or for several machines store='postgresql://…'"
        )
        raise StoreError(message)
    # In this order, because another process may be making the file: the log comes after the file.
    log = Path(f"{path}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    if has_log and not (path.exists() and path.stat().st_size > 0):
        message = (
            f"the store {path} is missing or empty, but {log.name} beside it holds rows that belong to it. "
            "Put the file back, or delete both"
        )
        raise StoreError(message)
    with suppress(FileExistsError):
        # SQLite gives the mode of the file to the two beside it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if os.access(path, os.R_OK) and not os.access(path, os.W_OK):  # SQLite says so at the first write only
        message = f"the store {path} cannot be used: {_ADVICE[sqlite3.SQLITE_READONLY]}"
        raise StoreError(message)


def _mounts() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    except OSError:
        return ""


def file_system(mounts: str, folder: Path) -> str:
    """The type of the file system that ``folder`` is on, or an empty text when it is not known.

    Args:
        mounts: The text of ``/proc/self/mountinfo``.
        folder: An absolute path without symbolic links.
    """
    found, found_at = "", -1
    for line in mounts.splitlines():
        # 36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw
        mount, _, rest = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not rest:
            continue
        point = Path(_unescaped(fields[4]))
        # A later mount at the same place hides the earlier one.
        if len(point.parts) >= found_at and folder.is_relative_to(point):
            found, found_at = rest.split(" ")[0], len(point.parts)
    return found


def _unescaped(text: str) -> str:
    for char in " \t\n\\":
        text = text.replace(f"\\{ord(char):03o}", char)
    return text


def _prepare(connection: sqlite3.Connection, path: str, busy_timeout: float) -> None:
    """Check whose file it is, switch to write-ahead logging and make the tables."""
    with _transaction(connection, "begin"):  # other processes may be making the tables just now
        version = _check_owner(connection, path)
    if path != MEMORY:
        _switch_to_wal(connection, path, busy_timeout)
    connection.execute("pragma synchronous=full")
    connection.execute("pragma journal_size_limit=67108864")
    if version == VERSION:
        return
    with _transaction(connection, "begin immediate"):
        _check_owner(connection, path)
        for table in TABLES:
            connection.execute(database_text(table))
        connection.execute(f"pragma application_id={_APPLICATION}")
        connection.execute(f"pragma user_version={VERSION}")


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Generator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")


def _check_owner(connection: sqlite3.Connection, path: str) -> int:
    """Refuse the file of another program or a newer release. Return the version of its tables; 0: none."""
    (application,) = connection.execute("pragma application_id").fetchone()
    (version,) = connection.execute("pragma user_version").fetchone()
    (tables,) = connection.execute("select count(*) from sqlite_master").fetchone()
    if application != _APPLICATION and (tables or application):
        message = f"the store {path} is a database of another program. Name a file of its own"
        raise StoreError(message)
    if version > VERSION:
        message = (
            f"the store {path} was written by a newer release of reflexio_async (version {version} of its "
            f"tables; this release knows {VERSION}). Upgrade, or name another file"
        )
        raise StoreError(message)
    return int(version)


def _switch_to_wal(connection: sqlite3.Connection, path: str, busy_timeout: float) -> None:
    (mode,) = when_free(connection, "pragma journal_mode=wal", busy_timeout)
    if mode != "wal":
        message = f"the store {path} is on a file system where SQLite has no write-ahead log. Use another"
        raise StoreError(message)


def when_free(connection: sqlite3.Connection, sql: str, busy_timeout: float) -> Row:
    """Run a statement as soon as no other process is writing. Return its first row.

    SQLite's own waiting does not cover the switch to the write-ahead log. Between processes that write all
    the time it is not fair: it looks every 100 ms at last, and then misses the moments that are free.
    """
    ends_at = time.monotonic() + busy_timeout
    pause = _FIRST_PAUSE
    while True:
        try:
            return connection.execute(sql).fetchone() or ()
        except sqlite3.OperationalError as error:
            is_busy = _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not is_busy or time.monotonic() > ends_at:
                raise
        time.sleep(pause)
        pause = min(pause * 1.1, _LAST_PAUSE)


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says more precisely where


_ADVICE = {
    sqlite3.SQLITE_BUSY: "another program keeps it locked. Wait for that program or end it",
    sqlite3.SQLITE_LOCKED: "another program keeps it locked. Wait for that program or end it",
    sqlite3.SQLITE_FULL: "the disk is full. Make room",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written. Is it full, or is there a limit for files?",
    sqlite3.SQLITE_READONLY: "the file, or its folder, may only be read. Allow this user to write both",
    sqlite3.SQLITE_PERM: "this user has no permission to use the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened. May this user read and write it, and its folder?",
    sqlite3.SQLITE_NOTADB: "the file is not a store. Name another file",
    sqlite3.SQLITE_CORRUPT: "the file is damaged. Put a copy back, or name another file",
}


def as_store_error(error: Exception, path: str) -> StoreError:
    """What ``error`` means, and what to do."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, sqlite3.Error) and _code(error) in _ADVICE:
        reason = f"{_ADVICE[_code(error)]} ({error})"
    elif isinstance(error, OSError):
        reason = f"{error.strerror}"
    else:
        reason = f"{type(error).__name__}: {error}"
    made = StoreError(f"the store {path} cannot be used: {reason}")
    made.__cause__ = error
    return made


__all__ = [
    "MEMORY",
    "as_store_error",
    "connect",
    "connect_read_only",
    "database_text",
    "file_system",
    "when_free",
]
