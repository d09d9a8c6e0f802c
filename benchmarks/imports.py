"""How long ``import reflexio_async`` takes, against importing the libraries that it stands on."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.report import Pair

OURS = "import reflexio_async"
LIBRARIES = "import aiohttp, anyio; from pydantic import BaseModel"  # pydantic itself loads lazily


def seconds(statement: str) -> float:
    """CPU seconds of ``statement`` in a fresh interpreter."""
    code = f"import time; began = time.process_time(); {statement}; print(time.process_time() - began)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(result.stdout)


def measure(*, rounds: int) -> Pair:
    """The first pair writes bytecode and does not count."""
    pair = Pair("import, against its libraries", "ms", 1e3)
    for number in range(rounds + 1):
        ours, libraries = seconds(OURS), seconds(LIBRARIES)
        if number:
            pair.add(ours, libraries)
    return pair
