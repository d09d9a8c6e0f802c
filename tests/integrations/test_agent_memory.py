"""What adapters share: an outbox that fails does not replace the answer of an agent."""

from __future__ import annotations

import logging
from unittest.mock import AsyncMock

import pytest

from reflexio_async import AsyncReflexioClient, InvalidRequest, ReflexioError, StoreError
from reflexio_async.integrations.agent_memory import AgentMemory


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (StoreError("the disk is full"), "the disk is full"),
        (InvalidRequest("what was said"), "InvalidRequest"),
    ],
)
async def test_a_turn_that_cannot_be_published_is_logged(
    error: ReflexioError, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:9") as client:
        with caplog.at_level(logging.ERROR, "reflexio_async"):
            await AgentMemory(client).publish(AsyncMock(add=AsyncMock(side_effect=error)), [])
    assert caplog.messages == [f"a turn was not published: {shown}"]
