"""The API against the real server and against the sandbox, by the same tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox
from tests.real.helpers import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reflexio_async.testing import RealServer


@pytest.fixture(params=[pytest.param("real", marks=pytest.mark.real), "sandbox"])
def server(request: pytest.FixtureRequest) -> RealServer | None:
    """The real server without rate limits (use names of your own), or None for the sandbox."""
    return request.getfixturevalue("real_server") if request.param == "real" else None


@pytest.fixture
async def client(server: RealServer | None) -> AsyncIterator[AsyncReflexioClient]:
    """A client of the real server, and then one of the sandbox."""
    if server is not None:
        async with client_of(server) as client:
            yield client
    else:
        async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url, timeout=60.0) as client:
            yield client


@pytest.fixture
async def offline(real_server: RealServer) -> AsyncIterator[AsyncReflexioClient]:
    """A client of the real server alone, which has no model, no reranking and no vectors here."""
    async with client_of(real_server) as client:
        yield client
