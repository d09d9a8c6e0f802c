"""The interpreters of this machine, by version.

    python3 reflexio_async/testing/interpreters.py 3.12

prints the path of one. CI asks before any environment exists, so the standard library must do.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def find_python(version: str) -> Path | None:
    """An interpreter of this version (``"3.12"``) that truly runs."""
    for candidate in _candidates(version):
        report = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
        try:
            # pyenv has shims for versions that are not active; those exist but fail.
            answer = subprocess.check_output([candidate, "-c", report], text=True, stderr=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError):
            continue
        found, executable = answer.strip().split(" ", 1)
        if found == version:
            return Path(executable)
    return None


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    if on_path := shutil.which(f"python{version}"):
        yield on_path
    if pyenv := shutil.which("pyenv"):
        root = Path(subprocess.check_output([pyenv, "root"], text=True).strip())
        yield from map(str, sorted(root.glob(f"versions/{version}*/bin/python")))


if __name__ == "__main__":
    wanted = sys.argv[1]
    interpreter = find_python(wanted)
    if interpreter is None:
        sys.exit(f"Python {wanted} is missing: no python{wanted} on PATH or in pyenv")
    print(interpreter)  # noqa: T201
