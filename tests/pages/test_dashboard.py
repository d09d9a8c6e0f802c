"""`reflexio-async dashboard`: a live page of a store, for this machine alone."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import socket
import sqlite3
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async._engine.clock import SystemClock
from reflexio_async.durable.rows import LaneKey
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.durable.store import Store
from reflexio_async.sandbox import Sandbox, VirtualClock
from tests.cli.commands import COMMAND

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.pages.conftest import Open

HOSTILE = ["<script>document.title='gone'</script>", "\u202eright to left", "🦊", "x" * 500]
USERS = [*HOSTILE, *(f"user-{number}" for number in range(20))]


class Served(NamedTuple):
    """A dashboard that is served."""

    url: str
    process: subprocess.Popen[str]


@contextmanager
def dashboard(store: Path, *options: str, stderr: int | None = None) -> Generator[Served]:
    """Run the command."""
    command = [*COMMAND, "dashboard", "--store", str(store), "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert process.stdout is not None
    try:
        yield Served(json.loads(process.stdout.readline())["url"], process)
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a batch that was left, and with a call that the server refused. The hostile ids failed."""
    path = tmp_path_factory.mktemp("store") / "night.db"
    asyncio.run(fill(path))
    refuse_a_call(path)
    return path


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled, tmp_path))


@pytest.fixture
def store_in_outage(store: Path) -> Path:
    """A lane in it is held by a process that has noted an outage."""

    async def hold() -> None:
        made = Store(SQLiteDatabase(str(store)), SystemClock())
        await made.open()
        lease = await made.acquire(
            LaneKey("http://127.0.0.1:1", "org", "profile_generation"), "process-1", 60.0
        )
        assert lease is not None
        reason = json.dumps({"reason": "server_away", "since": time.time() - 90})
        await made.renew(lease, 60.0, reason)
        await made.aclose()

    asyncio.run(hold())
    return store


async def fill(path: Path) -> None:
    clock = VirtualClock(epoch=time.time() - 600.0)
    async with Sandbox(clock=clock, rate_limits=True, rerun_seconds=3.0, failing_users=HOSTILE) as box:
        for user in USERS:
            box.seed(user)
        options: dict[str, Any] = {"store": path, "clock": clock, "drain_timeout": 0.1}
        async with (
            AsyncReflexioClient(url_endpoint=box.url, **options) as client,
            client.rerun_profiles_many(USERS, batch_id="night") as batch,
        ):
            ended = 0
            async for _ in batch:
                ended += 1
                if ended == 8:
                    break


def refuse_a_call(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(
            "insert into outbox (id, account, url, call, session, request, bytes, state, reason, created_at) "
            "values ('c1', 'a', 'http://127.0.0.1:1', 'publish', ?, '[]', 2, 'set_aside', 'too <b>long', 1)",
            (HOSTILE[0],),
        )
    connection.close()


@pytest.fixture(scope="module")
def served(filled: Path) -> Generator[Served]:
    """The dashboard of a store that no test changes."""
    with dashboard(filled) as made:
        yield made


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1400, "light")])
def test_it_shows_batches_lanes_failures_and_the_outbox(
    open_page: Open, served: Served, width: int, scheme: Literal["light", "dark"]
) -> None:
    with open_page(served.url, width=width, scheme=scheme) as page:
        batches = page.get_by_role("region", name="Batches")
        batches.get_by_role("heading", name="night").wait_for()
        assert "8 of 24 have ended. No process works on it." in batches.inner_text()
        lanes = page.get_by_role("region", name="Lanes")
        assert "15 wait in the queue. No process drives it" in lanes.inner_text()
        assert lanes.get_by_role("img", name="The last hour: ").is_visible()
        names = page.get_by_role("table", name="Latest failures").locator("bdi").all_inner_texts()
        assert {HOSTILE[0], "\\u202eright to left", HOSTILE[3]} <= set(names)
        assert page.get_by_role("region", name="Needs attention").is_visible()
        assert "too <b>long" in page.get_by_role("table", name="Refused calls").inner_text()
        assert page.title() == "33 %, " + page.get_by_role("heading", level=1).inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_it_follows_what_another_process_writes(open_page: Open, store: Path) -> None:
    with dashboard(store) as served, open_page(served.url) as page:
        page.get_by_text("8 of 24 have ended.").wait_for()
        with sqlite3.connect(store) as connection:
            connection.execute(
                "update job set state = 'ended', ended_as = 'completed', ended_at = ? where state <> 'ended'",
                (time.time(),),
            )
        connection.close()
        page.get_by_text("24 of 24 have ended.").wait_for()


