"""Fresh interpreters, for what can be measured only once in a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def python(*arguments: str) -> str:
    """The output of this Python, started anew with ``arguments``; its complaints go where ours do."""
    command = [sys.executable, *arguments]
    # Libraries come with their bytecode: where ours may not be written, its compiling would count.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=environment
    ).stdout
