"""Ctrl-C and SIGTERM: gently the first time, at once the second."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

_HEARD = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """What a command makes of being interrupted.

    The first signal does what ``gently`` was given, or cancels the command when it was given nothing;
    the second cancels it; the third ends the process wherever it hangs (a reader that stopped reading).
    """

    def __init__(self, command: asyncio.Task[Any]) -> None:
        self._command = command
        self._count = 0
        self._action: Callable[[], None] | None = None
        self.exit_code = 0
        """128 + the first signal's number; 0 when there was none."""

    def gently(self, action: Callable[[], None]) -> None:
        """What the first signal does from now on."""
        self._action = action

    @contextmanager
    def heard(self) -> Generator[None]:
        """Listen while the block runs."""
        loop = asyncio.get_running_loop()

        def hear(number: int, _frame: FrameType | None) -> None:
            self._count += 1
            self.exit_code = self.exit_code or 128 + number
            if self._count > 2:
                os._exit(self.exit_code)
            loop.call_soon_threadsafe(self._react, self._count)

        # Not loop.add_signal_handler: this is the same on Windows, and works while a write hangs.
        before = {number: signal.signal(number, hear) for number in _HEARD}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _react(self, count: int) -> None:
        if count == 1 and self._action is not None:
            self._action()
        else:
            self._command.cancel()
