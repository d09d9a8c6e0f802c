"""Tests with real sockets. The delays between tries pass in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox, VirtualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def box(clock: VirtualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(clock=clock) as box:
        yield box


@pytest.fixture
async def client(box: Sandbox, clock: VirtualClock) -> AsyncIterator[AsyncReflexioClient]:
    async with AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        yield client
