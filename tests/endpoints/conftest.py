"""A client on a sandbox, and what reached it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox, VirtualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def box(clock: VirtualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(clock=clock, rerun_seconds=1.0) as box:
        box.seed("u")
        yield box


@pytest.fixture
async def client(box: Sandbox, clock: VirtualClock) -> AsyncIterator[AsyncReflexioClient]:
    async with AsyncReflexioClient(url_endpoint=box.url, clock=clock, cache_ttl=0) as client:
        yield client
