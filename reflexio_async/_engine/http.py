"""Bytes over aiohttp; the only file of the client that imports it.

It takes aiohttp's connector, request and response, and goes without its ``ClientSession``: that would
resend idempotent methods on a dead pooled connection by itself (our retry policy decides that), would not
say whether bytes may have left already, and costs as much again as everything of ours (redirects, cookies,
proxies, netrc: this API has none of them). What it leans on for that is public by name but documented only
in part, so ``tests/test_aiohttp_pins.py`` holds it fast: ``ClientRequest`` and its ``send``,
``BaseConnector.connect``, ``ResponseHandler.set_response_params``, ``force_close`` and ``close``, and
``ClientResponse.start``.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import aiohttp
from aiohttp import ClientRequest, hdrs
from yarl import URL

from reflexio_async._engine.wire import RawResponse
from reflexio_async.errors import (
    CLOSED,
    APIConnectionError,
    APITimeout,
    ClientClosed,
    ConfigurationError,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.wire import EncodedRequest

# The server closes idle connections after 5 s; ours are retired before, so that none dies under a request.
_KEEPALIVE = 4.0
_REMEMBERED_URLS = 128
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


@lru_cache(_REMEMBERED_URLS)
def _parsed(url: str) -> URL:
    return URL(url, encoded=True)


class ConnectionPool:
    """Connections, made on the loop of the first call; transports may share it."""

    def __init__(self, settings: Settings) -> None:
        self.headers = [(hdrs.USER_AGENT, settings.user_agent), (hdrs.ACCEPT, "application/json")]
        """Sent with every request."""
        self.turns = asyncio.Semaphore(settings.max_connections)
        """Held by whoever uses a connection."""
        self._connector: aiohttp.TCPConnector | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def connector(self) -> aiohttp.TCPConnector:
        """That of the running loop; raises ClientClosed, or ConfigurationError on another loop."""
        connector = self._connector or self._open()
        if self._loop is not asyncio.get_running_loop():
            message = "this client is used from two event loops; make one client per loop"
            raise ConfigurationError(message)
        return connector

    async def aclose(self) -> None:
        """Close every connection; later calls raise ClientClosed."""
        self._closed = True
        connector, self._connector = self._connector, None
        if connector is not None:
            await connector.close()

    def _open(self) -> aiohttp.TCPConnector:
        if self._closed:
            raise ClientClosed(CLOSED)
        self._loop = asyncio.get_running_loop()
        # Its own limit is off: ``turns`` has been waited for before.
        self._connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE)
        return self._connector


class HttpClient:
    """Exchanges with one server, over a pool of connections."""

    def __init__(self, settings: Settings, clock: Clock, pool: ConnectionPool) -> None:
        self._base_url = settings.base_url
        self._max_bytes = settings.max_response_bytes
        self._clock = clock
        self._pool = pool

    async def send(
        self, request: EncodedRequest, *, authorization: str | None, timeout: float
    ) -> RawResponse:
        """One exchange, sent once.

        Raises APIConnectionError (``outcome_unknown`` once bytes may have left), APITimeout after
        ``timeout`` seconds, and UnexpectedResponse for an answer that is too large.
        """
        pool = self._pool
        connector = pool.connector()
        sent = False  # whether bytes may have left
        failure: APIConnectionError
        try:
            # A virtual clock must not stand still for a call that only waits for a free connection.
            async with self._clock.timeout(timeout), pool.turns:
                with self._clock.busy() as extra:
                    message = self._message(request, authorization, extra)
                    connection = await connector.connect(message, [], _NO_TIMEOUT)
                    sent = True
                    return await self._answer(request, message, connection)
        except TimeoutError:
            progress = "no answer" if sent else "no free connection"
            what = f"{progress} from {self._base_url} within {timeout:.3g} s"
            failure = APITimeout(f"{request.method} {request.path}: {what}", outcome_unknown=sent)
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or error.os_error
            what = f"cannot connect to {self._base_url} ({reason}); is it running, and is that its address?"
            failure = APIConnectionError(f"{request.method} {request.path}: {what}")
        except (aiohttp.ClientError, OSError) as error:
            what = f"the connection to {self._base_url} broke ({type(error).__name__})"
            failure = APIConnectionError(f"{request.method} {request.path}: {what}", outcome_unknown=sent)
        # Raised out here, without a cause: aiohttp's errors may hold the request's headers, token included.
        raise failure

    def _message(
        self, request: EncodedRequest, authorization: str | None, extra: Mapping[str, str] | None
    ) -> ClientRequest:
        headers = [*self._pool.headers, *request.headers]
        if extra:
            headers += extra.items()
        if authorization is not None:
            headers.append((hdrs.AUTHORIZATION, authorization))
        if request.content_type is not None:
            headers.append((hdrs.CONTENT_TYPE, request.content_type))
        return ClientRequest(
            request.method,
            _parsed(self._base_url + request.target),
            headers=headers,
            data=request.body,
            loop=asyncio.get_running_loop(),
        )

    async def _answer(
        self, request: EncodedRequest, message: ClientRequest, connection: Connection
    ) -> RawResponse:
        """Send ``message`` and read what comes back; the connection is in the pool again, or closed."""
        protocol = cast("ResponseHandler", connection.protocol)  # None only once it is back in the pool
        transport = cast("asyncio.Transport", protocol.transport)
        protocol.set_response_params(read_until_eof=True)
        response: aiohttp.ClientResponse | None = None
        try:
            response = await message.send(connection)
            await response.start(connection)
            if response.status >= 500:
                # The server drops the connection after a 500 without saying so: not into the pool with
                # it, nor in there any longer when the whole answer has arrived with its head.
                protocol.force_close()
                if response.content.is_eof():
                    protocol.close()
            body = await self._body(response)
        except BaseException:
            if response is not None:
                response.close()
            connection.close()
            raise
        finally:
            # Answered, or given up, before all of it was sent: closing would wait for a server that need not
            # ever read the rest, and the connection is of no use for anything else.
            if transport.get_write_buffer_size():
                transport.abort()
        # Redirects are not followed, so what was asked for is what answered.
        return RawResponse(response.status, response.headers, body, self._base_url + request.target)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        headers = response.headers
        length = headers.get(hdrs.CONTENT_LENGTH, "")
        small = length.isdecimal() and int(length) <= self._max_bytes
        if small and hdrs.CONTENT_ENCODING not in headers:
            return await response.read()
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._max_bytes:
                message = f"{response.url} answered more than max_response_bytes={self._max_bytes}"
                raise UnexpectedResponse(message, url=str(response.url), status=response.status)
            chunks.append(chunk)
        return b"".join(chunks)
