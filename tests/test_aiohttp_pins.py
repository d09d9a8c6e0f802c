"""The partly documented behaviour of aiohttp that ``_engine/http.py`` relies on.

When one of these tests fails, a new release of aiohttp behaves differently. Read the docstring of
``reflexio_async/_engine/http.py``, adapt that file, and then adapt these tests.
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
LARGE = {"x": "y" * 2_000_000}  # does not arrive together with the headers


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


async def send(connection: Connection, message: ClientRequest) -> ClientResponse:
    response = await message.send(connection)
    await response.start(connection)
    return response


# --- signatures


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
def test_the_parameters_of_the_methods_are_as_expected(
    method: Callable[..., Any], parameters: list[str]
) -> None:
    assert list(inspect.signature(method).parameters) == parameters


def test_only_method_and_url_have_no_default() -> None:
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


# --- behaviour


async def test_bytes_are_sent_by_send_and_not_by_connect() -> None:
    async with raw_server(sequence(then=OK)) as server, aiohttp.TCPConnector() as connector:
        async with exchange(connector, server.url) as (connection, message):
            await asyncio.sleep(0.02)
            assert server.arrived == []
            response = await send(connection, message)
            assert await response.read() == b"{}"
        assert [(request.method, request.body) for request in server.arrived] == [("POST", b"x")]


async def test_connect_raises_when_there_is_no_server() -> None:
    async with aiohttp.TCPConnector() as connector:
        with pytest.raises(aiohttp.ClientConnectorError):
            async with exchange(connector, "http://127.0.0.1:1"):
                pass


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("content", [{}, LARGE])
async def test_a_connection_returns_to_the_pool_when_its_response_has_been_read(
    *, content: dict[str, str], chunked: bool
) -> None:
    async with (
        raw_server(sequence(then=reply_with(content, chunked=chunked))) as server,
        aiohttp.TCPConnector() as connector,
    ):
        for _ in range(3):
            async with exchange(connector, server.url) as (connection, message):
                await (await send(connection, message)).read()
        assert server.connections == 1


async def test_a_small_response_is_complete_with_its_headers_and_a_large_one_is_not() -> None:
    async with (
        raw_server(sequence(OK, then=reply_with(LARGE))) as server,
        aiohttp.TCPConnector() as connector,
    ):
        ended: list[bool] = []
        for _ in range(2):
            async with exchange(connector, server.url) as (connection, message):
                response = await send(connection, message)
                ended.append(response.content.is_eof())
                await response.read()
        assert ended == [True, False]


async def test_after_force_close_the_response_is_readable_and_the_connection_is_not_pooled() -> None:
    async with raw_server(sequence(then=reply_with(LARGE))) as server, aiohttp.TCPConnector() as connector:
        for _ in range(3):
            async with exchange(connector, server.url) as (connection, message):
                protocol = connection.protocol
                response = await send(connection, message)
                assert protocol is not None
                protocol.force_close()
                assert len(await response.read()) > 2_000_000
        assert server.connections == 3


async def test_after_close_the_response_is_readable_and_the_connection_is_not_pooled() -> None:
    async with raw_server(sequence(then=OK)) as server, aiohttp.TCPConnector() as connector:
        for _ in range(3):
            async with exchange(connector, server.url) as (connection, message):
                protocol = connection.protocol
                response = await send(connection, message)
                assert protocol is not None
                protocol.close()
                assert await response.read() == b"{}"
        assert server.connections == 3


# --- aiohttp's own behaviour that http.py avoids; if it changes, http.py can be simpler


async def test_aiohttp_pools_a_connection_that_carried_a_500() -> None:
    crash = reply_with(b"Internal Server Error", 500, kind="text/plain")
    async with raw_server(sequence(crash, then=OK)) as server:
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.post(server.url, data=b"x") as response:
                    await response.read()
        assert server.connections == 1


async def test_a_session_sends_an_idempotent_request_again() -> None:
    async with (
        raw_server(sequence(OK, HANG_UP, then=OK)) as server,
        aiohttp.ClientSession() as session,
    ):
        async with session.get(server.url) as response:
            await response.read()
        async with session.delete(server.url) as response:
            await response.read()
    assert server.counts["DELETE /"] == 2
