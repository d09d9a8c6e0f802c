"""The client against the real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.helpers import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reflexio_async import AsyncReflexioClient
    from reflexio_async.testing import RealServer


@pytest.fixture
async def client(real_server: RealServer) -> AsyncIterator[AsyncReflexioClient]:
    """A client of the shared server without rate limits: use names of your own."""
    async with client_of(real_server) as client:
        yield client


@pytest.fixture
async def other(real_server: RealServer) -> AsyncIterator[AsyncReflexioClient]:
    """A second client of the same server, as a foreign program would be."""
    async with client_of(real_server) as client:
        yield client


@pytest.fixture
def names(name: str) -> list[str]:
    """Twelve such names."""
    return [f"{name}-{number:02}" for number in range(12)]
