"""A service's HTTP server: reads whole requests, and sends responses as they should end."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final

from aiohttp import ClientConnectionError, web

from reflexio_async._engine.clock import Clock
from reflexio_async.sandbox.http.context import PendingWaits, RequestContext, SandboxClosing, ServerControl
from reflexio_async.sandbox.http.request_log import Record, RequestLog, Service
from reflexio_async.sandbox.http.responses import Disconnect, Response, internal_error
from reflexio_async.sandbox.virtual_clock import HOLD_HEADER

MAX_BODY: Final = 10 * 1024 * 1024
"""Bytes. Of a longer body only so much is kept that it is known to be too large."""

_PIECES: Final = 10
"""A slow body is sent in so many pieces."""

_NO_RESPONSE: Final = (SandboxClosing, ConnectionError, ClientConnectionError)
"""The sandbox closes, or the client has left."""

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class HttpServer:
    """Serves one service. Its port stays the same once it is known.

    The clock is held while a request is handled.

    Attributes:
        service: The service's name, for the log.
        respond: Handles a request.
        intercept: Called with each request and a function that handles it. Faults use it.
        clock: Bounds all waiting.
        time: Epoch seconds, for the ``Date`` header.
        log: Keeps every request that arrived whole.
        control: Passed to faults.
        keepalive: Real seconds until an idle connection is closed.
        host: The address to listen on.
        port: The port; 0 until a free one is picked.
        forwarded: Whether ``X-Forwarded-For`` names the client.
        correlated: Whether every response has an ``x-correlation-id``.
    """

    service: Service
    respond: Callable[[RequestContext], Awaitable[Response]]
    intercept: Callable[[RequestContext, Callable[[], Awaitable[Response]]], Awaitable[Response]]
    clock: Clock
    time: Callable[[], float]
    log: RequestLog
    control: ServerControl
    keepalive: float
    host: str
    port: int
    forwarded: bool = False
    correlated: bool = True
    _waits: PendingWaits = field(init=False, repr=False)
    _server: web.Server = field(init=False, repr=False)
    _socket: asyncio.Server | None = field(default=None, init=False, repr=False)

    @property
    def url(self) -> str:
        """The base URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the server, for calls from another thread."""
        if self._socket is None:
            message = "the server does not listen"
            raise RuntimeError(message)
        return self._socket.get_loop()

    async def start(self) -> None:
        """Listen."""
        self._waits = PendingWaits(self.clock)
        # uvicorn does not decompress a body either, whatever Content-Encoding says.
        self._server = web.Server(
            self._handle, keepalive_timeout=self.keepalive, access_log=None, auto_decompress=False
        )
        loop = asyncio.get_running_loop()
        self._socket = await loop.create_server(self._server, self.host, self.port, backlog=1024)
        self.port = self._socket.sockets[0].getsockname()[1]

    async def stop_accepting(self) -> None:
        """Accept no more connections, and end the waits of all requests."""
        if self._socket is None:
            return
        loop = asyncio.get_running_loop()
        for listening in self._socket.sockets:
            loop.remove_reader(listening.fileno())
        # asyncio leaks a connection that is being accepted while its server closes. Let it arrive first.
        for _ in range(3):
            await asyncio.sleep(0)
        self._socket.close()
        self._waits.close()

    async def close_connections(self) -> None:
        """Close every connection at once. Call ``stop_accepting`` first."""
        if self._socket is None:
            return
        self._server.pre_shutdown()
        await self._server.shutdown(timeout=0)
        await self._socket.wait_closed()
        self._socket = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        with self.clock.busy() as hold:
            hold_ids = (request.headers.get(HOLD_HEADER), hold.get(HOLD_HEADER) if hold else None)
            with suppress(*_NO_RESPONSE):
                context = await self._receive(request, hold_ids)
                return await self._send(request, context, *await self._respond(context))
        _close_connection(request)
        return web.Response()

    async def _receive(self, request: web.BaseRequest, hold_ids: tuple[str | None, ...]) -> RequestContext:
        raw_body = await _read(request)
        peer = request.transport.get_extra_info("peername") if request.transport else None
        address, port = peer[:2] if peer else ("", 0)
        record = Record(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers=request.headers,
            at=self.clock.now(),
            connection=f"{address}:{port}",
            body=_decoded(raw_body),
            service=self.service,
        )
        self.log.add(record)
        forwarded = request.headers.get("X-Forwarded-For") if self.forwarded else None
        client = forwarded.partition(",")[0].strip() if forwarded else address
        return RequestContext(
            record, raw_body, client, secrets.token_hex(4), hold_ids, self._waits, self.control
        )

    async def _respond(self, context: RequestContext) -> tuple[Response, bytes]:
        """The response and its bytes. An exception is a crash of the server: 500."""

        async def respond() -> Response:
            return await self.respond(context)

        try:
            response = await self.intercept(context, respond)
            return response, response.encoded()
        except _NO_RESPONSE:
            raise
        except Exception:
            _logger.exception("500 for %s %s", context.record.method, context.record.path)
            crash = internal_error()
            return crash, crash.encoded()

    async def _send(
        self, request: web.BaseRequest, context: RequestContext, response: Response, body: bytes
    ) -> web.StreamResponse:
        if response.disconnect is Disconnect.BEFORE_HEADERS:
            _close_connection(request)
            return web.Response()
        date = formatdate(self.time(), usegmt=True)
        headers = {"Content-Type": response.content_type, "Date": date, **response.headers}
        # The real server answers a crash outside of the middleware that adds the id.
        if self.correlated and response.status != 500:
            headers["x-correlation-id"] = context.correlation_id
        if response.disconnect is Disconnect.DURING_BODY:
            stream = web.StreamResponse(status=response.status, headers=headers)
            stream.content_length = len(body)
            await stream.prepare(request)
            await stream.write(body[: len(body) // 2])
            _close_connection(request)
            return stream
        if response.seconds:
            return await _send_slowly(request, context, response, body, headers)
        context.record.status = response.status
        whole = web.Response(status=response.status, headers=headers, body=body)
        if response.disconnect is Disconnect.AFTER_BODY:
            await whole.prepare(request)
            await whole.write_eof()
            _close_connection(request)
        return whole


async def _send_slowly(
    request: web.BaseRequest,
    context: RequestContext,
    response: Response,
    body: bytes,
    headers: Mapping[str, str],
) -> web.StreamResponse:
    stream = web.StreamResponse(status=response.status, headers=headers)
    stream.content_length = len(body)
    await stream.prepare(request)
    size = max(1, math.ceil(len(body) / _PIECES))
    for start in range(0, len(body), size):
        await context.wait(response.seconds / math.ceil(len(body) / size))
        await stream.write(body[start : start + size])
    context.record.status = response.status
    return stream


async def _read(request: web.BaseRequest) -> bytes:
    """The body. Of a body that is too large, only so much that it is known to be too large."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    kept = bytearray()
    async for chunk in request.content.iter_any():
        if len(kept) <= MAX_BODY:
            kept += chunk
    return bytes(kept)


def _decoded(raw_body: bytes) -> Any:
    try:
        return json.loads(raw_body) if raw_body else None
    except (ValueError, RecursionError):
        return raw_body.decode(errors="replace")


def _close_connection(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.close()
