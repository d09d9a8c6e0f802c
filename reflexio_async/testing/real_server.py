"""The real open-source Reflexio server, offline and without an LLM, for tests and CI.

It needs a Python 3.12, a POSIX system, uv (extra ``real-server``) and, the first time, a package index. The
server's environment is built once and kept: in ``$REFLEXIO_SERVER_VENV``, or in ``~/.cache/reflexio-async``.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from reflexio_async.testing.environments import Environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REFLEXIO_AI_VERSION = "0.2.32"
"""The newest server on PyPI."""

REFLEXIO_SERVER = Environment(
    f"reflexio-server-{REFLEXIO_AI_VERSION}",
    "3.12",
    (f"reflexio-ai=={REFLEXIO_AI_VERSION}",),
    # The server runs without torch, which takes gigabytes (server-behaviour: Installing it).
    overrides="torch; sys_platform == 'never'\ntriton; sys_platform == 'never'\n",
    variable="REFLEXIO_SERVER_VENV",
)
"""The open-source server, and the official client inside the same package."""

_START_SECONDS = 120.0  # a cold start compiles everything; a warm one takes five seconds
_STOP_SECONDS = 5.0

_ANNOUNCEMENT = re.compile(r"Uvicorn running on http://127\.0\.0\.1:(\d+)")
_ACCESS = re.compile(r'^INFO: +\S+ - "([A-Z]+) ([^ ?]+)\S* HTTP/[\d.]+" (\d{3})')


class AccessEntry(NamedTuple):
    """One request that the server answered."""

    method: str
    path: str
    status: int


class RealServer:
    """One process of the open-source Reflexio server, with a home, data and rate limits of its own.

        with RealServer() as server:
            ... server.url ...

    It runs offline and without a language model: what it learns is made up. Its methods block; on an event
    loop call them, and enter and leave it, through ``asyncio.to_thread``.

    Args:
        rate_limits: Whether its rate limits apply.
        api_key: A key that requests need.
        port: The port; a free one unless given.
        app: The ASGI application that uvicorn runs: a module and a name. A module of yours may patch the
            server's.
        variables: Environment variables for the process, besides its own.

    Raises:
        NoPython: On entering: there is no Python 3.12.
        NotInstallable: On entering: something else is missing for installing the server.
        RuntimeError: On entering: the server does not become ready. The message has the end of its log.
    """

    running: ClassVar[set[RealServer]] = set()
    """The servers that this process has started and not stopped."""

    def __init__(
        self,
        *,
        rate_limits: bool = True,
        api_key: str | None = None,
        port: int | None = None,
        app: str = "reflexio.server.api:app",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._rate_limits = rate_limits
        self._api_key = api_key
        self._port = port or 0
        self._app = app
        self._variables = dict(variables or {})

    def __enter__(self) -> Self:
        self._python = server_python()
        self._temporary = tempfile.TemporaryDirectory(prefix="reflexio-server-", ignore_cleanup_errors=True)
        self._folder = Path(self._temporary.name)
        self._log = self._folder / "server.log"
        for name in ("home", "data"):
            (self._folder / name).mkdir()
        try:
            self._start()
        except BaseException:
            self._temporary.cleanup()
            raise
        RealServer.running.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        RealServer.running.discard(self)
        self.stop()
        self._temporary.cleanup()

    @property
    def url(self) -> str:
        """The address. A restart keeps it."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the current run, or of the last one."""
        return self._process.pid

    def log_lines(self) -> list[str]:
        """Everything logged so far, in all runs."""
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def access_log(self) -> list[AccessEntry]:
        """Every request answered so far, in all runs, in order. The harness's own ``/health`` is included.

        uvicorn logs a request before it sends the response, so no answered request is missing.
        """
        return list(parse_access_log(self.log_lines()))

    def stop(self) -> None:
        """End the process with SIGTERM; kill it when that takes too long."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill the process as ``kill -9`` does, with its children, which may hold the port open."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def forget_operations(self) -> None:
        """Free the slots of a killed server, taken for 600 s (server-behaviour: Dead operations)."""
        self._change("DELETE FROM _operation_state WHERE service_name LIKE '%::progress'")

    def forget_leases(self) -> None:
        """Free the users of a killed server, which are leased for 300 s (server-behaviour: Admission)."""
        self._change("UPDATE learning_work SET lease_until = 0")

    def _change(self, statement: str) -> None:
        for file in (self._folder / "data").glob("*.db"):
            with closing(sqlite3.connect(file)) as database, database:
                database.execute(statement)

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same data and port."""
        self.stop()
        self._start()

    def _start(self) -> None:
        command = [
            str(self._python),
            "-m",
            "uvicorn",
            self._app,
            "--host",
            "127.0.0.1",
            "--port",
            str(self._port),
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def _environment(self) -> dict[str, str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder / "home"),
            "LOCAL_STORAGE_PATH": str(self._folder / "data"),
            "MOCK_LLM_RESPONSE": "true",
            "OPENAI_API_KEY": "unused, but a provider must look configured",
            "REFLEXIO_EMBEDDING_PROVIDER": "off",
            "REFLEXIO_RERANK_ENABLED": "false",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "TIKTOKEN_CACHE_DIR": str(site_packages(self._python) / "litellm/litellm_core_utils/tokenizers"),
            "HF_HUB_OFFLINE": "1",
        }
        if not self._rate_limits:
            environment["RATELIMIT_ENABLED"] = "false"
        if self._api_key is not None:
            environment["REFLEXIO_API_KEY"] = self._api_key
        return {**environment, **self._variables}

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            lines = self.log_lines()
            # The server chooses a free port and logs it, so that no other process can take it in between.
            ports = [int(match[1]) for match in map(_ANNOUNCEMENT.search, lines) if match]
            if ports and _answers(ports[-1]):
                self._port = ports[-1]
                return
            time.sleep(0.05)
        tail = "\n".join(self.log_lines()[-30:])
        message = (
            f"the server did not become ready (exit status {self._process.poll()}); its log ends:\n{tail}"
        )
        raise RuntimeError(message)


def parse_access_log(lines: list[str]) -> Iterator[AccessEntry]:
    """The requests in uvicorn's log, without their query strings."""
    for match in filter(None, map(_ACCESS.match, lines)):
        yield AccessEntry(match[1], match[2], int(match[3]))


def server_python() -> Path:
    """The interpreter of the server's environment, which is built on the first call."""
    return REFLEXIO_SERVER.python()


def site_packages(python: Path) -> Path:
    """The folder with the packages of the server's environment, or of one like it."""
    return python.parents[1] / f"lib/python{REFLEXIO_SERVER.version}/site-packages"


def _answers(port: int) -> bool:
    # Unlike urllib, http.client uses no proxy.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
