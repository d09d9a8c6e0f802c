"""``sandbox``: a local Reflexio server and a local Reflect server."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK
from reflexio_async.cli.inputs import read_utf8
from reflexio_async.errors import ConfigurationError
from reflexio_async.sandbox import ReflectSettings, Sandbox
from reflexio_async.sandbox.fault_script import Faults

if TYPE_CHECKING:
    from reflexio_async.cli.signals import Signals
    from reflexio_async.sandbox.reflexio.settings import Dialect

_HIGHEST_PORT = 65535

_KEPT_REQUESTS = 1000
"""The server may run for long, and no command reads the recorded requests."""


def read_faults(file: str | None) -> Faults:
    """The faults scripted in ``file``; no faults when ``file`` is None.

    Raises:
        InvalidRequest: The file cannot be read.
        ConfigurationError: It is no script of faults.
    """
    if file is None:
        return Faults()
    text = read_utf8(file)
    try:
        return Faults.from_toml(text)
    except ConfigurationError as error:
        message = f"{file}: {error}"
        raise ConfigurationError(message) from error


@dataclass(frozen=True)
class RunSandbox:
    """Run both servers until a signal comes. The fields are the command's options."""

    port: int
    reflect_port: int | None = None
    data: str | None = None
    api_key: str = field(default="", repr=False)
    reflect_api_key: str = field(default="", repr=False)
    dialect: Dialect = "correlated"
    rate_limits: bool = True
    rerun_seconds: float = 1.0
    faults: Faults = field(default_factory=Faults)
    as_json: bool = False

    async def run(self, signals: Signals) -> int:
        """Return the exit code after a signal has come."""
        stopped = asyncio.Event()
        signals.on_first(stopped.set)
        try:
            box = Sandbox(
                port=self.port,
                reflect_port=self._reflect_port,
                data=self.data,
                api_key=self.api_key,
                reflect=ReflectSettings(master_key=self.reflect_api_key) if self.reflect_api_key else None,
                dialect=self.dialect,
                rate_limits=self.rate_limits,
                rerun_seconds=self.rerun_seconds,
                faults=self.faults,
                keep_requests=_KEPT_REQUESTS,
            )
        except ValueError as error:  # the message names the argument of Sandbox
            raise ConfigurationError(str(error)) from None
        try:
            await box.start()
        except OSError as error:
            # asyncio's message ends with the address that is not available.
            at_reflect = self._reflect_port != self.port and f", {self._reflect_port})" in str(error)
            port, option = (self._reflect_port, "--reflect-port") if at_reflect else (self.port, "--port")
            reason = os.strerror(error.errno) if error.errno else str(error)
            message = f"cannot listen on port {port}: {reason} ({option} 0 picks a free one)"
            raise ConfigurationError(message) from None
        try:
            self._print_addresses(box)
            await stopped.wait()
        finally:
            await box.stop()
        output.print_line(output.console(stderr=self.as_json), "stopped")
        return OK

    @property
    def _reflect_port(self) -> int:
        if self.reflect_port is not None:
            return self.reflect_port
        return 0 if self.port in {0, _HIGHEST_PORT} else self.port + 1

    def _print_addresses(self, box: Sandbox) -> None:
        if self.as_json:
            key = None if self.reflect_api_key else box.reflect_key
            data = {"url": box.url, "reflect_url": box.reflect_url, "reflect_api_key": key}
            output.write_line(json.dumps(data))
            return
        stdout = output.console()
        faults = len(self.faults.script)
        keeps = f"keeps everything in {self.data}" if self.data else "forgets everything when it ends"
        lines = [
            f"a Reflexio sandbox listens at {box.url}; it {keeps} (Ctrl-C)",
            f"a Reflect sandbox listens at {box.reflect_url}",
            *([f"{faults} {'fault is' if faults == 1 else 'faults are'} scripted"] if faults else []),
            "in another terminal:",
            f"export REFLEXIO_API_URL={box.url}",
            *(["# export REFLEXIO_API_KEY=… (the key you gave with --api-key)"] if self.api_key else []),
            f"export REFLECT_API_URL={box.reflect_url}",
            "# export REFLECT_API_KEY=… (the key you gave with --reflect-api-key)"
            if self.reflect_api_key
            else f"export REFLECT_API_KEY={box.reflect_key}",
        ]
        for line in lines:
            output.print_line(stdout, line)
        stdout.file.flush()
