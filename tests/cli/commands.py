"""Runs commands, and a sandbox for them in a thread."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Generator

    from typer.testing import Result

COMMAND = [sys.executable, "-W", "error", "-m", "reflexio_async"]


class Run(Protocol):
    """Runs one command in this process."""

    def __call__(self, *args: str, stdin: str | bytes | None = None) -> Result: ...


class Start(Protocol):
    """Starts one command in a process that does not outlive the test."""

    def __call__(self, *args: str, **environment: str) -> Process: ...


def eventually(condition: Callable[[], object], *, within: float = 10.0) -> None:
    """Wait until the condition holds, for so many seconds at most."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
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
    assert ready.wait(10)
    box, loop, closing = boxes[0]
    try:
        yield box
    finally:  # also when the test fails: the thread would keep the process alive
        loop.call_soon_threadsafe(closing.set)
        thread.join(10)


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
        out, err = self.child.communicate(timeout=60)
        return self.child.returncode, out, err
