"""The private behaviour of aiohttp that ``transport.py`` leans on.

When one of these fails, an aiohttp came out that works differently: read the docstring of
``reflexio_async/transport.py``, adapt it, then adapt these.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ClientRequest, ClientResponse

from reflexio_async.transport import _Request, _Response
from tests.transport.servers import HANG_UP, answer, raw_server, sequence

if TYPE_CHECKING:
    from aiohttp.connector import Connection

OK = answer({})
LARGE = {"x": "y" * 2_000_000}  # does not arrive together with its head


# --- our hooks are called


def test_what_we_override_is_still_there() -> None:
    assert inspect.iscoroutinefunction(ClientRequest.send)
    assert list(inspect.signature(ClientRequest.send).parameters) == ["self", "conn"]
    assert inspect.iscoroutinefunction(ClientResponse.start)
    assert list(inspect.signature(ClientResponse.start).parameters) == ["self", "connection"]
    assert list(inspect.signature(ClientResponse._response_eof).parameters) == ["self"]


async def test_a_session_takes_our_classes_for_requests_and_responses() -> None:
    async with (
        raw_server(sequence(then=OK)) as server,
        aiohttp.ClientSession(request_class=_Request, response_class=_Response) as session,
        session.get(server.url) as response,
    ):
        assert type(response) is _Response


async def test_send_is_where_bytes_begin_to_leave() -> None:
    """Not called before there is a connection, and called before the server has seen anything."""
    seen: list[int] = []

    class Watched(_Request):
        async def send(self, conn: Connection) -> aiohttp.ClientResponse:
            await asyncio.sleep(0.02)
            seen.append(len(server.arrived))
            return await super().send(conn)

    async with (
        raw_server(sequence(then=OK)) as server,
        aiohttp.ClientSession(request_class=Watched) as session,
    ):
        async with session.post(server.url, data=b"x"):
            pass
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.post("http://127.0.0.1:1", data=b"x")
    assert seen == [0]


@pytest.mark.parametrize("chunked", [False, True])
async def test_the_end_of_a_body_is_told_by_response_eof(*, chunked: bool) -> None:
    ends: list[Any] = []

    class Watched(ClientResponse):
        def _response_eof(self) -> None:
            ends.append((self.status, self._connection is not None and self._connection.protocol is not None))
            super()._response_eof()

    async with (
        raw_server(sequence(then=answer(LARGE, chunked=chunked))) as server,
        aiohttp.ClientSession(response_class=Watched) as session,
        session.get(server.url) as response,
    ):
        await response.read()
    assert (200, True) in ends


async def test_closing_by_force_keeps_a_connection_out_of_the_pool() -> None:
    class Forced(ClientResponse):
        async def start(self, connection: Connection) -> ClientResponse:
            response = await super().start(connection)
            assert connection.protocol is not None
            connection.protocol.force_close()
            return response

    async with raw_server(sequence(then=answer(LARGE))) as server:
        async with aiohttp.ClientSession(response_class=Forced) as session:
            for _ in range(3):
                async with session.get(server.url) as response:
                    await response.read()
        assert server.connections == 3


# --- what they are there for is still needed; if not, they can go


async def test_aiohttp_by_itself_pools_a_connection_that_carried_a_500() -> None:
    crash = answer(b"Internal Server Error", 500, kind="text/plain")
    async with raw_server(sequence(crash, then=OK)) as server:
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.post(server.url, data=b"x") as response:
                    await response.read()
        assert server.connections == 1


@pytest.mark.parametrize("retries", [True, False])
async def test_retry_connection_is_what_resends_an_idempotent_method(*, retries: bool) -> None:
    async with (
        raw_server(sequence(OK, HANG_UP, then=OK)) as server,
        aiohttp.ClientSession() as session,
    ):
        assert session._retry_connection is True
        session._retry_connection = retries
        async with session.get(server.url) as response:
            await response.read()
        if retries:
            async with session.delete(server.url) as response:
                await response.read()
        else:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await session.delete(server.url)
    assert server.counts["DELETE /"] == (2 if retries else 1)


async def test_a_status_is_none_until_the_head_has_been_read() -> None:
    """``_response_eof`` is called for an answer that ends with its head before ``status`` is set."""
    statuses: list[Any] = []

    class Watched(ClientResponse):
        async def start(self, connection: Connection) -> ClientResponse:
            statuses.append(self.status)
            return await super().start(connection)

    async with (
        raw_server(sequence(then=OK)) as server,
        aiohttp.ClientSession(response_class=Watched) as session,
        session.get(server.url),
    ):
        pass
    assert statuses == [None]


async def test_the_connector_takes_a_keepalive_timeout() -> None:
    async with aiohttp.TCPConnector(keepalive_timeout=4.0) as connector:
        assert connector._keepalive_timeout == 4.0
