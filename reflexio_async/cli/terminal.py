"""What a command does when its terminal goes away, or is stopped (Ctrl-S): it goes on."""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from typing_extensions import Buffer

_GONE = (errno.EIO, errno.ENXIO)


class _Writer:
    """Writes to the terminal. While ``aside`` runs, a thread does: a stopped terminal stops it alone."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[int, bytes] | None] | None = None

    @contextmanager
    def aside(self) -> Generator[None]:
        """Write in a thread while the block runs. At its end, wait until the terminal has taken all."""
        self._waiting = waiting = SimpleQueue[tuple[int, bytes] | None]()

        def write_all() -> None:
            while (piece := waiting.get()) is not None:
                _write(*piece)

        thread = Thread(target=write_all, name="terminal", daemon=True)
        thread.start()
        try:
            yield
        finally:
            waiting.put(None)
            thread.join()
            self._waiting = None

    @property
    def is_behind(self) -> bool:
        """Whether the terminal has not taken what was written earlier."""
        return self._waiting is not None and not self._waiting.empty()

    def write(self, number: int, data: bytes) -> None:
        """Write to a file by its number, in order."""
        if self._waiting is None:
            _write(number, data)
        else:
            self._waiting.put((number, data))


def _write(number: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(number, data) :]
        except BlockingIOError:  # another program has made the terminal so
            select.select([], [number], [])
        except OSError as error:
            if error.errno not in _GONE:
                raise
            leave_terminal()


writer = _Writer()


class _TerminalFile(io.FileIO):
    """A terminal to write to. Python would raise OSError when it is gone, in the middle of anything."""

    def write(self, data: Buffer, /) -> int:
        content = bytes(data)
        writer.write(self.fileno(), content)
        return len(content)


def open_closed_streams() -> None:
    """Open the null device where the caller has closed stdin, stdout or stderr.

    Python has None for such a stream, and the next file that is opened would get its number.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def discard_stdout() -> None:
    """Write to nowhere from now on. Python would report at exit what it could not write."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def outlive_terminal() -> None:
    """Let stdout and stderr survive the end of the terminal that they are."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        # A terminal that cannot show a character of a user id must not stop the command.
        stream.reconfigure(errors="backslashreplace")
        if stream.isatty():
            raw = _TerminalFile(stream.fileno(), "w", closefd=False)
            safe = io.TextIOWrapper(
                io.BufferedWriter(raw), stream.encoding, "backslashreplace", line_buffering=True
            )
            setattr(sys, name, safe)


def leave_terminal() -> None:
    """Write to nowhere from now on, where the terminal was: it is gone, and writing to it is an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        # isatty() says no once the terminal is gone.
        if stat.S_ISCHR(os.fstat(number).st_mode):
            os.dup2(nowhere, number)
    os.close(nowhere)
