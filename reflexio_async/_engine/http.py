"""One HTTP exchange over aiohttp. No other file of the client imports aiohttp.

It uses aiohttp's connector, request and response, and not its ``ClientSession``. A session sends idempotent
requests again when a pooled connection is dead, which our retry policy must decide. It does not say whether
bytes may have left. And it costs as much time as all of our own code, for features that this API does not
have: redirects, cookies, proxies, netrc.

Some of the names used here are public but only partly documented: ``ClientRequest`` and its ``send``,
``BaseConnector.connect``, ``ClientResponse.start``, and the methods ``set_response_params``, ``force_close``
and ``close`` of ``ResponseHandler``. ``tests/test_aiohttp_pins.py`` tests each of them.
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

# Seconds. The server closes idle connections after 5 s (server-behaviour: Connections). We close them before
# that, so that no request is sent on a connection that is being closed.
_KEEPALIVE = 4.0
_CACHED_URLS = 128
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


@lru_cache(_CACHED_URLS)
def _parse_url(url: str) -> URL:
    return URL(url, encoded=True)


class ConnectionPool:
    """The connections of one client. It belongs to the event loop of the first call.

    Several ``HttpClient`` objects may share it.
    """

    def __init__(self, settings: Settings) -> None:
        self.headers = [(hdrs.USER_AGENT, settings.user_agent), (hdrs.ACCEPT, "application/json")]
        """The headers of every request."""
        self.capacity = asyncio.Semaphore(settings.max_connections)
        """Acquired for the time that a connection is used."""
        self._connector: aiohttp.TCPConnector | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def connector(self) -> aiohttp.TCPConnector:
        """Return the connector, which is made on first use.

        Raises:
            ClientClosed: The pool was closed.
            ConfigurationError: Another event loop is running than in the first call.
        """
        if self._connector is None:
            if self._closed:
                raise ClientClosed(CLOSED)
            self._loop = asyncio.get_running_loop()
            # The connector has no limit of its own: ``capacity`` is the limit.
            self._connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE)
        elif self._loop is not asyncio.get_running_loop():
            message = "this client is used from two event loops; make one client per loop"
            raise ConfigurationError(message)
        return self._connector

    async def aclose(self) -> None:
        """Close every connection. Later calls raise ClientClosed."""
        self._closed = True
        connector, self._connector = self._connector, None
        if connector is not None:
            await connector.close()


class HttpClient:
    """Sends requests to one server."""

    def __init__(self, settings: Settings, clock: Clock, pool: ConnectionPool, *, url_hint: str) -> None:
        self._url_hint = url_hint
        self._base_url = settings.base_url
        self._max_bytes = settings.max_response_bytes
        self._clock = clock
        self._pool = pool

    async def send(
        self, request: EncodedRequest, *, authorization: str | None, timeout: float
    ) -> RawResponse:
        """Send ``request`` once and return the response, whatever its status is.

        Args:
            request: The request.
            authorization: The value of the ``Authorization`` header.
            timeout: Seconds for everything: a free connection, connecting, the response.

        Raises:
            APIConnectionError: No complete response came. ``outcome_unknown`` is True when bytes may have
                left.
            APITimeout: The timeout is over. ``outcome_unknown`` as above.
            UnexpectedResponse: The response is larger than ``max_response_bytes``.
        """
        pool = self._pool
        connector = pool.connector()
        sent = False  # whether bytes may have left
        failure: APIConnectionError
        try:
            # Not ``busy`` while waiting for a free connection: a virtual clock must go on meanwhile.
            async with self._clock.timeout(timeout), pool.capacity:
                with self._clock.busy() as extra_headers:
                    prepared = self._prepare(request, authorization, extra_headers)
                    connection = await connector.connect(prepared, [], _NO_TIMEOUT)
                    sent = True
                    return await self._exchange(request, prepared, connection)
        except TimeoutError:
            progress = "no response" if sent else "no free connection"
            what = f"{progress} from {self._base_url} within {timeout:.3g} s"
            failure = APITimeout(f"{request.method} {request.path}: {what}", outcome_unknown=sent)
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or error.os_error
            what = f"cannot connect to {self._base_url} ({reason}); is it running? {self._url_hint}"
            failure = APIConnectionError(f"{request.method} {request.path}: {what}")
        except (aiohttp.ClientError, OSError) as error:
            what = f"the connection to {self._base_url} broke ({type(error).__name__})"
            failure = APIConnectionError(f"{request.method} {request.path}: {what}", outcome_unknown=sent)
        # Raised outside of the except blocks, so that it has no context: aiohttp's errors may hold the
        # headers of the request, the token included.
        raise failure

    def _prepare(
        self, request: EncodedRequest, authorization: str | None, extra_headers: Mapping[str, str] | None
    ) -> ClientRequest:
        headers = [*self._pool.headers, *request.headers]
        if extra_headers:
            headers += extra_headers.items()
        if authorization is not None:
            headers.append((hdrs.AUTHORIZATION, authorization))
        if request.content_type is not None:
            headers.append((hdrs.CONTENT_TYPE, request.content_type))
        return ClientRequest(
            request.method,
            _parse_url(self._base_url + request.target),
            headers=headers,
            data=request.body,
            loop=asyncio.get_running_loop(),
        )

    async def _exchange(
        self, request: EncodedRequest, prepared: ClientRequest, connection: Connection
    ) -> RawResponse:
        """Send the request and read the response. Then the connection is in the pool again, or closed."""
        protocol = cast("ResponseHandler", connection.protocol)  # None only after its return to the pool
        transport = cast("asyncio.Transport", protocol.transport)
        protocol.set_response_params(read_until_eof=True)
        response: aiohttp.ClientResponse | None = None
        try:
            response = await prepared.send(connection)
            await response.start(connection)
            if response.status >= 500:
                # The server closes the connection after a 500 without saying so (server-behaviour:
                # Connections), so it must not stay in the pool. It is there already when the whole body
                # came together with the headers.
                protocol.force_close()
                if response.content.is_eof():
                    protocol.close()
            body = await self._read_body(response)
        except BaseException:
            if response is not None:
                response.close()
            connection.close()
            raise
        finally:
            # The exchange ended before the whole request was sent. Closing would wait for a server that may
            # never read the rest.
            if transport.get_write_buffer_size():
                transport.abort()
        # The URL of the request is the URL of the response, because redirects are not followed.
        return RawResponse(response.status, response.headers, body, self._base_url + request.target)

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
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
                message = (
                    f"the response of {response.url} is larger than max_response_bytes={self._max_bytes}"
                )
                raise UnexpectedResponse(message, url=str(response.url), status=response.status)
            chunks.append(chunk)
        return b"".join(chunks)