def test_it_says_that_the_server_is_away(open_page: Open, store_in_outage: Path) -> None:
    with dashboard(store_in_outage) as served, open_page(served.url) as page:
        warnings = page.get_by_role("region", name="Needs attention")
        warnings.get_by_text("The server is away: http://127.0.0.1:1, since ").wait_for()
        lanes = page.get_by_role("region", name="Lanes")
        assert "driven by process-1" in lanes.inner_text()


def test_it_says_when_it_is_old(open_page: Open, store: Path) -> None:
    with dashboard(store) as served, open_page(served.url, allowed=("ERR_CONNECTION_REFUSED",)) as page:
        page.get_by_text("8 of 24 have ended.").wait_for()
        served.process.terminate()
        page.get_by_role("status").get_by_text("What you see is old: ").wait_for()
        assert "no new data since" in page.get_by_role("banner").inner_text()


def status(
    url: str, method: str = "GET", path: str | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, parts.path if path is None else path, headers=names)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, response.headers


def test_only_this_machine_and_this_page_may_ask(served: Served) -> None:
    port = urlsplit(served.url).port
    assert status(served.url)[0] == 200
    assert status(served.url, Host="localhost:8070")[0] == 200  # through a tunnel
    assert status(served.url, Host=f"evil.example:{port}")[0] == 403
    assert status(served.url, Host="127.0.0.1.evil.example")[0] == 403
    assert status(f"{served.url}data", Sec_Fetch_Site="cross-site")[0] == 403
    assert status(f"{served.url}data", Sec_Fetch_Site="same-site")[0] == 403
    assert status(served.url, path="/")[0] == 404
    assert status(served.url, path="/guessed/data")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_it_only_answers_get(served: Served, method: str) -> None:
    assert status(f"{served.url}data", method)[0] == 405


def test_its_headers_allow_nothing_from_elsewhere_and_no_other_site(served: Served) -> None:
    for path in ("", "data", "style.css", "dashboard.js"):
        code, headers = status(f"{served.url}{path}", Origin="https://evil.example")
        assert code == 200
        assert "Access-Control-Allow-Origin" not in headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def test_each_run_has_another_address_and_changes_nothing_in_the_file(served: Served, store: Path) -> None:
    before = store.read_bytes()
    with dashboard(store) as other:
        assert urlsplit(other.url).hostname == "127.0.0.1"
        assert urlsplit(other.url).path != urlsplit(served.url).path
        assert status(f"{other.url}data")[0] == 200
    assert store.read_bytes() == before


def test_a_request_that_is_no_http_is_no_traceback(store: Path) -> None:
    with dashboard(store, stderr=subprocess.PIPE) as made:
        address = (urlsplit(made.url).hostname, urlsplit(made.url).port)
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(b"\x16\x03\x01\x02\x00")  # as of a browser that was given https for http
            assert connection.recv(100).startswith(b"HTTP/1.0 400")
    assert made.process.stderr is not None
    with made.process.stderr:
        assert made.process.stderr.read() == ""


def refused(*options: str) -> str:
    """The error of a command with bad input."""
    done = subprocess.run(
        [*COMMAND, "dashboard", *options], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    return done.stderr


def test_a_store_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    assert "there is no file" in refused("--store", str(tmp_path / "missing.db"))
    assert not list(tmp_path.iterdir())


def test_a_port_in_use_is_said(served: Served, store: Path) -> None:
    port = str(urlsplit(served.url).port)
    assert f"127.0.0.1:{port} cannot be used" in refused("--store", str(store), "--port", port)
