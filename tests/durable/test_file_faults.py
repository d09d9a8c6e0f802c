"""What can be wrong with the file of a store: each error says what to do, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import textwrap
from contextlib import closing
from pathlib import Path
from subprocess import PIPE, Popen, run
from typing import TYPE_CHECKING, cast

import pytest

from reflexio_async.durable import sqlite_file
from reflexio_async.durable.database import Statement
from reflexio_async.durable.schema import VERSION
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.durable.sqlite_file import file_system
from reflexio_async.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADD = "insert into batch (id, account, url, kind, created_at) values (?, '', '', '', 0)"
HEAD = f"""
import asyncio, os, resource, sys
INSERT = {ADD!r}
from reflexio_async.durable.database import Statement
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.errors import StoreError
path = sys.argv[1]

async def write(name, **options):
    database = SQLiteDatabase(path, **options)
    await database.open()
    try:
        await database.write([Statement(INSERT, (name,))])
    finally:
        await database.aclose()
"""


def program(text: str, path: Path, *arguments: str) -> str:
    """Run a program that uses the file ``path``, and return what it prints."""
    done = run(
        [sys.executable, "-W", "error", "-c", HEAD + textwrap.dedent(text), path, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def write(path: Path, *names: str, busy_timeout: float = 10.0) -> None:
    """Write rows, with a database of its own."""

    async def work() -> None:
        database = SQLiteDatabase(str(path), busy_timeout=busy_timeout)
        await database.open()
        try:
            for name in names:
                await database.write([Statement(ADD, (name,))])
        finally:
            await database.aclose()

    asyncio.run(work())


def rows(path: Path) -> list[str]:
    """Read the rows without this library, and check the file."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        return [name for (name,) in connection.execute("select id from batch order by id")]


