"""Every behaviour test runs on the sandbox and on the real server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from reflexio_async.sandbox import Sandbox
from reflexio_async.testing import RealServer
from tests.behaviour.bench import SHORT, Bench, sandbox_bench
from tests.behaviour.differences import CHECKED, READ_ONLY, SANDBOX_ONLY, UNCHECKED
from tests.behaviour.wire import Wire
from tests.real_server import make_patched_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from tests.real_server import StartServer


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
def served_by(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def real_url(served_by: str, request: pytest.FixtureRequest) -> str | None:
    return _url_of("real_server", served_by, request)


def _url_of(name: str, served_by: str, request: pytest.FixtureRequest) -> str | None:
    """That of the real server which the fixture ``name`` starts; None where the sandbox serves."""
    if served_by == "sandbox":
        return None
    server: RealServer = request.getfixturevalue(name)
    return server.url


@pytest.fixture
def guarded_real_url(served_by: str, request: pytest.FixtureRequest) -> str | None:
    if served_by == "sandbox":
        return None
    start: StartServer = request.getfixturevalue("real_server_factory")
    return start(rate_limits=True, api_key="key-1").url


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    # The real server has frozen for good under load: no test waits for ever.
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


@asynccontextmanager
async def _wire_to(
    real_url: str | None, session: aiohttp.ClientSession, **options: Any
) -> AsyncGenerator[Wire]:
    """To the real server at ``real_url``; to a sandbox of these options where there is none."""
    if real_url is not None:
        yield Wire(real_url, session)
    else:
        async with Sandbox(**options) as box:
            yield Wire(box.url, session)


@pytest.fixture
async def wire(real_url: str | None, session: aiohttp.ClientSession) -> AsyncIterator[Wire]:
    """A server without rate limits; shared and long-lived when real, so use names of your own."""
    async with _wire_to(real_url, session, rerun_seconds=0.1) as wire:
        yield wire


@pytest.fixture
async def config(wire: Wire) -> AsyncIterator[Any]:
    """The configuration of ``wire``, which is put back at the end."""
    config = (await wire.get("/api/get_config")).json
    yield config
    await wire.post("/api/set_config", **config)


@pytest.fixture
async def guarded(guarded_real_url: str | None, session: aiohttp.ClientSession) -> AsyncIterator[Wire]:
    """A server of the test's own with rate limits and the key ``key-1``."""
    async with _wire_to(guarded_real_url, session, rate_limits=True, api_key="key-1") as wire:
        yield wire


@pytest.fixture(scope="session")
def keyed_server() -> Iterator[RealServer]:
    """The real server with the key ``key-1``."""
    with RealServer(rate_limits=False, api_key="key-1") as server:
        yield server


@pytest.fixture
def keyed_url(served_by: str, request: pytest.FixtureRequest) -> str | None:
    return _url_of("keyed_server", served_by, request)


@pytest.fixture
async def keyed(keyed_url: str | None, session: aiohttp.ClientSession) -> AsyncIterator[Wire]:
    """A server with the key ``key-1`` and no rate limits; shared when real."""
    async with _wire_to(keyed_url, session, api_key="key-1") as wire:
        yield wire


@pytest.fixture(scope="session")
def patched_server() -> Iterator[RealServer]:
    """The real server with its constants shortened, and hooks in it."""
    with make_patched_server(SHORT) as server:
        yield server


@pytest.fixture
def patched_url(served_by: str, request: pytest.FixtureRequest) -> str | None:
    return _url_of("patched_server", served_by, request)


@pytest.fixture
async def bench(patched_url: str | None, session: aiohttp.ClientSession) -> AsyncIterator[Bench]:
    """A server whose users take their time, or fail; shared and long-lived when real."""
    if patched_url is not None:
        yield Bench(Wire(patched_url, session), SHORT)
    else:
        async with sandbox_bench(session) as bench:
            yield bench


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many behaviours were shown, and which differences are kept."""
    shown: dict[str, set[str]] = {"sandbox": set(), "real": set()}
    for report in terminalreporter.stats.get("passed", ()):
        name, _, parameters = report.nodeid.partition("[")
        for kind, names in shown.items():
            if name.startswith("tests/behaviour/") and kind in parameters.removesuffix("]").split("-"):
                names.add(report.nodeid.replace(kind, "", 1))
    if not any(shown.values()):
        return
    counts = ", ".join(f"{len(names)} by the {kind} one" for kind, names in shown.items())
    both = len(shown["sandbox"] & shown["real"])
    terminalreporter.section("behaviour of the sandbox and of the real server")
    terminalreporter.line(f"shown: {counts}; by both alike: {both}")
    terminalreporter.line(f"differences kept: {len(CHECKED) + len(UNCHECKED)}")
    for about, reason in (*((each.about, each.reason) for each in CHECKED), *UNCHECKED):
        terminalreporter.line(f"  {about} ({reason})")
    terminalreporter.line(f"shown by the sandbox alone: {len(SANDBOX_ONLY)}")
    for fact in SANDBOX_ONLY:
        terminalreporter.line(f"  {fact}")
    terminalreporter.line(f"read in the server's source, shown by neither: {len(READ_ONLY)}")
    for fact in READ_ONLY:
        terminalreporter.line(f"  {fact}")
