"""A proxy, as companies have them between their machines and the internet."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Coroutine, Mapping


@dataclass
class ForwardProxy:
    """A proxy on this machine. Whatever host it is asked for, it connects to one server.

    Args:
        upstream: The URL of that server.
        answer: Sent in place of forwarding, before it hangs up. None: it forwards.
        hangs: It reads requests and does nothing.
    """

    upstream: str
    answer: bytes | None = None
    hangs: bool = False
    port: int = 0
    asked: list[str] = field(default_factory=list[str])
    """Method and target of each request."""
    credentials: list[str] = field(default_factory=list[str])
    """What the requests had in Proxy-Authorization."""
    _running: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._start(self._serve(reader, writer))

    async def stop(self) -> None:
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server: asyncio.StreamWriter | None = None
        try:
            while True:
                method, target, lines, headers = await self._next(reader)
                if self.hangs:
                    await asyncio.get_running_loop().create_future()
                if self.answer is not None:
                    writer.write(self.answer)
                    await writer.drain()
                    return
                if to_server is None:
                    port = int(self.upstream.rpartition(":")[2])
                    from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
                    self._start(_copy(from_server, writer))
                if method == "CONNECT":
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    await _copy(reader, to_server)
                    return
                path = "/" + target.split("/", 3)[3]
                kept = [line for line in lines if not line.lower().startswith("proxy-")]
                to_server.write("\r\n".join([f"{method} {path} HTTP/1.1", *kept, "", ""]).encode("latin-1"))
                to_server.write(await reader.readexactly(int(headers.get("content-length", "0"))))
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            return
        finally:
            writer.close()
            if to_server is not None:
                to_server.close()

    async def _next(self, reader: asyncio.StreamReader) -> tuple[str, str, list[str], Mapping[str, str]]:
        """The head of the next request: method, target, and headers as they came and by their names."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.asked.append(f"{method} {target}")
        if "proxy-authorization" in headers:
            self.credentials.append(b64decode(headers["proxy-authorization"].split()[1]).decode())
        return method, target, lines, headers


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def forward_proxy(
    upstream: str, *, tls: ssl.SSLContext | None = None, answer: bytes | None = None, hangs: bool = False
) -> AsyncGenerator[ForwardProxy]:
    """A running ForwardProxy."""
    proxy = ForwardProxy(upstream, answer, hangs)
    listener = await asyncio.start_server(proxy.accept, "127.0.0.1", 0, ssl=tls)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        await proxy.stop()
        await listener.wait_closed()
