"""A sandbox in a thread, for tests that run event loops of their own, and for programs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox on an event loop of its own, in a thread. Reruns take 0.3 s. Its parameter: more options."""
    options: dict[str, Any] = getattr(request, "param", {})
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    async def start() -> Sandbox:
        box = Sandbox(rerun_seconds=0.3, **options)
        await box.start()
        for user in ("u", "second", "third"):
            box.seed(user)
        return box

    box: Sandbox = run(start())
    try:
        yield box
    finally:
        run(box.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Program(Protocol):
    """Runs a program in a process of its own."""

    def __call__(self, source: str, *arguments: str, warnings: str = "error") -> str: ...


@pytest.fixture
def program() -> Program:
    """Run Python source with every warning an error, and return what it writes to standard error.

    The program must end with exit code 0.
    """

    def run(source: str, *arguments: str, warnings: str = "error") -> str:
        command = [sys.executable, "-W", warnings, "-c", source, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0, result.stderr
        return result.stderr

    return run
