"""Runs commands, and a sandbox for them in a thread."""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from reflexio_async.sandbox import Sandbox, VirtualClock
from tests.hang import A_HANG

if sys.platform != "win32":
    import fcntl
    import pty
    import termios

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Generator, Mapping

    from typer.testing import Result

COMMAND = [sys.executable, "-W", "error", "-m", "reflexio_async"]
TAKE_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A program that makes its standard input its controlling terminal, and becomes the command it is given."""


def outcomes_of(stdout: str) -> dict[str, dict[str, Any]]:
    """The outcomes in the output of ``rerun --json``, by id."""
    events = [json.loads(line) for line in stdout.splitlines()]
    assert {event["event"] for event in events} <= {"outcome", "progress", "summary"}
    return {event["key"]: event for event in events if event["event"] == "outcome"}


class Run(Protocol):
    """Runs one command in this process."""

    def __call__(self, *args: str, stdin: str | bytes | None = None) -> Result: ...


class Start(Protocol):
    """Starts one command in a process that does not outlive the test."""

    def __call__(self, *args: str, **environment: str) -> Process: ...


def eventually(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + A_HANG
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("the condition never held")


@contextmanager
def sandbox_in_thread(**options: Any) -> Generator[Sandbox]:
    """A sandbox that commands with loops of their own can talk to."""
    ready = threading.Event()
    boxes: list[tuple[Sandbox, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        async with Sandbox(**options) as box:
            closing = asyncio.Event()
            boxes.append((box, asyncio.get_running_loop(), closing))
            ready.set()
            await closing.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(A_HANG)
    box, loop, closing = boxes[0]
    try:
        yield box
    finally:  # also when the test fails: the thread would keep the process alive
        loop.call_soon_threadsafe(closing.set)
        thread.join(A_HANG)


@contextmanager
def sandbox_whose_time_stands(**options: Any) -> Generator[Sandbox]:
    """The same, where a rerun goes on until ``finish_reruns``, however slow the machine is."""
    with sandbox_in_thread(clock=VirtualClock(auto_advance=False), **options) as box:
        yield box


def finish_reruns(box: Sandbox, count: int = 1) -> None:
    """Let so many reruns of such a sandbox begin and end, one after the other."""
    for number in range(1, count + 1):
        eventually(lambda: len(box.operations()) >= number)  # noqa: B023  # called before the next number
        call_in(box, lambda: box.advance(10.0))


def call_in(box: Sandbox, function: Callable[[], Any]) -> None:
    """Call a function on the event loop of a sandbox in a thread, and await what it returns."""

    async def call() -> None:
        returned = function()
        if isawaitable(returned):
            await returned

    asyncio.run_coroutine_threadsafe(call(), box._process.reflexio_server.get_loop()).result(A_HANG)


class Process:
    """A command in a process of its own."""

    def __init__(self, *args: str, **environment: str) -> None:
        self.child = subprocess.Popen(
            [*COMMAND, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        )

    def signal(self, number: signal.Signals) -> None:
        self.child.send_signal(number)

    def wait_for(self, text: str) -> None:
        """Read stderr until a line contains ``text``."""
        assert self.child.stderr is not None
        for line in self.child.stderr:
            if text in line:
                return
        pytest.fail(f"{text!r} was never printed")

    def end(self) -> tuple[int, str, str]:
        """Exit code, rest of stdout, rest of stderr."""
        out, err = self.child.communicate(timeout=A_HANG)
        return self.child.returncode, out, err


class Terminal:
    """A pseudo-terminal on which a command runs. What it shows is read all the time, as a terminal does.

    Args:
        args: The command.
        columns: The width of the terminal.
        environment: More variables.
    """

    def __init__(self, *args: str, columns: int = 80, environment: Mapping[str, str] | None = None) -> None:
        self._controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        known = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        self.child = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *COMMAND, *args],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**known, "TERM": "xterm-256color", **(environment or {})},
        )
        os.close(terminal)
        self._shown = b""
        self._reading = threading.Event()
        self._reading.set()
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def shown(self) -> str:
        """What was shown so far, with the codes for colours and movements."""
        return self._shown.decode(errors="replace")

    @property
    def text(self) -> str:
        """The same without these codes."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown)

    def wait_for(self, text: str) -> None:
        """Wait until ``text`` is shown; its words may stand on several lines."""
        eventually(lambda: text in " ".join(self.text.split()))

    def freeze(self) -> None:
        """Read nothing more, as a terminal does after Ctrl-S."""
        self._reading.clear()

    def thaw(self) -> None:
        """Read again."""
        self._reading.set()

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._controller, keys.encode())

    def end(self) -> int:
        """Wait for the end, and return the exit code."""
        code = self.child.wait(A_HANG)
        self._closing.set()
        self._reader.join()
        os.close(self._controller)
        return code

    def hang_up(self) -> int:
        """Close the terminal, and return the exit code. The kernel sends SIGHUP to who controls it."""
        self._closing.set()
        self._reader.join()
        os.close(self._controller)
        return self.child.wait(A_HANG)

    def _read(self) -> None:
        while True:
            while not self._reading.wait(0.05):
                if self._closing.is_set():
                    return
            readable, _, _ = select.select([self._controller], [], [], 0.05)
            if not readable and self._closing.is_set():
                return
            try:
                piece = os.read(self._controller, 65536) if readable else b""
            except OSError:  # nothing has the terminal open any more
                return
            self._shown += piece
            if self._closing.is_set() and self.child.poll() is None:
                return
