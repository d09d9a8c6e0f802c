"""``sandbox``: a server for trying things out."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reflexio_async.cli import output
from reflexio_async.cli.running import BAD_INPUT, OK
from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    from reflexio_async.cli.signals import Signals
    from reflexio_async.sandbox.world import Dialect


@dataclass(frozen=True)
class Serve:
    """What the user asked for."""

    port: int
    api_key: str = field(default="", repr=False)
    dialect: Dialect = "correlated"
    rate_limits: bool = True
    rerun_seconds: float = 1.0

    async def run(self, signals: Signals) -> int:
        """The exit code, once a signal has come."""
        stopped = asyncio.Event()
        signals.gently(stopped.set)
        to = output.console()
        box = Sandbox(
            port=self.port,
            api_key=self.api_key or None,
            dialect=self.dialect,
            rate_limits=self.rate_limits,
            rerun_seconds=self.rerun_seconds,
        )
        try:
            await box.start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            output.complain(f"cannot listen on port {self.port}: {reason} (--port 0 picks a free one)")
            return BAD_INPUT
        try:
            output.say(
                to, f"a Reflexio sandbox listens at {box.url}; it forgets everything when it ends (Ctrl-C)"
            )
            output.say(to, "in another terminal:")
            output.say(to, f"export REFLEXIO_API_URL={box.url}")
            if self.api_key:
                output.say(to, "export REFLEXIO_API_KEY='the key you gave with --api-key'")
            to.file.flush()
            await stopped.wait()
        finally:
            await box.stop()
        output.say(to, "stopped")
        return OK
