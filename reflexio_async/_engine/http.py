"""aiohttp's session, behind two small classes. No other file of the client uses it.

``ConnectionPool`` makes one ``aiohttp.ClientSession`` per client and event loop. ``HttpClient`` sends
requests to one server over it, and turns aiohttp's errors into ours.

aiohttp resends GET, PUT and DELETE by itself when a pooled connection turns out to be dead. Our retry policy
decides that, so our own connector never hands out two connections for one attempt. It also notes when bytes
may have left, refuses connections that must not be used again, and calls the attempt's guard. For this it
uses ``TCPConnector.connect``, ``Connection.release``, ``Connection.protocol`` with ``should_close``,
``force_close``, ``close`` and ``transport``, and one context variable: aiohttp has no other way from
``connect()`` to the attempt it is for.
``tests/test_aiohttp_pins.py`` pins each of them.
"""

from __future__ import annotations

import asyncio
import math
import select
from contextvars import ContextVar
from functools import lru_cache, partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp import hdrs
from multidict import CIMultiDict
from yarl import URL

from reflexio_async._engine.connection_errors import SpokeFirst, explanation
from reflexio_async._engine.decompression import ACCEPTED, DecompressionError, Decompressor
from reflexio_async._engine.loops import CLIENT_CLOSED
from reflexio_async._engine.proxy import proxy_for
from reflexio_async._engine.wire import RawResponse
from reflexio_async.errors import (
    APIConnectionError,
    APITimeout,
    ClientClosed,
    ConfigurationError,
    ReflexioError,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from pydantic import SecretStr

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.loops import LoopBinding
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.wire import EncodedRequest

# The server closes idle connections after 5 s (server-behaviour: Connections). Ours are retired before, so
# that none dies under a request.
_KEEPALIVE = 4.0
_CACHED_URLS = 128
# Larger bodies are sent in pieces: aiohttp warns about bytes of more than 1 MiB.
_LARGE = 2**20
# What aiohttp may send a second time over a caller's session. A second GET does no harm.
_RESENT = ("PUT", "DELETE")


class Attempt:
    """One HTTP exchange: whether bytes may have left, and on which connection."""

    __slots__ = ("guard", "protocol", "sent", "transport")

    def __init__(self, guard: Callable[[], None] | None = None) -> None:
        self.guard = guard
        self.sent = False
        self.protocol: ResponseHandler | None = None
        self.transport: asyncio.WriteTransport | None = None


_Input: TypeAlias = "Callable[[], object]"
_attempt: ContextVar[Attempt | None] = ContextVar("_attempt", default=None)


class _Connector(aiohttp.TCPConnector):
    """A connector that notes on the current attempt which connection it got."""

    def __init__(self) -> None:
        # No limit: ``ConnectionPool.capacity`` is waited for before, where a virtual clock may move.
        super().__init__(limit=0, keepalive_timeout=_KEEPALIVE)  # pyright: ignore[reportUnknownMemberType]
        self._inputs: WeakKeyDictionary[ResponseHandler, _Input] = WeakKeyDictionary()
        """Of connections that have been used."""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """A connection for the current attempt, once, on which nothing has arrived.

        What has arrived would be read as the response to this request.
        """
        attempt = _attempt.get() or Attempt()
        if attempt.sent:
            # aiohttp wants to send the request again, because the connection was dead.
            raise aiohttp.ServerDisconnectedError
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol: Any = connection.protocol
            arrived = self._inputs.get(protocol)
            if not protocol.should_close and (arrived is None or not arrived()):
                break
            connection.close()
            if arrived is None:
                raise SpokeFirst
        if attempt.guard is not None:
            try:
                attempt.guard()
            except BaseException:
                connection.release()
                raise
        # Kept here too: a protocol that is closed forgets it.
        attempt.transport = protocol.transport
        if arrived is None:
            self._inputs[protocol] = _input_of(protocol.transport)
        attempt.sent = True
        attempt.protocol = protocol
        return connection


def _input_of(transport: asyncio.BaseTransport) -> _Input:
    """Return a function: have bytes arrived, or the end, which the event loop has not read yet?"""
    connection = transport.get_extra_info("socket")
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        return partial(poll.poll, 0)
    return lambda: select.select([connection], [], [], 0)[0]  # Windows


def _connect_timeout(seconds: float, *, owned: bool) -> aiohttp.ClientTimeout:
    """The only timeout that is aiohttp's, in real time: a virtual clock does not move while we connect.

    All others are the clock's. ``connect`` bounds all of connecting, a proxy included, but also the wait for
    a free place in the pool, which a caller's session may have.
    """
    return aiohttp.ClientTimeout(
        total=None,
        connect=seconds if owned else None,
        sock_connect=None if owned else seconds,
        ceil_threshold=math.inf,  # or longer ones are rounded up to whole seconds
    )


@lru_cache(_CACHED_URLS)
def _parsed(url: str) -> URL:
    return URL(url, encoded=True)


class Connections(NamedTuple):
    """The connections of one client on one event loop.

    ``capacity`` is acquired for the time of an exchange.
    """

    session: aiohttp.ClientSession
    capacity: asyncio.Semaphore


class ConnectionPool:
    """The connections of one client: an aiohttp session, made on the event loop of the first call.

    A caller's own session is used as it is, and never closed here.
    """

    def __init__(self, settings: Settings, loops: LoopBinding) -> None:
        self._settings = settings
        self.loops = loops
        self._headers = CIMultiDict({hdrs.USER_AGENT: settings.user_agent, hdrs.ACCEPT: "application/json"})
        self._headers.update(settings.headers)
        self._headers[hdrs.ACCEPT_ENCODING] = ACCEPTED
        self.owned = settings.session is None
        self.headers: CIMultiDict[str] = CIMultiDict() if self.owned else self._headers
        """What a request must bring, because the session does not have it."""
        self._given = settings.session
        self._given_to: asyncio.AbstractEventLoop | None = None
        """The loop of the caller's session."""

    def connections(self) -> Connections:
        """The connections on the running loop.

        Raises:
            ClientClosed: The client was closed.
            ConfigurationError: The client belongs to another event loop, or the caller's session is closed.
        """
        scope = self.loops.scope
        connections: Connections = scope.parts.get(self) or scope.part(self, self._open)
        if self._given is not None and self._given.closed:
            message = "the session that was given to this client is closed"
            raise ConfigurationError(message)
        return connections

    def _open(self) -> Connections:
        scope = self.loops.enter()
        session = self._given
        if session is None:
            # aiohttp's ``trust_env`` stays off: a netrc file's credentials beside ours are an error to it.
            session = aiohttp.ClientSession(
                connector=_Connector(), cookie_jar=aiohttp.DummyCookieJar(), headers=self._headers
            )
            scope.closers.append(session.close)
        elif self._given_to not in (None, scope.loop):
            message = (
                "the event loop of the session that was given to this client has ended; make a new session, "
                "and a new client with it"
            )
            raise ConfigurationError(message)
        else:
            self._given_to = scope.loop
        return Connections(session, asyncio.Semaphore(self._settings.max_connections))


class HttpClient:
    """Exchanges with one server."""

    def __init__(self, settings: Settings, clock: Clock, pool: ConnectionPool, *, url_hint: str) -> None:
        self._url_hint = url_hint
        self._base_url = settings.base_url
        self._max_bytes = settings.max_response_bytes
        self._max_connections = settings.max_connections
        self._connect_timeout = settings.connect_timeout
        self._clock = clock
        self._pool = pool
        self._has_answered = False
        # All of this goes with each request, since a caller's session may be used.
        self._options: dict[str, Any] = {
            "allow_redirects": False,
            "auto_decompress": False,
            "raise_for_status": False,
            "timeout": _connect_timeout(settings.connect_timeout, owned=pool.owned),
        }
        # The environment's proxy is the session's own matter when the session is a caller's.
        trust_env = settings.trust_env and pool.owned
        self._proxy = proxy_for(settings.base_url, settings.proxy, trust_env=trust_env)
        self._through = ""
        if self._proxy is not None:
            self._options["proxy"] = URL(self._proxy.url)
            self._through = f" through the proxy {self._proxy.name}"
        if settings.ssl is not None:
            self._options["ssl"] = settings.ssl

    @property
    def base_url(self) -> str:
        """The server's address."""
        return self._base_url

    async def send(
        self,
        request: EncodedRequest,
        *,
        authorization: SecretStr | None,
        timeout: float,
        guard: Callable[[], None] | None = None,
    ) -> RawResponse:
        """One exchange, sent once.

        ``guard`` is called when the connection is there, before bytes leave; over a caller's session, before
        the session gets the request. Its error is raised, and nothing is sent.

        Raises:
            APIConnectionError: No complete response; ``outcome_unknown`` says whether bytes may have left.
            APITimeout: No response after ``timeout`` seconds, or no connection after ``connect_timeout``.
            UnexpectedResponse: The response is larger than ``max_response_bytes``, or of another encoding.
        """
        pool = self._pool
        capacity = pool.connections().capacity
        attempt = Attempt(guard)
        has_capacity = False
        failure: ReflexioError | None
        try:
            # A virtual clock must not stand still for a call that only waits for a free connection.
            async with self._clock.timeout(timeout):
                await capacity.acquire()
                has_capacity = True
                session = pool.connections().session  # raises an error if the client was closed meanwhile
                with self._clock.busy() as extra:
                    return await self._exchange(session, request, authorization, extra, attempt)
        except asyncio.CancelledError:
            failure = pool.loops.cut_short(f"{request.method} {request.path}", sent=attempt.sent)
            if failure is None:
                raise
        except aiohttp.ClientError as error:
            failure = self._failure(request, error, attempt)
        except TimeoutError:
            text = self._waited_for(attempt, timeout, has_capacity=has_capacity)
            failure = APITimeout(f"{request.method} {request.path}: {text}", outcome_unknown=attempt.sent)
        except OSError as error:
            failure = self._failure(request, error, attempt)
        except ValueError as error:
            if pool.owned or isinstance(error, ReflexioError):
                raise
            message = (
                "the session that was given to this client adds credentials to those of the client; make it "
                "without auth=, and without trust_env=True where a netrc file is"
            )
            failure = ConfigurationError(message)
        finally:
            if has_capacity:
                capacity.release()
        # Raised out here, without a cause: aiohttp's errors may hold the request's headers, token included.
        raise failure

    def _waited_for(self, attempt: Attempt, seconds: float, *, has_capacity: bool) -> str:
        shown = f"{round(seconds, 2) or seconds:.3g} s"  # of a timeout of 0.1 s, 0.0999 may have been left
        if attempt.sent:
            return f"waited {shown} for a response from {self._base_url}{self._through}"
        if has_capacity:
            return f"was connecting to {self._base_url}{self._through} for {shown}"
        limit = f"max_connections={self._max_connections}"
        return f"waited {shown} for a free connection to {self._base_url} ({limit})"

    def _headers(
        self, request: EncodedRequest, authorization: SecretStr | None, extra: Mapping[str, str] | None
    ) -> CIMultiDict[str]:
        headers = self._pool.headers.copy()
        if request.headers:
            headers.update(request.headers)
        if extra:
            headers.update(extra)
        if authorization is not None:
            headers[hdrs.AUTHORIZATION] = authorization.get_secret_value()
        if request.content_type is not None:
            headers[hdrs.CONTENT_TYPE] = request.content_type
        return headers

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        request: EncodedRequest,
        authorization: SecretStr | None,
        extra: Mapping[str, str] | None,
        attempt: Attempt,
    ) -> RawResponse:
        """Send ``request`` and read the response; the connection is in the pool again, or closed."""
        url = self._base_url + request.target
        body = request.body
        data = BytesIO(body) if body is not None and len(body) > _LARGE else body
        response: aiohttp.ClientResponse | None = None
        if not self._pool.owned:
            # A caller's connector does not ask the guard, and does not say when bytes may have left.
            if attempt.guard is not None:
                attempt.guard()
            attempt.sent = True
        _attempt.set(attempt)
        try:
            response = await session.request(
                request.method,
                _parsed(url),
                # Not a variable: tools show the variables of a traceback, and these hold the token.
                headers=self._headers(request, authorization, extra),
                data=data,
                **self._options,
            )
            self._has_answered = True
            # A response that a test tool plays back has no connection.
            if response.status >= 500 and attempt.protocol is not None:
                # After a 500 the server drops the connection silently (server-behaviour: Connections).
                attempt.protocol.force_close()
                if response.content.is_eof():
                    attempt.protocol.close()
            is_small = self._is_small(response.headers)
            body = await (response.read() if is_small else self._read_in_pieces(response))
        except BaseException as error:  # noqa: BLE001  # raised again
            if response is not None:
                response.close()
            raise error.with_traceback(None)  # noqa: B904  # the variables of aiohttp's frames hold the token
        finally:
            _attempt.set(None)  # no reset: a call of a loop that is gone is closed in another context
            # The response came, or the time was over, before all of the request was sent. Closing would wait
            # for a server that need not ever read the rest.
            if attempt.transport is not None and attempt.transport.get_write_buffer_size():
                attempt.transport.abort()
        # Redirects are not followed, so the URL that was requested is the one that answered.
        relay = self._proxy.name if self._proxy is not None and url.startswith("http:") else None
        return RawResponse(response.status, response.headers, body, url, relay)

    def _is_small(self, headers: Mapping[str, str]) -> bool:
        """Whether the body is not compressed, and is within ``max_response_bytes``."""
        length = headers.get(hdrs.CONTENT_LENGTH, "")
        return hdrs.CONTENT_ENCODING not in headers and length.isdecimal() and int(length) <= self._max_bytes

    async def _read_in_pieces(self, response: aiohttp.ClientResponse) -> bytes:
        encoding = response.headers.get(hdrs.CONTENT_ENCODING, "identity")
        try:
            decompressor = None if encoding.strip().lower() in ("", "identity") else Decompressor(encoding)
        except LookupError:
            what = f"with Content-Encoding {encoding!r:.40}, not {ACCEPTED}"
            raise self._unexpected(response, what, foreign=True) from None
        pieces: list[bytes] = []
        size = 0
        try:
            async for chunk in response.content.iter_any():
                for piece in (chunk,) if decompressor is None else decompressor.feed(chunk):
                    size += len(piece)
                    if size > self._max_bytes:
                        raise self._unexpected(response, f"more than max_response_bytes={self._max_bytes}")
                    pieces.append(piece)
                    if decompressor is not None and len(pieces) > 1:
                        await asyncio.sleep(0)  # other tasks run: one chunk may be many pieces
            if decompressor is not None:
                decompressor.finish()
        except DecompressionError:
            message = f"the body is not {encoding}"
            raise aiohttp.ClientPayloadError(message) from None
        return b"".join(pieces)

    def _unexpected(
        self, response: aiohttp.ClientResponse, what: str, *, foreign: bool = False
    ) -> UnexpectedResponse:
        url = str(response.url)
        return UnexpectedResponse(f"{url} answered {what}", url=url, status=response.status, foreign=foreign)

    def _failure(
        self, request: EncodedRequest, error: aiohttp.ClientError | OSError, attempt: Attempt
    ) -> APIConnectionError | ClientClosed:
        call = f"{request.method} {request.path}"
        if self._pool.loops.closed and self._pool.owned:
            message = f"{call}: {CLIENT_CLOSED} before the response came"
            return ClientClosed(message, outcome_unknown=attempt.sent)
        is_timeout = isinstance(error, aiohttp.ConnectionTimeoutError)
        unknown = attempt.sent
        if is_timeout or isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError):
            # Nothing was sent now. Over a caller's session, aiohttp may have sent it before.
            unknown = attempt.sent and request.method in _RESENT
        if is_timeout:
            text = f"{self._base_url} was not connected to{self._through} within connect_timeout"
            return APITimeout(f"{call}: {text}={self._connect_timeout:g} s", outcome_unknown=unknown)
        text = explanation(
            error,
            server=self._base_url,
            proxy=self._proxy,
            connected=attempt.sent,
            has_answered=self._has_answered,
            url_hint=self._url_hint,
        )
        return APIConnectionError(f"{call}: {text}", outcome_unknown=unknown)
