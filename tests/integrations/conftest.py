"""A sandbox that an agent of a test remembers with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.testing import Sandbox
from tests.integrations.play import Play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    """A sandbox that knows what ana likes, and a client, in real time as frameworks have timers."""
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        box.seed_profile("ana", "likes sushi")
        yield Play(box, client)
