"""The partly documented behaviour of aiohttp that ``_engine/http.py`` relies on.

CI runs these tests on the lowest and on the newest aiohttp that we allow. When one of them fails, a new
release behaves differently. Read the docstring of ``reflexio_async/_engine/http.py``, adapt that file, and
then adapt these tests.
"""

from __future__ import annotations

import asyncio
import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import BaseConnector, Connection

from tests.transport.servers import HANG_UP, RawReply, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import Callable

OK = reply_with({})
LARGE = {"x": "y" * 2_000_000}  # does not arrive together with the headers
MARK: ContextVar[str] = ContextVar("MARK")


class Observer(aiohttp.TCPConnector):
    """Keeps the connections that a session asks for."""

    def __init__(self) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self.protocols: list[ResponseHandler] = []
        self.marks: list[str] = []

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        self.marks.append(MARK.get("none"))
        connection = await super().connect(req, traces, timeout)
        assert connection.protocol is not None
        self.protocols.append(connection.protocol)
        return connection


async def post(session: aiohttp.ClientSession, url: str, **options: Any) -> bytes:
    async with session.post(url, data=b"x", **options) as response:
        return await response.read()


# --- signatures


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (BaseConnector.connect, ["self", "req", "traces", "timeout"]),
        (aiohttp.TCPConnector.connect, ["self", "req", "traces", "timeout"]),
        (Connection.close, ["self"]),
        (Connection.release, ["self"]),
        (ResponseHandler.force_close, ["self"]),
        (ResponseHandler.close, ["self"]),
    ],
)
def test_methods_have_the_expected_parameters(method: Callable[..., Any], parameters: list[str]) -> None:
    assert list(inspect.signature(method).parameters) == parameters


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Connection, "protocol"), (ResponseHandler, "should_close")],
    ids=["protocol", "should_close"],
)
def test_properties_are_properties(owner: type, name: str) -> None:
    assert isinstance(inspect.getattr_static(owner, name), property)


async def test_a_session_takes_the_options_that_go_with_each_request() -> None:
    async with raw_server(sequence(then=OK)) as server, aiohttp.ClientSession() as session:
        await post(
            session,
            server.url,
            allow_redirects=False,
            auto_decompress=False,
            raise_for_status=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=1.0),
            proxy=None,
            ssl=False,
        )


# --- connect() is asked for each connection


async def test_a_session_asks_for_a_connection_once_per_attempt_and_in_the_context_of_the_caller() -> None:
    async with raw_server(sequence(then=OK)) as server:
        observer = Observer()
        async with aiohttp.ClientSession(connector=observer) as session:

            async def call(name: str) -> None:
                MARK.set(name)
                await post(session, server.url)

            await asyncio.gather(*(call(name) for name in "abc"))
        assert sorted(observer.marks) == ["a", "b", "c"]


async def test_connecting_sends_nothing() -> None:
    class Stopping(Observer):
        async def connect(self, *args: Any, **options: Any) -> Connection:
            connection = await super().connect(*args, **options)
            await asyncio.sleep(0.02)
            assert server.arrived == []
            connection.close()
            raise aiohttp.ServerDisconnectedError

    async with (
        raw_server(sequence(then=OK)) as server,
        aiohttp.ClientSession(connector=Stopping()) as session,
    ):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await post(session, server.url)
        assert (server.connections, server.arrived) == (1, [])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_connector_that_refuses_a_second_connection_ends_the_attempt(method: str) -> None:
    """Traces see one request and one failure."""
    events: list[str] = []

    async def on_start(*_: Any) -> None:
        events.append("start")

    async def on_exception(*_: Any) -> None:
        events.append("exception")

    class Once(Observer):
        async def connect(self, *args: Any, **options: Any) -> Connection:
            if len(self.protocols) == 2:
                raise aiohttp.ServerDisconnectedError
            return await super().connect(*args, **options)

    traces = aiohttp.TraceConfig()
    traces.on_request_start.append(on_start)
    traces.on_request_exception.append(on_exception)
    async with (
        raw_server(sequence(OK, then=HANG_UP)) as server,
        aiohttp.ClientSession(connector=Once(), trace_configs=[traces]) as session,
    ):
        await post(session, server.url)
        events.clear()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.request(method, server.url)
    assert server.counts[f"{method} /"] == (1 if method != "POST" else 2)
    assert events == ["start", "exception"]


# --- what a connection says of itself


@pytest.mark.parametrize(
    "stray",
    [OK.raw, OK.raw[:-1], reply_with({}, chunked=True).raw, b"HTTP/1.1 200 OK\r\n\r\n"],
    ids=["whole", "half", "chunks", "without a length"],
)
async def test_an_idle_connection_that_got_bytes_should_close(stray: bytes) -> None:
    async with raw_server(sequence(then=OK)) as server:
        observer = Observer()
        async with aiohttp.ClientSession(connector=observer) as session:
            await post(session, server.url)
            [protocol] = observer.protocols
            assert not protocol.should_close
            server.writers[0].write(stray)
            await asyncio.sleep(0.02)
            assert protocol.should_close or protocol.transport is None


