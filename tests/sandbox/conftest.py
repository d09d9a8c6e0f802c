"""A sandbox on virtual time, used without a client."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
import pytest

from reflexio_async.sandbox import Sandbox, VirtualClock
from tests.behaviour.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager


class Opens(Protocol):
    """Opens a sandbox with these options."""

    def __call__(self, **options: Any) -> AbstractAsyncContextManager[tuple[Sandbox, Wire]]: ...


@pytest.fixture
def opened(clock: VirtualClock) -> Opens:
    @asynccontextmanager
    async def opens(**options: Any) -> AsyncGenerator[tuple[Sandbox, Wire]]:
        # One connection per request, unless a test is about connections.
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with (
            Sandbox(clock=clock, **options) as box,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            yield box, Wire(box.url, session, clock)

    return opens
