"""``mcp``: a server of the Model Context Protocol, with the memory of one user."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK
from reflexio_async.cli.inputs import load_extra
from reflexio_async.client import AsyncReflexioClient
from reflexio_async.errors import ConfigurationError

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from reflexio_async._engine.settings import ClientOptions
    from reflexio_async.cli.signals import Signals

_DRAIN_SECONDS = 1.5  # agents kill a server that does not end within seconds
_STOP_SECONDS = 5  # for requests that are under way; then streams are cut off


@dataclass(frozen=True)
class RunMCP:
    """Serve one user's memory. The fields are the command's options."""

    user_id: str
    port: int | None = None
    """Where to listen for HTTP. None: serve standard input and output."""
    host: str = "127.0.0.1"
    store: str | None = field(default=None, repr=False)
    url: str = ""
    api_key: str = field(default="", repr=False)
    as_json: bool = False

    def __post_init__(self) -> None:
        load_extra("reflexio_async.integrations.mcp", what="the command mcp", extra="mcp")

    async def run(self, signals: Signals) -> int:
        """Return the exit code when the input has ended or a signal has come."""
        from reflexio_async.integrations.mcp import memory_server  # noqa: PLC0415  # as above

        output.show_warnings()
        options: ClientOptions = {"store": self.store}
        if self.store is not None:
            options["drain_timeout"] = _DRAIN_SECONDS  # the next process delivers what is left
        async with AsyncReflexioClient(self.api_key, self.url, **options) as client:
            server = memory_server(client, user_id=self.user_id)
            if self.port is None:
                ended = await _serve_input(server, signals)
            else:
                await self._serve_http(server, signals)
                ended = True
        if not ended:
            # A thread waits for input. It cannot be interrupted, and the event loop would wait for it.
            os._exit(signals.exit_code)
        return OK

    async def _serve_http(self, server: MCPServer[Any], signals: Signals) -> None:
        import uvicorn  # noqa: PLC0415  # mcp brings it

        assert self.port is not None  # noqa: S101  # else this is not called
        app = server.streamable_http_app(host=self.host)
        try:
            listener = socket.create_server((self.host, self.port))
        except OSError as error:
            # The message of a port in use has the address once more. That of a name has a negative number.
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            message = f"cannot listen at {self.host}, port {self.port}: {reason} (--port 0 picks a free one)"
            raise ConfigurationError(message) from None
        http = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_STOP_SECONDS)
        )
        # uvicorn stops at the first signal, and then passes it on to the handler that was there before.
        # A signal that comes before uvicorn has its own handler must not be lost.
        signals.on_first(lambda: setattr(http, "should_exit", True))
        port = listener.getsockname()[1]
        address = f"http://{self.host}:{port}/mcp"
        if self.as_json:
            output.write_line(json.dumps({"url": address}))
        output.note(f"MCP server at {address} (Ctrl-C to stop)")
        await http.serve([listener])


async def _serve_input(server: MCPServer[Any], signals: Signals) -> bool:
    """Serve until the input ends or a signal comes. Returns whether the input has ended."""
    stopping = asyncio.Event()
    signals.on_first(stopping.set)
    serving = asyncio.create_task(server.run_stdio_async())
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not serving.done():
        return False
    await serving
    return True
