"""Programs that were written for the official clients run with ours, and print the same.

``programs/official`` has them as they were, ``programs/migrated`` after the only changes: imports, ``await``,
``async`` and ``asyncio.run``.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from reflexio_async.sandbox import Sandbox
from reflexio_async.testing import RealServer
from reflexio_async.testing.real_server import REFLEXIO_SERVER
from tests.environments import REFLECT_SDK, REFLEXIO_CLIENT

if TYPE_CHECKING:
    from reflexio_async.testing.environments import Environment

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
STAND_INS = ROOT / "tests/parity/stand_ins"

# What migrating adds, as patterns that take it away again.
ADDED = {
    r"\b(await|async) ": "",
    r"^import asyncio\n": "",
    r"asyncio\.run\((main\(.*\))\)": r"\1",
    r"^from reflexio_async import (.*)$": r"import \1",
    r"^from (?:reflexio|reflect_sdk|requests) import (.*)$": r"import \1",
    r"APIStatusError as ": "",
}


class Program(NamedTuple):
    environment: Environment
    """Where the official client is."""
    uses_reflect: bool = False


RUNS = {
    "chat_bot": Program(REFLEXIO_SERVER),
    "rerun_users": Program(REFLEXIO_CLIENT),
    "task_loop": Program(REFLECT_SDK, uses_reflect=True),
}


def _source(version: str, name: str) -> str:
    text = (PROGRAMS / version / f"{name}.py").read_text()
    for pattern, replacement in ADDED.items():
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def _printed(version: str, name: str, *arguments: str, folder: Path) -> list[str]:
    """What the program printed. Its error output must be empty, although no program closes its client."""
    ours = version == "migrated"
    python = Path(sys.executable) if ours else RUNS[name].environment.python()
    done = subprocess.run(
        [python, PROGRAMS / version / f"{name}.py", *arguments],
        cwd=folder,  # the official client loads any .env
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT if ours else STAND_INS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", RUNS)
def test_migrating_changes_imports_and_awaits_only(name: str) -> None:
    assert _source("official", name) == _source("migrated", name)
    assert "await" in (PROGRAMS / "migrated" / f"{name}.py").read_text()


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
async def test_a_migrated_program_prints_the_same_on_the_sandbox(name: str, tmp_path: Path) -> None:
    printed: list[list[str]] = []
    for version in ("official", "migrated"):
        async with Sandbox(rerun_seconds=0.05) as box:
            where = (box.reflect_url, box.reflect_key) if RUNS[name].uses_reflect else (box.url,)
            printed.append(await asyncio.to_thread(_printed, version, name, *where, folder=tmp_path))
    assert printed[0] == printed[1]
    assert len(printed[0]) > 10


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, program in RUNS.items() if not program.uses_reflect])
def test_a_migrated_program_prints_the_same_on_the_real_server(name: str, tmp_path: Path) -> None:
    printed: list[list[str]] = []
    for version in ("official", "migrated"):
        with RealServer(rate_limits=False) as server:
            printed.append(_printed(version, name, server.url, folder=tmp_path))
    assert printed[0] == printed[1]
    assert len(printed[0]) > 10
