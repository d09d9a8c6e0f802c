"""A server that sends any bytes, for responses that no correct server sends."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from collections import Counter
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

WHOAMI = {"success": True, "org_id": "org"}
TURNS = [{"role": "user", "content": "I like sushi"}]


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that the server has read."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    header_names: tuple[str, ...]
    """As often as they came."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class RawReply:
    """The bytes of a response. ``close``: close the connection afterwards, without announcing it."""

    raw: bytes
    close: bool = False


Script: TypeAlias = "Callable[[ReceivedRequest], RawReply | None]"
"""Returns the response to a request; None: no response."""

HANG_UP = RawReply(b"", close=True)


def reply_with(
    body: Any,
    status: int = 200,
    *,
    kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
    close: bool = False,
    chunked: bool = False,
) -> RawReply:
    """Make a whole HTTP response."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Type: {kind}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        pieces = [content[start : start + 1000] for start in range(0, len(content), 1000)]
        content = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    else:
        lines.append(f"Content-Length: {len(content)}")
    return RawReply("\r\n".join([*lines, "", ""]).encode() + content, close)


def crash() -> RawReply:
    """Make a 500 as uvicorn sends it (server-behaviour: Connections): text, then the connection is closed."""
    return reply_with(b"Internal Server Error", 500, kind="text/plain; charset=utf-8", close=True)


@dataclass
class RawServer:
    """The address of the server, and what has arrived."""

    url: str
    arrived: list[ReceivedRequest] = field(default_factory=list[ReceivedRequest])
    connections: int = 0
    open: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])
    """One per connection, to send bytes that are no response."""
    stop_listening: Callable[[], None] = field(default=lambda: None)
    """From then on connections are refused."""
    _arrival: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_arrived(self, count: int = 1) -> None:
        """Wait until ``count`` requests have arrived."""
        while len(self.arrived) < count:
            self._arrival.clear()
            await self._arrival.wait()

    @property
    def counts(self) -> Counter[str]:
        """The number of requests by method and target."""
        return Counter(f"{request.method} {request.target}" for request in self.arrived)


async def _read(reader: asyncio.StreamReader, connection: int) -> ReceivedRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in rest)]
    headers = dict(pairs)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return ReceivedRequest(method, target, headers, body, connection, tuple(name for name, _ in pairs))


@asynccontextmanager
async def raw_server(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[RawServer]:
    """A server on a free port that responds as ``script`` says."""
    sessions: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        server.open += 1
        connection = server.connections
        try:
            while True:
                request = await _read(reader, connection)
                server.arrived.append(request)
                server._arrival.set()
                reply = script(request)
                if reply is None:
                    await asyncio.get_running_loop().create_future()
                else:
                    writer.write(reply.raw)
                    await writer.drain()
                    if reply.close:
                        return
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            return
        finally:
            server.open -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.writers.append(writer)
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        sessions.add(task)
        task.add_done_callback(sessions.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    scheme = "http" if tls is None else "https"
    server = RawServer(f"{scheme}://127.0.0.1:{port}", stop_listening=listener.close)
    try:
        yield server
    finally:
        listener.close()
        for task in list(sessions):
            task.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)
        for writer in server.writers:
            writer.close()  # a task that was cancelled before it began has not
        await listener.wait_closed()


def sequence(*replies: RawReply | None, then: RawReply | None = None) -> Script:
    """Send ``replies`` in turn, to any requests, and then ``then`` to all others."""
    left = list(replies)
    return lambda _: left.pop(0) if left else then


@contextmanager
def loop_errors_ignored(kind: type = object) -> Generator[None]:
    """Ignore what the event loop's exception handler gets, or errors of one kind. It would fail the test."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if before is not None and not isinstance(context.get("exception"), kind):
            before(loop, context)

    loop.set_exception_handler(handle)
    try:
        yield
        gc.collect()  # a task that is gone reports its error
    finally:
        loop.set_exception_handler(before)


def closed_port() -> int:
    """Return a port on which no server listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
