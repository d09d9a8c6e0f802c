"""The responses to publishes are cut off on their way: each publish is stored once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient
from tests.real.cutting_proxy import cutting_proxy
from tests.real.helpers import TURN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reflexio_async.testing import RealServer
    from tests.real.cutting_proxy import CuttingProxy

pytestmark = pytest.mark.real

DELAYS = (0.0, 0.002, 0.005, 0.01, 0.03, 0.1)  # seconds after the request
RUNS = 3


@pytest.fixture
async def proxy(real_server: RealServer) -> AsyncIterator[CuttingProxy]:
    async with cutting_proxy(real_server.url) as proxy:
        yield proxy


@pytest.fixture
async def cut_client(proxy: CuttingProxy) -> AsyncIterator[AsyncReflexioClient]:
    """A client whose publishes go through the proxy."""
    async with AsyncReflexioClient(url_endpoint=proxy.url, timeout=30.0) as client:
        yield client


async def stored(client: AsyncReflexioClient, user: str) -> list[str]:
    """The texts that are stored of a user."""
    found = await client.get_interactions(user_id=user)
    return sorted(turn.content for turn in found.interactions)


@pytest.mark.parametrize("own_ids", [False, True], ids=["made ids", "own ids"])
async def test_each_publish_whose_response_is_cut_off_is_stored_once(
    proxy: CuttingProxy,
    cut_client: AsyncReflexioClient,
    name: str,
    own_ids: bool,  # noqa: FBT001
) -> None:
    texts = [f"cut after {delay * 1000:g} ms, {run}" for delay in DELAYS for run in range(RUNS)]
    for number, text in enumerate(texts):
        proxy.cuts.append(DELAYS[number // RUNS])
        receipt = await cut_client.publish_interaction(
            name,
            [{**TURN, "content": text}],
            session_id=name,
            request_id=f"{name}-{number}" if own_ids else None,
        )
        assert receipt.success
    assert await stored(cut_client, name) == sorted(texts)


async def test_what_was_stored_before_the_cut_is_not_sent_again(
    proxy: CuttingProxy, cut_client: AsyncReflexioClient, name: str
) -> None:
    proxy.cuts = [0.1] * 5
    for _ in range(5):
        receipt = await cut_client.publish_interaction(name, [TURN], session_id=name)
        assert "response was lost" in receipt.message
    assert proxy.publishes == 5


async def test_a_batch_whose_responses_are_cut_off_stores_each_once(
    proxy: CuttingProxy, cut_client: AsyncReflexioClient, name: str
) -> None:
    texts = [f"text {number}" for number in range(18)]
    proxy.cuts = [*DELAYS, *DELAYS]
    items = [
        {"user_id": name, "session_id": name, "interactions": [{**TURN, "content": text}]} for text in texts
    ]
    # One at a time: publishes that overlap have frozen this server for good.
    report = await cut_client.publish_many(items, concurrency=1)
    assert report.ok, report.table()
    assert await stored(cut_client, name) == sorted(texts)
