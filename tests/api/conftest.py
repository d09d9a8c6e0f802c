"""The API against the real server (``test_real_*``) and against the sandbox."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.real.helpers import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reflexio_async import AsyncReflexioClient
    from tests.real_server import RealServer


@pytest.fixture
async def client(real_server: RealServer) -> AsyncIterator[AsyncReflexioClient]:
    """A client of the real server without rate limits: use names of your own."""
    async with client_of(real_server) as client:
        yield client


@pytest.fixture
def name() -> str:
    """A name nobody else uses, fit for users, sessions, requests and agent versions."""
    return f"n{uuid.uuid4().hex[:10]}"
