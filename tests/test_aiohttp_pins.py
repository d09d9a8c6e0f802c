"""The half-documented parts of aiohttp that ``transport.py`` leans on.

When one of these fails, an aiohttp came out that works differently: read the docstring of
``reflexio_async/transport.py``, adapt it, then adapt these.
"""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import ClientRequest, ClientResponse
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import BaseConnector
from yarl import URL

from tests.transport.servers import HANG_UP, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from aiohttp.connector import Connection

OK = reply_with({})
LARGE = {"x": "y" * 2_000_000}  # does not arrive together with its head


@asynccontextmanager
async def exchange(
    connector: BaseConnector, url: str, *, data: bytes | None = b"x"
) -> AsyncGenerator[tuple[Connection, ClientRequest]]:
    """A connection that is ready for a POST."""
    message = ClientRequest("POST", URL(url), data=data, loop=asyncio.get_running_loop())
    connection = await connector.connect(message, [], aiohttp.ClientTimeout(total=None))
    assert connection.protocol is not None
    connection.protocol.set_response_params(read_until_eof=True)
    try:
        yield connection, message
    finally:
        connection.close()


async def answered(connection: Connection, message: ClientRequest) -> ClientResponse:
    response = await message.send(connection)
    await response.start(connection)
    return response


# --- what we call is there


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (ClientRequest.send, ["self", "conn"]),
        (ClientResponse.start, ["self", "connection"]),
        (BaseConnector.connect, ["self", "req", "traces", "timeout"]),
        (ResponseHandler.force_close, ["self"]),
        (ResponseHandler.close, ["self"]),
    ],
)
def test_what_we_call_takes_what_we_give(method: Callable[..., Any], parameters: list[str]) -> None:
    assert list(inspect.signature(method).parameters) == parameters


def test_a_request_and_its_answer_need_nothing_else_that_has_no_default() -> None:
    needed = [
        name
        for called in (ClientRequest.__init__, ResponseHandler.set_response_params)
        for name, parameter in inspect.signature(called).parameters.items()
        if parameter.default is parameter.empty and name != "self"
    ]
    assert needed == ["method", "url"]


async def test_the_connector_takes_a_keepalive_timeout_and_no_limit() -> None:
    async with aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0) as connector:
        assert connector._keepalive_timeout == 4.0
        assert connector.limit == 0


# --- it does what we take it to do


async def test_connecting_sends_nothing_and_sending_does() -> None:
    async with raw_server(sequence(then=OK)) as server, aiohttp.TCPConnector() as connector:
        async with exchange(connector, server.url) as (connection, message):
            await asyncio.sleep(0.02)
            assert server.arrived == []
            response = await answered(connection, message)
            assert await response.read() == b"{}"
        assert [(request.method, request.body) for request in server.arrived] == [("POST", b"x")]


async def test_nobody_there_is_told_by_connect() -> None:
    async with aiohttp.TCPConnector() as connector:
        with pytest.raises(aiohttp.ClientConnectorError):
            async with exchange(connector, "http://127.0.0.1:1"):
                pass


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("content", [{}, LARGE])
async def test_a_connection_returns_to_the_pool_when_its_answer_has_been_read(
    *, content: dict[str, str], chunked: bool
) -> None:
    async with (
        raw_server(sequence(then=reply_with(content, chunked=chunked))) as server,
        aiohttp.TCPConnector() as connector,
    ):
        for _ in range(3):
            async with exchange(connector, server.url) as (connection, message):
                await (await answered(connection, message)).read()
        assert server.connections == 1


async def test_a_small_answer_ends_with_its_head_and_a_large_one_does_not() -> None:
    async with (
        raw_server(sequence(OK, then=reply_with(LARGE))) as server,
        aiohttp.TCPConnector() as connector,
    ):
        ended: list[bool] = []
        for _ in range(2):
            async with exchange(connector, server.url) as (connection, message):
                response = await answered(connection, message)
                ended.append(response.content.is_eof())
                await response.read()
        assert ended == [True, False]


async def test_force_close_keeps_a_connection_out_of_the_pool_and_its_answer_readable() -> None:
    async with raw_server(sequence(then=reply_with(LARGE))) as server, aiohttp.TCPConnector() as connector:
        for _ in range(3):
            async with exchange(connector, server.url) as (connection, message):
                protocol = connection.protocol
                response = await answered(connection, message)
                assert protocol is not None
                protocol.force_close()
                assert len(await response.read()) > 2_000_000
        assert server.connections == 3


async def test_close_takes_a_connection_out_of_the_pool_again_and_leaves_its_answer_readable() -> None:
    async with raw_server(sequence(then=OK)) as server, aiohttp.TCPConnector() as connector:
        for _ in range(3):
            async with exchange(connector, server.url) as (connection, message):
                protocol = connection.protocol
                response = await answered(connection, message)
                assert protocol is not None
                protocol.close()
                assert await response.read() == b"{}"
        assert server.connections == 3


# --- what we do about it is still needed; if not, it can go


async def test_aiohttp_by_itself_pools_a_connection_that_carried_a_500() -> None:
    crash = reply_with(b"Internal Server Error", 500, kind="text/plain")
    async with raw_server(sequence(crash, then=OK)) as server:
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.post(server.url, data=b"x") as response:
                    await response.read()
        assert server.connections == 1


async def test_a_session_by_itself_resends_an_idempotent_method() -> None:
    async with (
        raw_server(sequence(OK, HANG_UP, then=OK)) as server,
        aiohttp.ClientSession() as session,
    ):
        async with session.get(server.url) as response:
            await response.read()
        async with session.delete(server.url) as response:
            await response.read()
    assert server.counts["DELETE /"] == 2
