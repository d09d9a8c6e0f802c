"""What making a client loads, so that no call has to load it."""

from __future__ import annotations

import subprocess
import sys

NO_LATER_SEARCH = """
import importlib.metadata
from reflexio_async import AsyncReflexioClient

AsyncReflexioClient("key-1", "http://127.0.0.1:1")


def fail():
    raise AssertionError

importlib.metadata.distributions = fail
from reflexio_async._engine.models import Empty

Empty()
"""


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pydantic_looks_for_plugins_when_a_client_is_made() -> None:
    """It reads the disk, and the first model may be built by a call, on the loop."""
    run(NO_LATER_SEARCH)
