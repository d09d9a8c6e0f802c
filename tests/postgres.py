"""A private Postgres server, for the tests of stores that several machines share.

It needs Debian's package ``postgresql`` or another installation with ``initdb``. Nothing of the machine's own
clusters is used: the server has a folder and a socket of its own, and ends with the tests.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg
import pytest

from tests.hang import A_HANG

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 2 * A_HANG
"""For a start and for a stop, whose checkpoint waits for the disk."""
_USER = "reflexio"
_SETTINGS = (
    "listen_addresses=",  # only the socket: no port can be taken by another process
    "max_connections=200",
    "shared_buffers=64MB",
    "log_line_prefix=%m [%p] ",
)


class NoPostgres(RuntimeError):
    """This machine has no Postgres server that tests can start."""


class PostgresServer:
    """One server with an empty cluster, whose writes are synced to the disk. Use it as a context manager.

    ``settings`` are more settings, each as ``name=value``.
    """

    def __init__(self, *settings: str) -> None:
        self._settings = (*_SETTINGS, *settings)

    def __enter__(self) -> Self:
        programs = find_programs()
        # initdb and postgres refuse root. Debian's package brings the user postgres.
        self._owner: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        try:
            if self._owner:
                account = pwd.getpwnam("postgres")
                os.chown(self._folder, account.pw_uid, account.pw_gid)
            self._folder.chmod(0o755)
            self._command = [str(programs / "postgres"), "-D", str(self._folder / "data")]
            self._command += ["-k", str(self._folder)]
            self._command += [part for setting in self._settings for part in ("-c", setting)]
            self._log = (self._folder / "log").open("ab")
            self._run(
                programs / "initdb", "-D", "data", "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync"
            )
            self.start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._numbers = itertools.count(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._end(signal.SIGQUIT)  # at once, without a checkpoint
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The process that has the others as its children."""
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """The address of ``database``. The password in it is not checked."""
        return f"postgresql://{_USER}:pass-word@/{database}?host={self._folder}"

    def start(self) -> None:
        """Start the process, and wait until it accepts connections."""
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt of the tests is not one of the server
            **self._owner,
        )
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=30).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.stop()
                    message = f"Postgres did not start; its log ends:\n{self.log()[-3000:]}"
                    raise RuntimeError(message) from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End the process as ``pg_ctl stop -m fast`` does: connections are closed, nothing is lost."""
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        self._process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS)
        self._process.kill()
        self._process.wait()

    def log(self) -> str:
        """What the server has logged."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def new_database(self) -> str:
        """Make an empty database, and return its address."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"create database {name}".encode())
        return self.url(name)

    def _run(self, program: Path, *arguments: str) -> None:
        result = subprocess.run(
            [program, *arguments],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **self._owner,
        )
        if result.returncode:
            message = f"{program.name} failed:\n{result.stdout}"
            raise RuntimeError(message)


def running_server() -> Iterator[PostgresServer]:
    """A server, for a fixture. Without one the test is skipped; in CI it fails."""
    try:
        server = PostgresServer().__enter__()
    except NoPostgres as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    try:
        yield server
    finally:
        server.__exit__()


def find_programs() -> Path:
    """The folder of ``initdb`` and ``postgres``, of the newest version."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    # Debian keeps the programs of each version in a folder of its own, which is not on PATH.
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda initdb: float(initdb.parents[1].name)
    )
    if not folders:
        message = "there is no Postgres server on this machine: install Debian's package postgresql"
        raise NoPostgres(message)
    return folders[-1].parent
