"""What every test gets: asyncio alone, no blocking calls on the loop, and the real server."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import hypothesis
import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from pydantic import TypeAdapter

from tests.environments import NoPython
from tests.real_server import RealServer, StartServer, server_python

if TYPE_CHECKING:
    from collections.abc import Iterator


# CI draws the same examples every time; here every run looks somewhere else.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked ``real`` where the real server cannot run; CI must be able to run it."""
    if item.get_closest_marker("real") is None:
        return
    try:
        server_python()
    except NoPython as error:
        reason = str(error)
    else:
        return
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try what failed on the real server again, on a process started anew; the summary says how often.

    Fact: it freezes for good now and then, and without a model its regenerations hang.
    """
    for item in items:
        if item.get_closest_marker("real") is not None:
            item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(autouse=True)
def started_anew(request: pytest.FixtureRequest) -> None:
    """Before a test is tried again, the servers that others left behind are killed and started again."""
    if getattr(request.node, "execution_count", 1) > 1:
        for server in list(RealServer.running):
            server.kill()
            server.forget_operations()
            server.forget_leases()
            server.restart()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail when the package blocks the event loop; what only tests do there is not looked at."""
    # Once per process pydantic looks for plugins on disk, when the first of all models is built.
    TypeAdapter(int)
    with blockbuster_ctx("reflexio_async") as blockbuster:
        yield blockbuster


@pytest.fixture(scope="session")
def real_server() -> Iterator[RealServer]:
    """One server for the whole session, without rate limits: use ids of your own, mark tests ``real``."""
    with RealServer(rate_limits=False) as server:
        yield server


@pytest.fixture
def real_server_factory() -> Iterator[StartServer]:
    """Servers of a test's own, for limits, a key or a ``kill -9``; mark such tests ``real``."""
    with ExitStack() as servers:

        def start(
            *, rate_limits: bool = True, api_key: str | None = None, port: int | None = None
        ) -> RealServer:
            return servers.enter_context(RealServer(rate_limits=rate_limits, api_key=api_key, port=port))

        yield start
