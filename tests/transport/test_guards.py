"""The guard of a call: the last look before bytes leave."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import aiohttp
import pytest

from reflexio_async import APIConnectionError, AsyncReflexioClient
from reflexio_async._engine.models import Empty
from reflexio_async._engine.wire import Endpoint, encode
from reflexio_async.errors import LeaseLost
from reflexio_async.reflexio.models.identity import WhoamiResponse
from tests.transport.servers import HANG_UP, WHOAMI, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from reflexio_async.sandbox import VirtualClock
    from tests.transport.servers import RawServer

GET = Endpoint("GET", "/x", WhoamiResponse)
POST = Endpoint("POST", "/x", WhoamiResponse)
REFUSED = reply_with({"error": "Rate limit exceeded: 5 per 1 minute"}, 429)


def lost() -> None:
    message = "another process has taken the lane"
    raise LeaseLost(message)


@pytest.fixture
async def server() -> AsyncGenerator[RawServer]:
    async with raw_server(sequence(then=reply_with(WHOAMI))) as made:
        yield made


@pytest.fixture(params=["own connections", "a caller's session"])
async def client(
    request: pytest.FixtureRequest, server: RawServer, clock: VirtualClock
) -> AsyncGenerator[AsyncReflexioClient]:
    session = None if request.param == "own connections" else aiohttp.ClientSession()
    async with AsyncReflexioClient("top-secret", server.url, clock=clock, session=session) as made:
        yield made
    if session is not None:
        await session.close()


async def send(
    client: AsyncReflexioClient, guard: Callable[[], None] | None, endpoint: Endpoint[WhoamiResponse] = POST
) -> WhoamiResponse:
    request = encode(endpoint, Empty())
    return await client._engine.caller.send(endpoint, request, client._engine.settings, guard=guard)


async def test_a_guard_that_raises_ends_the_call_with_its_error(
    client: AsyncReflexioClient, server: RawServer
) -> None:
    with pytest.raises(LeaseLost, match="has taken the lane"):
        await send(client, lost)
    assert not server.arrived


async def test_a_guard_that_raises_is_not_asked_again(client: AsyncReflexioClient) -> None:
    asked: list[None] = []

    def guard() -> None:
        asked.append(None)
        lost()

    with pytest.raises(LeaseLost):
        await send(client, guard, GET)
    assert len(asked) == 1


async def test_a_guard_that_returns_lets_the_request_pass(
    client: AsyncReflexioClient, server: RawServer
) -> None:
    await send(client, lambda: None)
    assert len(server.arrived) == 1


async def test_every_try_asks_the_guard(clock: VirtualClock) -> None:
    asked: list[None] = []
    async with (
        raw_server(sequence(HANG_UP, HANG_UP, then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await send(client, lambda: asked.append(None), GET)
        assert len(asked) == len(server.arrived) == 3


async def test_a_later_try_that_the_guard_stops_is_not_sent(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(HANG_UP)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):

        def guard() -> None:
            if server.arrived:
                lost()

        with pytest.raises(LeaseLost):
            await send(client, guard, GET)
        assert len(server.arrived) == 1


@pytest.mark.parametrize("used", [False, True], ids=["new", "used before"])
async def test_the_connection_of_a_call_that_was_stopped_is_used_by_the_next(
    server: RawServer, clock: VirtualClock, *, used: bool
) -> None:
    async with AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client:
        if used:
            await send(client, None)
        with pytest.raises(LeaseLost):
            await send(client, lost)
        await send(client, None)
    assert server.connections == 1


async def test_without_a_connection_the_guard_is_not_asked(clock: VirtualClock) -> None:
    async with raw_server(sequence()) as server:
        url = server.url
    async with AsyncReflexioClient(url_endpoint=url, clock=clock) as client:
        with pytest.raises(APIConnectionError) as caught:
            await send(client, lost)
    assert not caught.value.outcome_unknown


async def test_a_try_that_the_guard_stopped_uses_up_nothing_of_the_rate_limit(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(REFUSED, then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await send(client.with_options(timeout=300), None)
        limiter = client._engine.caller.rate_limiter("/x")
        await clock.sleep(100)
        for _ in range(20):
            with pytest.raises(LeaseLost):
                await send(client, lost)
        assert limiter.opens_in() == 0


async def test_the_error_of_a_guard_holds_no_frame_with_the_token(client: AsyncReflexioClient) -> None:
    with pytest.raises(LeaseLost) as caught:
        await send(client, lost)
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "top-secret" not in "".join(report.format())