def refused(path: Path, match: str, work: Callable[[Path], None] = write) -> str:
    with pytest.raises(StoreError, match=match) as caught:
        work(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def written(path: Path) -> Path:
    """A store with two rows."""
    write(path, "ana", "ben")
    return path


# --- what is there is no store


def test_a_missing_folder(tmp_path: Path) -> None:
    message = refused(tmp_path / "no" / "store.db", "no folder")
    assert "Make it first" in message


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder. Name a file in it")


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_text("notes of mine\n" * 1000)
    refused(path, "is not a store. Name another file")
    assert path.read_text().startswith("notes of mine")


def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table job (id integer)")
    refused(path, "another program. Name a file of its own")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [("job",)]
        assert connection.execute("pragma journal_mode").fetchone() == ("delete",)


def test_a_file_of_a_newer_release(written: Path) -> None:
    with closing(sqlite3.connect(written)) as connection:
        connection.execute(f"pragma user_version={VERSION + 1}")
    message = refused(written, "newer release")
    assert "Upgrade, or name another file" in message
    assert rows(written) == ["ana", "ben"]


def test_a_truncated_file(written: Path) -> None:
    with written.open("r+b") as file:
        file.truncate(written.stat().st_size // 2)
    refused(written, "damaged. Put a copy back")


@pytest.mark.parametrize("is_there", [True, False], ids=["empty", "missing"])
def test_a_file_whose_log_was_left_behind_is_not_begun_anew(written: Path, *, is_there: bool) -> None:
    log = Path(f"{written}-wal")
    program("asyncio.run(write('eva')) if False else None\n" + LEAVES_LOG, written)
    assert log.stat().st_size > 0
    if is_there:
        os.truncate(written, 0)
    else:
        written.unlink()
    refused(written, "missing or empty, but store.db-wal beside it holds rows")
    assert log.stat().st_size > 0


LEAVES_LOG = """
async def main():
    database = SQLiteDatabase(path)
    await database.open()
    await database.write([Statement(INSERT, ("eva",))])
    print("written", flush=True)
    os._exit(0)

asyncio.run(main())
"""


def test_what_a_killed_process_wrote_is_there(written: Path) -> None:
    assert program(LEAVES_LOG, written) == "written\n"
    write(written, "fay")
    assert rows(written) == ["ana", "ben", "eva", "fay"]


# --- what may not be used

AS_OTHER_USER = """
if os.geteuid() == 0:
    asyncio.run  # everything is loaded now
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    asyncio.run(write("eva"))
except StoreError as error:
    print(error)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike those of pytest."""
    folder = Path(os.path.realpath("/tmp")) / f"reflexio-store-{os.getpid()}"  # noqa: S108  # others may enter it
    folder.mkdir()
    try:
        yield folder
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)


def test_a_folder_in_which_nothing_may_be_made(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    message = program(AS_OTHER_USER, open_folder / "store.db")
    assert f"this user may not write into {open_folder}" in message


def test_a_file_that_may_not_be_read(open_folder: Path) -> None:
    path = open_folder / "store.db"
    write(path, "ana")
    open_folder.chmod(0o777)
    path.chmod(0o000)
    message = program(AS_OTHER_USER, path)
    assert "cannot be opened. May this user read and write it, and its folder?" in message
    path.chmod(0o600)
    assert rows(path) == ["ana"]


def test_a_file_that_may_only_be_read(open_folder: Path) -> None:
    path = open_folder / "store.db"
    write(path, "ana")
    open_folder.chmod(0o777)
    path.chmod(0o444)
    message = program(AS_OTHER_USER, path)
    assert "may only be read. Allow this user to write both" in message
    assert rows(path) == ["ana"]


def test_a_file_that_may_only_be_read_is_refused_when_it_is_opened(open_folder: Path) -> None:
    path = open_folder / "store.db"
    write(path, "ana")
    open_folder.chmod(0o777)
    path.chmod(0o444)
    message = program(AS_OTHER_USER.replace('write("eva")', "SQLiteDatabase(path).open()"), path)
    assert "may only be read. Allow this user to write both" in message


# --- what others do with it


class BusyAtFirst:
    """A connection whose file is locked for two statements, and for which SQLite does not wait."""

    def __init__(self) -> None:
        self.asked = 0

    def execute(self, sql: str) -> sqlite3.Cursor:
        self.asked += 1
        if self.asked <= 2:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        assert sql == "pragma journal_mode=wal"
        return sqlite3.connect(":memory:").execute("select 'wal'")


def test_the_switch_to_the_log_is_tried_again_where_sqlite_itself_does_not_wait() -> None:
    connection = BusyAtFirst()
    sqlite_file._switch_to_wal(cast("sqlite3.Connection", connection), "store.db", 10.0)
    assert connection.asked == 3


def test_a_file_that_another_program_keeps_locked(written: Path) -> None:
    with closing(sqlite3.connect(written, isolation_level=None)) as other:
        other.execute("begin immediate")
        message = refused(written, "keeps it locked", lambda path: write(path, "eva", busy_timeout=0.2))
        assert "Wait for that program or end it" in message
        other.execute("rollback")
    write(written, "eva")
    assert rows(written) == ["ana", "ben", "eva"]


def test_a_write_waits_for_another_process_that_is_writing(written: Path) -> None:
    holder = Popen([sys.executable, "-c", HOLDS_LOCK, written], stdout=PIPE, text=True)
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline() == "locked\n"
        write(written, "eva")
    assert rows(written) == ["ana", "ben", "eva"]


HOLDS_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("begin immediate")
print("locked", flush=True)
time.sleep(0.5)
connection.execute("commit")
connection.close()
"""


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_deleted_while_it_is_open_takes_no_more_writes(
    written: Path, *, replaced: bool
) -> None:
    async def work() -> None:
        database = SQLiteDatabase(str(written))
        await database.open()
        try:
            await asyncio.to_thread(written.rename, written.with_name("moved.db"))
            if replaced:
                await asyncio.to_thread(written.touch)
            with pytest.raises(StoreError, match="was deleted or replaced while it was open"):
                await database.write([Statement(ADD, ("eva",))])
            await asyncio.to_thread(written.with_name("moved.db").rename, written)
            await database.write([Statement(ADD, ("fay",))])
        finally:
            await database.aclose()

    asyncio.run(work())
    assert rows(written) == ["ana", "ben", "fay"]


def test_opening_a_file_that_is_there_writes_nothing(written: Path) -> None:
    with closing(sqlite3.connect(written, isolation_level=None)) as other:
        other.execute("begin immediate")  # so a write would have to wait
        asyncio.run(open_and_close(written))


async def open_and_close(path: Path) -> None:
    database = SQLiteDatabase(str(path), busy_timeout=0.2)
    await database.open()
    await database.aclose()


@pytest.mark.slow
def test_sixty_processes_that_open_a_new_file_at_once(path: Path) -> None:
    failed = program(
        """
        children = []
        start, go = os.pipe()
        for number in range(60):
            child = os.fork()
            if child == 0:
                os.close(go)
                os.read(start, 1)  # all begin when the parent closes the other end
                try:
                    asyncio.run(write(f"{number:02}"))
                except BaseException as error:
                    print(error, flush=True)
                    os._exit(1)
                os._exit(0)
            children.append(child)
        os.close(go)
        print([os.waitpid(child, 0)[1] for child in children].count(0))
        """,
        path,
    )
    assert failed == "60\n"
    assert rows(path) == [f"{number:02}" for number in range(60)]


# --- the disk is full


@pytest.mark.parametrize("limit_kb", [200, 400])
def test_a_write_for_which_there_is_no_room_fails_and_those_before_it_are_kept(
    written: Path, limit_kb: int
) -> None:
    told = program(
        """
        limit = int(sys.argv[2]) * 1024
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        async def main():
            database = SQLiteDatabase(path)
            await database.open()
            for number in range(1000):
                try:
                    await database.write([Statement(INSERT, (f"row {number:03}" + "x" * 4000,))])
                except StoreError as error:
                    print(number, error)
                    break
            print(len(await database.read("select id from batch")))
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            await database.write([Statement(INSERT, ("there is room again",))])
            await database.aclose()

        asyncio.run(main())
        """,
        written,
        str(limit_kb),
    )
    error, count = told.splitlines()
    number = int(error.partition(" ")[0])
    assert "the disk cannot be read or written. Is it full" in error or "the disk is full. Make room" in error
    assert 0 < number < 1000
    assert int(count) == 2 + number
    assert len(rows(written)) == 3 + number


def test_a_full_disk_is_called_so(written: Path) -> None:
    async def work() -> None:
        database = SQLiteDatabase(str(written))
        await database.open()
        try:
            await database.write([Statement("pragma max_page_count=1")])
            with pytest.raises(StoreError, match=r"the disk is full\. Make room"):
                await database.write([Statement(ADD, ("x" * 100_000,))])
        finally:
            await database.aclose()

    asyncio.run(work())
    write(written, "z")
    assert rows(written)[-1] == "z"


async def test_one_write_that_is_too_large_for_the_disk_does_not_fail_those_beside_it(tmp_path: Path) -> None:
    database = SQLiteDatabase(str(tmp_path / "store.db"))
    await database.open()
    try:
        (((pages,),),) = await database.write([Statement("pragma page_count")])
        await database.write([Statement(f"pragma max_page_count={pages + 20}")])
        writes = [
            [Statement(ADD, (name + "x" * size,))] for name, size in (("a", 1), ("b", 500_000), ("c", 1))
        ]
        done = await asyncio.gather(*map(database.write, writes), return_exceptions=True)
        assert [type(outcome) for outcome in done] == [list, StoreError, list]
        assert await database.read("select substr(id, 1, 1) from batch order by id") == [("a",), ("c",)]
    finally:
        await database.aclose()


# --- network file systems

MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:50 / /home rw shared:1 - nfs4 server:/home rw,vers=4.2
41 40 0:51 / /home/ana/local rw - ext4 /dev/vdb rw
42 27 0:52 / /mnt/two\\040words rw master:1 propagate_from:2 - cifs //server/share rw
43 27 0:53 / /mnt/ssh rw - fuse.sshfs ana@server: rw
44 27 0:54 / /srv rw - ext4 /dev/vdc rw
45 44 0:55 / /srv rw - nfs server:/srv rw
a line that cannot be read
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/", "ext4"),
        ("/home/ana", "nfs4"),
        ("/homes", "ext4"),
        ("/home/ana/local/deep", "ext4"),
        ("/mnt/two words/deep", "cifs"),
        ("/mnt/ssh", "fuse.sshfs"),
        ("/srv/data", "nfs"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_the_deepest_and_last_mount(folder: str, kind: str) -> None:
    assert file_system(MOUNTS, Path(folder)) == kind


def test_without_a_mount_table_the_file_system_is_not_known() -> None:
    assert file_system("", Path("/home")) == ""


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "lustre", "afs"])
def test_a_network_file_system_is_refused(path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "_mounts", lambda: f"1 1 0:1 / {path.parent} rw - {kind} server rw\n")
    message = refused(path, rf"a network file system \({kind}\)")
    assert "postgresql://" in message
    assert not path.exists()


# --- forked processes

FORKS = """
def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(work())
        except StoreError as error:
            print(error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)

async def main():
    database = SQLiteDatabase(path)
    await database.open()
    await database.write([Statement(INSERT, ("parent",))])
    return database

"""


def test_a_forked_child_cannot_use_what_its_parent_has_open(path: Path) -> None:
    told = program(
        FORKS
        + textwrap.dedent("""
        loop = asyncio.new_event_loop()
        database = loop.run_until_complete(main())
        in_child(lambda: database.read("select id from batch"))
        in_child(database.open)
        in_child(lambda: write("child"))  # an object of its own, for the same file
        loop.run_until_complete(database.aclose())
        in_child(lambda: write("child"))
        loop.close()
        """),
        path,
    )
    first, second, third = told.splitlines()
    assert first == second == third
    assert "was open when this process was forked" in first
    assert "make the client in the children only" in first
    assert rows(path) == ["child", "parent"]  # the child of a parent that had closed it


def test_the_end_of_a_forked_child_does_not_disturb_its_parent(path: Path) -> None:
    program(
        FORKS
        + textwrap.dedent("""
        loop = asyncio.new_event_loop()
        database = loop.run_until_complete(main())
        child = os.fork()
        if child == 0:
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        loop.run_until_complete(database.write([Statement(INSERT, ("after",))]))
        loop.run_until_complete(database.aclose())
        loop.close()
        """),
        path,
    )
    assert rows(path) == ["after", "parent"]


# --- the end of the program


def test_a_program_that_closes_nothing_ends_and_what_it_wrote_is_there(path: Path) -> None:
    told = program(
        """
        async def main():
            database = SQLiteDatabase(path)
            await database.open()
            asyncio.ensure_future(database.write([Statement(INSERT, ("last",))]))
            await asyncio.sleep(0)
            print("ends")

        asyncio.run(main())
        """,
        path,
    )
    assert told == "ends\n"
    assert rows(path) in ([], ["last"])  # its caller was cancelled


@pytest.mark.slow
def test_every_write_that_was_answered_survives_a_kill(path: Path) -> None:
    for round_number in range(5):
        writer = Popen(
            [sys.executable, "-c", HEAD + WRITES_ON, path, str(round_number)], stdout=PIPE, text=True
        )
        assert writer.stdout is not None
        with writer:
            answered = [writer.stdout.readline().strip() for _ in range(50)]
            writer.send_signal(signal.SIGKILL)
            answered += writer.stdout.read().split("\n")[:-1]
        assert set(answered) <= set(rows(path))


WRITES_ON = """
async def main():
    database = SQLiteDatabase(path)
    await database.open()

    async def caller(caller):
        for number in range(100000):
            name = f"{sys.argv[2]}-{caller}-{number}"
            await database.write([Statement(INSERT, (name,))])
            print(name, flush=True)

    await asyncio.gather(*map(caller, range(32)))

asyncio.run(main())
"""
