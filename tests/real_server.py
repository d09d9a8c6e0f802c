"""The real server with its deadlines shortened, and the type of a fixture."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from reflexio_async.testing import RealServer
from reflexio_async.testing.environments import Environment, NotInstallable
from reflexio_async.testing.real_server import site_packages

_SQLITE = Environment("pysqlite3-0.5.4", "3.12", ("pysqlite3-binary==0.5.4.post2",))
"""A SQLite that loads extensions (server-behaviour: Aggregation). Python's own may not."""


class ServerTimings(NamedTuple):
    """The server's deadlines and intervals, in seconds (server-behaviour: Deadlines).

    ``tests/real/patched_app.py`` names the server's constant for each.
    """

    stale: float = 600.0
    request: float = 60.0
    extended: float = 600.0
    search: float = 5.0
    publish: float = 240.0
    scheduler: float = 10.0
    retry: float = 60.0


class StartServer(Protocol):
    """Starts a server that ends with the test."""

    def __call__(
        self, *, rate_limits: bool = True, api_key: str | None = None, port: int | None = None
    ) -> RealServer: ...


def make_patched_server(timings: ServerTimings) -> RealServer:
    """The server of ``tests/real/patched_app.py``, without rate limits.

    Its SQLite loads extensions, where there is a wheel of one.
    """
    paths = [str(Path(__file__).parent / "real")]
    with suppress(NotInstallable):  # some machines have no wheel of it
        paths.append(str(site_packages(_SQLITE.python())))
    variables = {"PATCHED_SECONDS": json.dumps(timings._asdict()), "PYTHONPATH": ":".join(paths)}
    return RealServer(rate_limits=False, app="patched_app:app", variables=variables)
