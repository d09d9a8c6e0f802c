"""A new interpreter, for what can be measured only once per process."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parents[1]


def python(*arguments: str) -> str:
    """Run this Python in a new process with ``arguments``, and return what it printed.

    What it writes to stderr appears on ours.
    """
    command = [sys.executable, *arguments]
    # Installed libraries have their bytecode. If ours could not be written, compiling it would be measured.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=environment
    ).stdout


@contextmanager
def server(module: str) -> Generator[str]:
    """Run ``module`` in a new process, whose first line the block gets. Its input ends with the block."""
    command = [sys.executable, "-m", module]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline()
        finally:
            process.stdin.close()
