"""Ctrl-C, SIGTERM and SIGHUP: the first one asks a command to stop, the second one stops it at once."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from reflexio_async.cli.terminal import leave_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from types import FrameType

_SIGNALS = [signal.SIGINT, signal.SIGTERM]
_HANG_UP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # not on Windows


class Signals:
    """Counts the signals that a command receives, and reacts to them.

    The first signal calls the function given to ``on_first``; without one it cancels the command. The second
    signal cancels the command. The third one ends the process, even where it hangs because the reader of its
    output has stopped reading. When the command has ended, the second one does so.
    """

    def __init__(self) -> None:
        self._command: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._count = 0
        self._on_first: Callable[[], None] | None = None
        self.exit_code = 0
        """128 + the number of the first signal; 0 when there was none."""

    def on_first(self, callback: Callable[[], None]) -> None:
        """From now on the first signal calls ``callback``."""
        self._on_first = callback

    @contextmanager
    def handled(self) -> Generator[None]:
        """Handle signals while the block runs. The event loop begins and ends in it."""
        # Not loop.add_signal_handler: this works on Windows too, while a write hangs, and while a loop ends.
        before = {number: signal.signal(number, self._handle) for number in _handled()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def run(self, command: Callable[[Signals], Coroutine[None, None, int]]) -> int:
        """Run ``command``, and return its exit code, or that of the signal that has cancelled it."""
        self._command, self._loop = asyncio.current_task(), asyncio.get_running_loop()
        if self._count:
            return self.exit_code
        try:
            return await command(self)
        except asyncio.CancelledError:
            if self.exit_code:
                return self.exit_code
            raise
        finally:
            self._command = None

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == _HANG_UP:
            leave_terminal()
        self._count += 1
        self.exit_code = self.exit_code or 128 + number
        has_ended = self._loop is not None and self._command is None
        if self._count > (1 if has_ended else 2):
            os._exit(self.exit_code)
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._react, self._count)

    def _react(self, count: int) -> None:
        if self._command is None:
            return
        if count == 1 and self._on_first is not None:
            self._on_first()
        else:
            self._command.cancel()


def _handled() -> list[signal.Signals]:
    # nohup and some schedulers ignore SIGHUP for their commands: they go on without a terminal.
    if _HANG_UP is None or signal.getsignal(_HANG_UP) is signal.SIG_IGN:
        return _SIGNALS
    return [*_SIGNALS, _HANG_UP]
