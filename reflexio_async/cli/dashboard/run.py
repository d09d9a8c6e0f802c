"""``dashboard``: serves the page until it is stopped."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK
from reflexio_async.cli.dashboard.server import HOST, serving
from reflexio_async.cli.inputs import shown_store
from reflexio_async.durable.overview import read_overview
from reflexio_async.durable.readers import reader_of
from reflexio_async.errors import ConfigurationError

if TYPE_CHECKING:
    from reflexio_async.cli.signals import Signals


@dataclass(frozen=True)
class RunDashboard:
    """Show a store until a signal comes. The fields are the command's options."""

    store: str = field(repr=False)
    port: int = 0
    as_json: bool = False

    async def run(self, signals: Signals) -> int:
        """Return the exit code after a signal has come."""
        stopped = asyncio.Event()
        signals.on_first(stopped.set)
        reader = reader_of(self.store)
        try:
            await read_overview(reader)  # a store that cannot be read is an error now
            async with serving(reader, shown_store(self.store), self.port) as url:
                self._show(url)
                await stopped.wait()
        except OSError as error:
            message = f"--port: {HOST}:{self.port} cannot be used: {os.strerror(error.errno or 0)}"
            raise ConfigurationError(message) from None
        finally:
            await reader.aclose()
        return OK

    def _show(self, url: str) -> None:
        if self.as_json:
            output.write_line(json.dumps({"url": url, "pid": os.getpid()}))
            return
        stdout = output.console()
        output.print_line(stdout, f"dashboard of {shown_store(self.store)}: {url}")
        output.print_line(
            output.console(stderr=True), "the address is for this machine alone (Ctrl-C to stop)"
        )
