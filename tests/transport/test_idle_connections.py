"""A response is the answer to its own request: what arrives on an idle connection is nobody's answer."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import APIConnectionError, AsyncReflectClient, AsyncReflexioClient, RetryPolicy
from tests.transport.certificates import Authority
from tests.transport.forward_proxy import forward_proxy
from tests.transport.servers import (
    TURNS,
    WHOAMI,
    RawReply,
    RawServer,
    ReceivedRequest,
    raw_server,
    reply_with,
    sequence,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from reflexio_async.sandbox import VirtualClock

ONCE = RetryPolicy(max_attempts=1)
FORGED: dict[str, Any] = {
    "success": True,
    "message": "forged",
    "msg": "forged",
    "org_id": "forged",
    "request_id": "forged",
    "user_profiles": [],
    "status": "failed",
    "error": "forged",
}
TRUE = json.loads(json.dumps(FORGED).replace("forged", "true")) | {"status": "done", "error": None}

STRAYS = {
    "a whole response": reply_with(FORGED).raw,
    "a response in chunks": reply_with(FORGED, chunked=True).raw,
    "an error": reply_with({"detail": "forged"}, 404).raw,
    "a goodbye": b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "half a response": reply_with(FORGED).raw[:-10],
    "no HTTP": b"forged\x00\xff",
}


async def read(client: AsyncReflexioClient) -> str:
    return (await client.whoami()).org_id


async def publish(client: AsyncReflexioClient) -> str | None:
    receipt = await client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
    return receipt.message


async def change(client: AsyncReflexioClient) -> str | None:
    return (await client.upgrade_profiles()).message


async def poll(client: AsyncReflexioClient) -> str:
    status = await client.learning("r").result(wait_timeout=10)
    return "true" if status.status == "done" else "forged"


CALLS: dict[str, Callable[[AsyncReflexioClient], Awaitable[str | None]]] = {
    "read": read,
    "publish": publish,
    "change": change,
    "poll": poll,
}


@pytest.fixture(params=[False, True], ids=["unread", "read"])
def is_read(request: pytest.FixtureRequest) -> bool:
    """Whether the event loop reads the bytes before the next call is made."""
    return bool(request.param)


async def send_stray(server: RawServer, raw: bytes, *, is_read: bool) -> None:
    server.writers[-1].write(raw)
    if is_read:
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("stray", STRAYS)
async def test_bytes_on_an_idle_connection_never_become_an_answer(
    call: str, stray: str, *, is_read: bool
) -> None:
    async with (
        raw_server(sequence(then=reply_with(TRUE))) as server,
        AsyncReflexioClient(url_endpoint=server.url, retry=ONCE) as client,
    ):
        await client.whoami()
        await send_stray(server, STRAYS[stray], is_read=is_read)
        assert await CALLS[call](client) == "true"
    assert [request.connection for request in server.arrived] == [1, 2]


async def test_bytes_that_came_with_the_answer_before_never_become_an_answer(clock: VirtualClock) -> None:
    two = RawReply(reply_with(WHOAMI).raw + reply_with(FORGED).raw)
    async with (
        raw_server(sequence(two, then=reply_with(TRUE))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, retry=ONCE) as client,
    ):
        assert [await read(client), await read(client)] == ["org", "true"]
    assert server.connections == 2


async def test_between_two_polls_bytes_never_become_a_status() -> None:
    def script(_: ReceivedRequest) -> RawReply:
        return reply_with(TRUE if len(server.arrived) > 2 else {"status": "pending"})

    async with (
        raw_server(script) as server,
        AsyncReflexioClient(url_endpoint=server.url, retry=ONCE) as client,
    ):
        job = asyncio.ensure_future(client.learning("r").result(poll_interval=0.1, wait_timeout=10))
        for count in (1, 2):
            await server.until_arrived(count)
            await asyncio.sleep(0.02)
            await send_stray(server, STRAYS["a whole response"], is_read=True)
        assert (await job).status == "done"
    assert server.connections == 3


async def test_all_connections_of_a_pool_are_checked(*, is_read: bool) -> None:
    async with (
        raw_server(sequence(then=reply_with(TRUE))) as server,
        AsyncReflexioClient(url_endpoint=server.url, retry=ONCE) as client,
    ):
        await asyncio.gather(*(client.whoami() for _ in range(5)))
        for writer in server.writers:
            writer.write(STRAYS["a whole response"])
        if is_read:
            await asyncio.sleep(0.02)
        assert set(await asyncio.gather(*(change(client) for _ in range(5)))) == {"true"}
    assert server.connections == 10


async def test_a_connection_that_was_closed_while_idle_fails_no_call(*, is_read: bool) -> None:
    """Not even one that must not be sent twice, at the moment at which the server closes it."""
    async with (
        raw_server(sequence(then=reply_with(TRUE))) as server,
        AsyncReflexioClient(url_endpoint=server.url, retry=ONCE) as client,
    ):
        for _ in range(20):
            await client.whoami()
            server.writers[-1].write_eof()
            if is_read:
                await asyncio.sleep(0.001)
            assert await change(client) == "true"
    assert server.counts == {"GET /api/whoami": 20, "POST /api/upgrade_all_profiles": 20}


async def test_what_sends_before_it_is_asked_is_no_http_server(clock: VirtualClock) -> None:
    writers: list[asyncio.StreamWriter] = []

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writers.append(writer)

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener, AsyncReflexioClient(url_endpoint=url, clock=clock, retry=ONCE) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.upgrade_profiles()
        [writer] = writers  # one connection
        writer.close()  # since Python 3.12 a listener waits for its connections
    assert url in str(caught.value)


@asynccontextmanager
async def reached(how: str) -> AsyncGenerator[tuple[RawServer, AsyncReflexioClient]]:
    """A server, and a client that reaches it over TLS, through a proxy or through a tunnel."""
    authority = Authority() if how in ("TLS", "tunnel") else None
    async with AsyncExitStack() as stack:
        tls = authority.server() if authority else None
        server = await stack.enter_async_context(raw_server(sequence(then=reply_with(TRUE)), tls=tls))
        options: dict[str, Any] = {"ssl": authority.client()} if authority else {}
        url = server.url
        if how in ("proxy", "tunnel"):
            proxy = await stack.enter_async_context(forward_proxy(server.url))
            options["proxy"] = proxy.url
            url = f"{'https' if authority else 'http'}://memory.internal:8061"
        yield server, await stack.enter_async_context(AsyncReflexioClient("t", url, retry=ONCE, **options))


@pytest.mark.parametrize("how", ["TLS", "proxy", "tunnel"])
@pytest.mark.parametrize("stray", STRAYS)
async def test_however_the_server_is_reached_stray_bytes_never_become_an_answer(how: str, stray: str) -> None:
    async with reached(how) as (server, client):
        await client.whoami()
        await send_stray(server, STRAYS[stray], is_read=True)
        assert await publish(client) == "true"
    assert server.connections == 2


@pytest.mark.parametrize("stray", STRAYS)
async def test_reflect_never_takes_stray_bytes_for_an_answer(stray: str) -> None:
    async with (
        raw_server(sequence(then=reply_with({"status": "true"}))) as server,
        AsyncReflectClient(base_url=server.url, retry=ONCE) as client,
    ):
        await client.health()
        await send_stray(server, STRAYS[stray], is_read=True)
        assert await client.health() == {"status": "true"}
    assert server.connections == 2
