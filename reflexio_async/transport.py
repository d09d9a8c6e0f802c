"""Bytes over aiohttp; the only file of the client that imports it.

It leans on three private things of aiohttp, all of them here and pinned by ``tests/test_aiohttp_pins.py``:
``ClientSession._retry_connection`` (aiohttp resends idempotent methods on a dead pooled connection by
itself; our retry policy decides that), ``ClientResponse._response_eof`` and ``_connection`` (to keep a
connection that carried a 5xx out of the pool: the server drops it after a 500 without saying so, and
closing the response later is too late), and that ``ClientRequest.send`` is where bytes begin to leave.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import hdrs
from aiohttp.client_reqrep import ClientRequest
from yarl import URL

from reflexio_async.core.wire import WireResponse
from reflexio_async.errors import (
    CLOSED,
    APIConnectionError,
    APITimeout,
    ClientClosed,
    ConfigurationError,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from aiohttp.connector import Connection

    from reflexio_async.core.clock import Clock
    from reflexio_async.core.wire import WireRequest
    from reflexio_async.settings import Settings

# The server closes idle connections after 5 s; ours are retired before, so that none dies under a request.
_KEEPALIVE = 4.0
_REMEMBERED_URLS = 1024

_sending: ContextVar[list[bool] | None] = ContextVar("_sending", default=None)


class _Request(ClientRequest):
    """Notes the moment from which bytes may have reached the server."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        sent = _sending.get()
        if sent is not None:
            sent[0] = True
        return await super().send(conn)


class _Response(aiohttp.ClientResponse):
    """Keeps a connection that carried a 5xx out of the pool."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        response = await super().start(connection)
        if self.status >= 500 and self.content.is_eof():
            # The end came together with the headers, before the status was known to _response_eof.
            self._drop_connection()
        return response

    def _response_eof(self) -> None:
        status: Any = self.status  # typed as int, but None until start() has read it
        if status is None:
            return
        if status >= 500:
            self._drop_connection()
        super()._response_eof()

    def _drop_connection(self) -> None:
        connection = self._connection
        if connection is not None and connection.protocol is not None:
            connection.protocol.force_close()


class Pool:
    """One aiohttp session, made at the first call on the loop that makes it; transports may share it."""

    def __init__(self, settings: Settings) -> None:
        self._headers = {"User-Agent": settings.user_agent, "Accept": "application/json"}
        self._max_connections = settings.max_connections
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.connections = asyncio.Semaphore(settings.max_connections)

    def session(self) -> aiohttp.ClientSession:
        """The session of the running loop; raises ClientClosed, or ConfigurationError on another loop."""
        session = self._session or self._open()
        if self._loop is not asyncio.get_running_loop():
            message = "this client is used from two event loops; make one client per loop"
            raise ConfigurationError(message)
        return session

    async def aclose(self) -> None:
        """Close every connection; later calls raise ClientClosed."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ClientClosed(CLOSED)
        self._loop = asyncio.get_running_loop()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=_KEEPALIVE),
            headers=self._headers,
            request_class=_Request,
            response_class=_Response,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        )
        self._session._retry_connection = False  # noqa: SLF001  # see the module docstring
        return self._session


class Transport:
    """Exchanges with one server, over a pool of connections."""

    def __init__(self, settings: Settings, clock: Clock, pool: Pool) -> None:
        self._base_url = settings.base_url
        self._max_bytes = settings.max_response_bytes
        self._clock = clock
        self._pool = pool
        self._urls: dict[str, URL] = {}

    async def send(self, request: WireRequest, *, authorization: str | None, timeout: float) -> WireResponse:
        """One exchange, sent once.

        Raises APIConnectionError (``outcome_unknown`` once bytes may have left), APITimeout after
        ``timeout`` seconds, and UnexpectedResponse for an answer that is too large.
        """
        session = self._pool.session()
        sent = [False]
        failure: APIConnectionError
        mark = _sending.set(sent)
        try:
            # A virtual clock must not stand still for a call that only waits for a free connection.
            async with self._clock.timeout(timeout), self._pool.connections:
                with self._clock.busy() as extra:
                    headers = dict(extra) if extra else {}
                    headers.update(request.headers)
                    if authorization is not None:
                        headers[hdrs.AUTHORIZATION] = authorization
                    if request.content_type is not None:
                        headers[hdrs.CONTENT_TYPE] = request.content_type
                    async with session.request(
                        request.method,
                        self._url(request.target),
                        data=request.body,
                        headers=headers,
                        allow_redirects=False,
                    ) as response:
                        body = await self._body(response)
                        # Redirects are not followed, so what was asked for is what answered.
                        url = self._base_url + request.target
                        return WireResponse(response.status, response.headers, body, url)
        except TimeoutError:
            progress = "no answer" if sent[0] else "no free connection"
            what = f"{progress} from {self._base_url} within {timeout:.3g} s"
            failure = APITimeout(f"{request.method} {request.path}: {what}", outcome_unknown=sent[0])
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or error.os_error
            what = f"cannot connect to {self._base_url} ({reason}); is it running, and is that its address?"
            failure = APIConnectionError(f"{request.method} {request.path}: {what}")
        except (aiohttp.ClientError, ConnectionError) as error:
            what = f"the connection to {self._base_url} broke ({type(error).__name__})"
            failure = APIConnectionError(f"{request.method} {request.path}: {what}", outcome_unknown=sent[0])
        finally:
            _sending.reset(mark)
        # Raised out here, without a cause: aiohttp's errors may hold the request's headers, token included.
        raise failure

    def _url(self, target: str) -> URL:
        url = self._urls.get(target)
        if url is None:
            url = URL(self._base_url + target, encoded=True)
            if len(self._urls) < _REMEMBERED_URLS and "?" not in target:
                self._urls[target] = url
        return url

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
                break
            chunks.append(chunk)
        else:
            return b"".join(chunks)
        response.close()
        message = f"{response.url} answered more than max_response_bytes={self._max_bytes}"
        raise UnexpectedResponse(message, url=str(response.url), status=response.status)
