"""A proxy that cuts the connection of a publish, before its response comes through."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_PUBLISH = b"POST /api/publish_interaction "


class CuttingProxy:
    """Passes bytes to a server and back.

    Attributes:
        url: Its address.
        cuts: Of the next publishes: the seconds after which the connections to both sides are cut. The server
            has got the whole request by then.
        publishes: The publishes that were passed on, those that were cut included.
    """

    def __init__(self, server_url: str) -> None:
        self.url = ""
        self.cuts: list[float] = []
        self.publishes = 0
        parts = urlsplit(server_url)
        self._server = (parts.hostname, parts.port)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        from_server, to_server = await asyncio.open_connection(*self._server)
        back = asyncio.create_task(_copy(from_server, writer))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
                is_publish = head.startswith(_PUBLISH)
                self.publishes += is_publish
                cut = self.cuts.pop(0) if is_publish and self.cuts else None
                if cut is not None:
                    back.cancel()  # the response does not come through
                to_server.write(head + await reader.readexactly(length))
                await to_server.drain()
                if cut is not None:
                    await asyncio.sleep(cut)
                    return
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            back.cancel()
            for side in (writer, to_server):
                side.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def cutting_proxy(server_url: str) -> AsyncGenerator[CuttingProxy]:
    """A proxy in front of a server."""
    proxy = CuttingProxy(server_url)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(proxy.pass_on(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
