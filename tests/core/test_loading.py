"""What importing the client does at once, and what its first calls do."""

from __future__ import annotations

import subprocess
import sys

NO_SEARCH_LATER = """
import importlib.metadata
from reflexio_async import AsyncReflexioClient

AsyncReflexioClient("key-1", "http://127.0.0.1:1")


def searched():
    raise AssertionError

importlib.metadata.distributions = searched
from reflexio_async._engine.models import Empty

Empty()
"""


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pydantics_search_for_plugins_is_over_when_the_client_has_been_made() -> None:
    """It reads the disk, and the first model may be built by a call, on the loop."""
    run(NO_SEARCH_LATER)
