"""Both servers as one process that can be started, stopped and restarted, with or without its data."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from reflexio_async._engine.clock import Clock
from reflexio_async.sandbox.fault_script import Faults
from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.request_log import RequestLog
from reflexio_async.sandbox.http.responses import Response, internal_error
from reflexio_async.sandbox.http.server import HttpServer
from reflexio_async.sandbox.reflect.dispatch import dispatch as dispatch_reflect
from reflexio_async.sandbox.reflect.settings import ReflectSettings
from reflexio_async.sandbox.reflect.state import ReflectState
from reflexio_async.sandbox.reflexio.dispatch import dispatch as dispatch_reflexio
from reflexio_async.sandbox.reflexio.settings import ReflexioSettings
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.server_clock import ServerClock
from reflexio_async.sandbox.storage.data_file import DataFile, NotStored
from reflexio_async.sandbox.storage.tables import ChangeTracker


class ServerProcess:
    """The process of both servers.

    Args:
        clock: The clock of everything.
        settings: Settings of the Reflexio service.
        reflect_settings: Settings of the Reflect service.
        faults: What goes wrong.
        keep_requests: How many requests the log keeps. None keeps all.
        keepalive: Real seconds until an idle connection is closed.
        host: The address to listen on.
        port: The port of the Reflexio server; 0 picks a free one.
        reflect_port: The port of the Reflect server; 0 picks a free one.
        data: The data file, if there is one.

    Attributes:
        reflexio: The state of the Reflexio service.
        reflect: The state of the Reflect service.
    """

    reflexio: ReflexioState
    reflect: ReflectState

    def __init__(
        self,
        clock: Clock,
        settings: ReflexioSettings,
        reflect_settings: ReflectSettings,
        faults: Faults,
        *,
        keep_requests: int | None,
        keepalive: float,
        host: str,
        port: int,
        reflect_port: int,
        data: Path | None,
    ) -> None:
        self.clock = clock
        self.server_clock = ServerClock(clock)
        self.log = RequestLog(keep_requests)
        self.data_file: DataFile | None = None
        self._settings = settings
        self._reflect_settings = reflect_settings
        self._data = data
        self._data_was_read = False
        self._running = False
        self._restarting: asyncio.Task[None] | None = None
        self._reset()

        def server(service: Literal["reflexio", "reflect"], port: int) -> HttpServer:
            return HttpServer(
                service=service,
                respond=self._respond if service == "reflexio" else self._respond_reflect,
                intercept=faults.intercept,
                clock=clock,
                time=self.server_clock.time,
                log=self.log,
                control=self,
                keepalive=keepalive,
                host=host,
                port=port,
                forwarded=service == "reflexio" and settings.guarded,
                correlated=service == "reflexio",
            )

        self.reflexio_server = server("reflexio", port)
        self.reflect_server = server("reflect", reflect_port)

    def skew(self, seconds: float) -> None:
        """Set the wall clock of both servers ahead by ``seconds``."""
        self.server_clock.ahead = seconds

    async def start(self) -> None:
        """Read the data file, and listen.

        Raises:
            ConfigurationError: The data file cannot be used.
            OSError: A port cannot be used.
            RuntimeError: It runs already.
        """
        if self._running:
            message = "the sandbox runs already: stop() it first, or restart() it"
            raise RuntimeError(message)
        await self._start(keep_data=True)

    async def _start(self, *, keep_data: bool) -> None:
        self._running = True
        try:
            if self._data is not None:
                await self._read(self._data, keep_data=keep_data)
            await self.reflexio_server.start()
            await self.reflect_server.start()
            self.reflect.ingest.resume()
        except BaseException:
            await self._stop()
            raise

    async def _read(self, data: Path, *, keep_data: bool) -> None:
        if not self._data_was_read and self._changes.pending:
            message = "the data file is read when the sandbox starts: seed once it has started"
            raise RuntimeError(message)
        # Only what is in the file counts, not what this process has in memory.
        self._reset()
        data_file = DataFile(data, self.clock, self._changes)
        await data_file.open(discard=not keep_data)
        self.data_file, self._data_was_read = data_file, True
        self.reflexio.resume()
        self.reflect.resume()

    def _reset(self) -> None:
        """Make both states new, as after an installation."""
        self._changes = ChangeTracker(enabled=self._data is not None)
        self.reflexio = ReflexioState(self.server_clock, self._settings, self._changes)
        self.reflect = ReflectState(self.server_clock, self._reflect_settings, self._changes)

    async def stop(self) -> None:
        """Close everything at once, after a scripted restart has ended."""
        try:
            await self._restart_ended()
        finally:
            await self._stop()

    async def _stop(self) -> None:
        servers = (self.reflexio_server, self.reflect_server)
        for server in servers:
            await server.stop_accepting()
        self.reflect.ingest.stop()
        await self.reflexio.close()
        for server in servers:
            await server.close_connections()
        self._running = False
        if self.data_file is not None:
            data_file, self.data_file = self.data_file, None
            await data_file.close()

    async def restart(self, *, keep_data: bool = True) -> None:
        """Stop, and listen on the same ports again."""
        await self._restart_ended()
        await self._restart(keep_data=keep_data)

    async def _restart(self, *, keep_data: bool) -> None:
        await self._stop()
        if not keep_data:
            self._reset()
        elif self._data is None:
            self.reflexio.restart()
        await self._start(keep_data=keep_data)

    def restart_soon(self, *, keep_data: bool = True) -> None:
        """Restart in a task of its own: stopping ends the request that asks for it."""
        if self._restarting is None or self._restarting.done():
            self._restarting = asyncio.get_running_loop().create_task(self._restart_busy(keep_data=keep_data))

    async def _restart_busy(self, *, keep_data: bool) -> None:
        with self.clock.busy():
            await self._restart(keep_data=keep_data)

    async def settled(self) -> None:
        """Return once a scripted restart has ended and all changes are in the data file."""
        await self._restart_ended()
        if self.data_file is not None:
            await self.data_file.settled()

    async def _restart_ended(self) -> None:
        if (restarting := self._restarting) is not None:
            try:
                await asyncio.shield(restarting)
            finally:
                if restarting.done() and self._restarting is restarting:
                    self._restarting = None

    async def _respond(self, context: RequestContext) -> Response:
        return await self._after_write(await dispatch_reflexio(self.reflexio, context))

    async def _respond_reflect(self, context: RequestContext) -> Response:
        return await self._after_write(await dispatch_reflect(self.reflect, context))

    async def _after_write(self, response: Response) -> Response:
        """The response, once the changes that it may report are in the data file."""
        if self.data_file is not None:
            try:
                await self.data_file.settled()
            except NotStored:  # the data file has logged it
                return internal_error()
        return response
