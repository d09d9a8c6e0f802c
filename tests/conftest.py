"""Fixtures and hooks for all tests: asyncio, no blocking calls, the real server, the mark ``quick``."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from pydantic import TypeAdapter

from reflexio_async.testing import NoPython, RealServer, VirtualClock
from reflexio_async.testing.real_server import server_python
from tests.hang import A_HANGING_TEST
from tests.quick import TESTS, imports_frameworks, is_quick

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.real_server import StartServer


# In CI, hypothesis uses the same examples in every run. Elsewhere every run uses others.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked ``real`` where the real server cannot run. In CI that is a failure."""
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


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import the other tests for ``-m quick``: that takes seconds."""
    if config.option.markexpr != "quick" or collection_path == TESTS or is_quick(collection_path):
        return None
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick tests, those that import large frameworks, and those that are tried again.

    A test that failed on the real server is tried again on a process started anew, because the server freezes
    for good now and then (server-behaviour: Concurrency). The summary says how often.
    """
    for item in items:
        if item.get_closest_marker("real") is not None:
            item.add_marker(pytest.mark.flaky(reruns=2))
        elif imports_frameworks(item.path):
            item.add_marker(pytest.mark.frameworks)
        elif item.get_closest_marker("slow") is None and is_quick(item.path):
            item.add_marker(pytest.mark.quick)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """End a test on the real server that hangs, so that it is tried again."""
    if pyfuncitem.get_closest_marker("real") is not None and inspect.iscoroutinefunction(pyfuncitem.obj):
        pyfuncitem.obj = _within_time(pyfuncitem.obj)


def _within_time(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def limited(**fixtures: Any) -> None:
        async with asyncio.timeout(A_HANGING_TEST):
            await test(**fixtures)

    return limited


@pytest.fixture(autouse=True)
def started_anew(request: pytest.FixtureRequest) -> None:
    """Before a test is tried again, kill and restart the servers that tests share."""
    if getattr(request.node, "execution_count", 1) > 1:
        for server in list(RealServer.running):
            server.kill()
            server.forget_operations()
            server.forget_leases()
            server.restart()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses and keys of the developer do not matter."""
    for name in ("API_KEY", "API_URL", "URL"):
        monkeypatch.delenv(f"REFLEXIO_{name}", raising=False)
    for name in ("API_KEY", "API_URL", "PROJECT_ID"):
        monkeypatch.delenv(f"REFLECT_{name}", raising=False)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def name() -> str:
    """A unique name, valid for users, sessions, requests, sources and agent versions."""
    return f"n{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail when the package blocks the event loop. Tests may block it."""
    # pydantic looks for plugins on disk once per process, when the first model is built.
    TypeAdapter(int)
    with blockbuster_ctx("reflexio_async", excluded_modules=["reflexio_async.testing"]) as blockbuster:
        yield blockbuster


@pytest.fixture(scope="session")
def real_server() -> Iterator[RealServer]:
    """One server for all tests, without rate limits. Use ids of your own, and mark the test ``real``."""
    with RealServer(rate_limits=False) as server:
        yield server


@pytest.fixture
def real_server_factory() -> Iterator[StartServer]:
    """Starts servers for one test alone: for limits, a key or a ``kill -9``. Mark the test ``real``."""
    with ExitStack() as servers:

        def start(
            *, rate_limits: bool = True, api_key: str | None = None, port: int | None = None
        ) -> RealServer:
            return servers.enter_context(RealServer(rate_limits=rate_limits, api_key=api_key, port=port))

        yield start