async def test_a_new_connection_that_got_bytes_should_close() -> None:
    class Waiting(Observer):
        async def connect(self, *args: Any, **options: Any) -> Connection:
            connection = await super().connect(*args, **options)
            assert connection.protocol is not None
            assert not connection.protocol.should_close
            server.writers[0].write(OK.raw)
            await asyncio.sleep(0.02)
            assert connection.protocol.should_close
            return connection

    async with (
        raw_server(sequence(then=OK)) as server,
        aiohttp.ClientSession(connector=Waiting()) as session,
    ):
        await post(session, server.url)


async def test_the_transport_of_a_connection_is_asyncios() -> None:
    async with raw_server(sequence(then=OK)) as server:
        observer = Observer()
        async with aiohttp.ClientSession(connector=observer) as session:
            await post(session, server.url)
            transport = observer.protocols[0].transport
            assert isinstance(transport, asyncio.WriteTransport)
            assert transport.get_extra_info("socket").fileno() > 0


# --- connections in the pool


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("content", [{}, LARGE], ids=["small", "large"])
async def test_a_connection_returns_to_the_pool_when_its_response_has_been_read(
    *, content: dict[str, str], chunked: bool
) -> None:
    async with (
        raw_server(sequence(then=reply_with(content, chunked=chunked))) as server,
        aiohttp.ClientSession() as session,
    ):
        for _ in range(3):
            await post(session, server.url)
        assert server.connections == 1


async def test_a_small_response_ends_with_its_head_and_a_large_one_does_not() -> None:
    async with (
        raw_server(sequence(OK, then=reply_with(LARGE))) as server,
        aiohttp.ClientSession() as session,
    ):
        ended: list[bool] = []
        for _ in range(2):
            async with session.post(server.url, data=b"x") as response:
                ended.append(response.content.is_eof())
                await response.read()
        assert ended == [True, False]


async def test_force_close_keeps_a_connection_out_of_the_pool_and_its_response_readable() -> None:
    async with raw_server(sequence(then=reply_with(LARGE))) as server:
        observer = Observer()
        async with aiohttp.ClientSession(connector=observer) as session:
            for _ in range(3):
                async with session.post(server.url, data=b"x") as response:
                    observer.protocols[-1].force_close()
                    assert len(await response.read()) > 2_000_000
        assert server.connections == 3


async def test_close_takes_a_connection_out_of_the_pool_again_and_leaves_its_response_readable() -> None:
    async with raw_server(sequence(then=OK)) as server:
        observer = Observer()
        async with aiohttp.ClientSession(connector=observer) as session:
            for _ in range(3):
                async with session.post(server.url, data=b"x") as response:
                    observer.protocols[-1].close()
                    assert await response.read() == b"{}"
        assert server.connections == 3


async def test_a_body_that_is_not_decompressed_is_as_it_came() -> None:
    reply = reply_with(b"\x1f\x8b-like", headers={"Content-Encoding": "gzip"})
    async with (
        raw_server(sequence(then=reply)) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url, auto_decompress=False) as response,
    ):
        assert response.headers["Content-Encoding"] == "gzip"
        assert await response.read() == b"\x1f\x8b-like"


# --- why our connector is needed; when one of these fails, a part of it can go


async def test_a_session_by_itself_pools_a_connection_that_carried_a_500() -> None:
    crash = reply_with(b"Internal Server Error", 500, kind="text/plain")
    async with raw_server(sequence(crash, then=OK)) as server:
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                await post(session, server.url)
        assert server.connections == 1


async def test_a_session_by_itself_resends_an_idempotent_method() -> None:
    async with (
        raw_server(sequence(OK, HANG_UP, then=OK)) as server,
        aiohttp.ClientSession() as session,
    ):
        await post(session, server.url)
        async with session.delete(server.url) as response:
            await response.read()
    assert server.counts["DELETE /"] == 2


async def test_a_session_by_itself_takes_bytes_on_an_idle_connection_for_a_response() -> None:
    forged = reply_with({"forged": True})
    async with raw_server(sequence(then=OK)) as server, aiohttp.ClientSession() as session:
        await post(session, server.url)
        server.writers[0].write(forged.raw)
        await asyncio.sleep(0.02)
        assert await post(session, server.url) == b'{"forged": true}'


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # newer versions want a header
async def test_a_session_by_itself_refuses_a_second_credential() -> None:
    async with aiohttp.ClientSession(auth=aiohttp.BasicAuth("ana", "x")) as session:
        with pytest.raises(ValueError, match="AUTH"):
            await post(session, "http://127.0.0.1:1", headers={"Authorization": "Bearer t"})


async def test_a_session_by_itself_warns_of_large_bodies() -> None:
    async with raw_server(sequence(then=RawReply(OK.raw))) as server, aiohttp.ClientSession() as session:
        with pytest.warns(ResourceWarning, match="large body"):
            async with session.post(server.url, data=b"x" * (2**20 + 1)) as response:
                await response.read()
