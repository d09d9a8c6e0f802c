"""Ctrl-C, SIGTERM and SIGHUP: the first one asks a command to stop, the second one stops it at once."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

_SIGNALS = [signal.SIGINT, signal.SIGTERM]
_HANG_UP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # not on Windows


class Signals:
    """Counts the signals that a command receives, and reacts to them.

    The first signal calls the function given to ``on_first``; without one it cancels the command. The second
    signal cancels the command. The third one ends the process, even where it hangs because the reader of its
    output has stopped reading.
    """

    def __init__(self, command: asyncio.Task[Any]) -> None:
        self._command = command
        self._count = 0
        self._on_first: Callable[[], None] | None = None
        self.exit_code = 0
        """128 + the number of the first signal; 0 when there was none."""

    def on_first(self, callback: Callable[[], None]) -> None:
        """From now on the first signal calls ``callback``."""
        self._on_first = callback

    @contextmanager
    def handled(self) -> Generator[None]:
        """Handle signals while the block runs."""
        loop = asyncio.get_running_loop()

        def handle(number: int, _frame: FrameType | None) -> None:
            if number == _HANG_UP:
                _leave_terminal()
            self._count += 1
            self.exit_code = self.exit_code or 128 + number
            if self._count > 2:
                os._exit(self.exit_code)
            loop.call_soon_threadsafe(self._react, self._count)

        # Not loop.add_signal_handler: this works on Windows too, and while a write hangs.
        before = {number: signal.signal(number, handle) for number in _handled()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _react(self, count: int) -> None:
        if count == 1 and self._on_first is not None:
            self._on_first()
        else:
            self._command.cancel()


def _handled() -> list[signal.Signals]:
    # nohup and some schedulers ignore SIGHUP for their commands: they go on without a terminal.
    if _HANG_UP is None or signal.getsignal(_HANG_UP) is signal.SIG_IGN:
        return _SIGNALS
    return [*_SIGNALS, _HANG_UP]


def _leave_terminal() -> None:
    """Write to nowhere from now on, where the terminal was: it is gone, and writing to it is an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        # isatty() says no once the terminal is gone.
        if stat.S_ISCHR(os.fstat(number).st_mode):
            os.dup2(nowhere, number)
    os.close(nowhere)
