"""A new interpreter, for what can be measured only once per process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
