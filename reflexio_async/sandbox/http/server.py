"""A service's socket: requests come in whole, replies go out as they should end."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiohttp import ClientConnectionError, web

from reflexio_async.sandbox.http.context import Call, Closing, Record, Service, Waiting
from reflexio_async.sandbox.http.responses import Ending, Reply, internal_error
from reflexio_async.sandbox.virtual_clock import HOLD_HEADER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.faults import Faults

MAX_BODY: Final = 10 * 1024 * 1024
"""Bytes; of a longer body only so much is kept that one can tell."""

_DROPS: Final = 10
"""Into so many parts a body that trickles is cut."""

_GONE: Final = (Closing, ConnectionError, ClientConnectionError)
"""Why nobody is answered: the sandbox closes, or the caller has left."""

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Journal:
    """Every request that arrived whole at any listener, oldest first; only the last ``keep``, when given."""

    keep: int | None = None
    records: list[Record] = field(default_factory=list[Record])
    arrival: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, record: Record) -> None:
        """Note it, and wake who waits for one."""
        self.records.append(record)
        if self.keep is not None:
            del self.records[: -self.keep or None]
        self.arrival.set()

    async def grown(self) -> None:
        """Wait for the next one."""
        self.arrival.clear()
        await self.arrival.wait()


@dataclass(slots=True)
class Listener:
    """Listens for one service, on a port that stays the same once it is known.

    Each request is noted in ``journal``, suffers from ``faults`` and is answered by ``answer``, which
    holds the clock meanwhile. ``forwarded`` has ``X-Forwarded-For`` name the client, ``correlated``
    gives every answer a correlation id.
    """

    service: Service
    answer: Callable[[Call], Awaitable[Reply]]
    clock: Clock
    journal: Journal
    faults: Faults
    keepalive: float
    host: str
    port: int
    forwarded: bool = False
    correlated: bool = True
    _waiting: Waiting = field(init=False, repr=False)
    _server: web.Server = field(init=False, repr=False)
    _socket: asyncio.Server | None = field(default=None, init=False, repr=False)

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it runs on, for those on another thread."""
        if self._socket is None:
            message = "it does not listen"
            raise RuntimeError(message)
        return self._socket.get_loop()

    async def start(self) -> None:
        """Listen."""
        self._waiting = Waiting(self.clock)
        # uvicorn unpacks nothing either: a body is read as it came, whatever Content-Encoding says.
        self._server = web.Server(
            self._handle, keepalive_timeout=self.keepalive, access_log=None, auto_decompress=False
        )
        loop = asyncio.get_running_loop()
        self._socket = await loop.create_server(self._server, self.host, self.port, backlog=1024)
        self.port = self._socket.sockets[0].getsockname()[1]

    async def stop_accepting(self) -> None:
        """Accept no connection any more, and end what waits within a request."""
        if self._socket is None:
            return
        loop = asyncio.get_running_loop()
        for listening in self._socket.sockets:
            loop.remove_reader(listening.fileno())
        # asyncio leaks a connection that is being accepted while its listener closes: let it arrive first.
        for _ in range(3):
            await asyncio.sleep(0)
        self._socket.close()
        self._waiting.close()

    async def hang_up(self) -> None:
        """Close every connection at once, after ``stop_accepting``."""
        if self._socket is None:
            return
        self._server.pre_shutdown()
        await self._server.shutdown(timeout=0)
        await self._socket.wait_closed()
        self._socket = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        with self.clock.busy() as hold:
            held = (request.headers.get(HOLD_HEADER), hold.get(HOLD_HEADER) if hold else None)
            with suppress(*_GONE):
                call = await self._arrived(request, held)
                return await self._deliver(request, call, *await self._reply(call))
        _hang_up(request)
        return web.Response()

    async def _arrived(self, request: web.BaseRequest, holds: tuple[str | None, ...]) -> Call:
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
        self.journal.add(record)
        forwarded = request.headers.get("X-Forwarded-For") if self.forwarded else None
        client = forwarded.partition(",")[0].strip() if forwarded else address
        machine = self.faults.machine
        return Call(record, raw_body, client, secrets.token_hex(4), holds, self._waiting, machine)

    async def _reply(self, call: Call) -> tuple[Reply, bytes]:
        """What to answer, and its bytes; whatever goes wrong on the way is a crash of the server."""

        async def serve() -> Reply:
            return await self.answer(call)

        try:
            action = self.faults.strike(call.record)
            reply = await (serve() if action is None else action.play(call, serve))
            return reply, reply.encoded()
        except _GONE:
            raise
        except Exception:
            _logger.exception("500 for %s %s", call.record.method, call.record.path)
            crash = internal_error()
            return crash, crash.encoded()

    async def _deliver(
        self, request: web.BaseRequest, call: Call, reply: Reply, body: bytes
    ) -> web.StreamResponse:
        if reply.ending is Ending.LOSE:
            _hang_up(request)
            return web.Response()
        headers = {"Content-Type": reply.content_type, **reply.headers}
        # A crash is answered outside of the middleware that adds the id.
        if self.correlated and reply.status != 500:
            headers["x-correlation-id"] = call.correlation_id
        if reply.ending is Ending.CUT:
            response = web.StreamResponse(status=reply.status, headers=headers)
            response.content_length = len(body)
            await response.prepare(request)
            await response.write(body[: len(body) // 2])
            _hang_up(request)
            return response
        if reply.seconds:
            return await _trickle(request, call, reply, body, headers)
        call.record.status = reply.status
        whole = web.Response(status=reply.status, headers=headers, body=body)
        if reply.ending is Ending.DROP:
            await whole.prepare(request)
            await whole.write_eof()
            _hang_up(request)
        return whole


async def _trickle(
    request: web.BaseRequest, call: Call, reply: Reply, body: bytes, headers: Mapping[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    size = max(1, math.ceil(len(body) / _DROPS))
    for start in range(0, len(body), size):
        await call.wait(reply.seconds / math.ceil(len(body) / size))
        await response.write(body[start : start + size])
    call.record.status = reply.status
    return response


async def _read(request: web.BaseRequest) -> bytes:
    """The body; of one that is too large, just enough to tell."""
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


def _hang_up(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.close()
