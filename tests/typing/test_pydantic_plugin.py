"""The calls have the same types for users who run mypy with pydantic's plugin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytest.importorskip("mypy", reason="mypy comes with the extra dev")
pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
KNOWN = "# with pydantic's mypy plugin at its defaults: the response"
"""Marks the one line of these files whose type is another one with the plugin at its defaults."""


@pytest.fixture
def errors(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], list[str]]:
    """Runs mypy on this folder with the plugin and some lines of settings; returns its errors."""
    cache = request.config.cache
    assert cache is not None

    def run(settings: str) -> list[str]:
        config = tmp_path / "mypy.ini"
        config.write_text(
            f"[mypy]\nplugins = pydantic.mypy\nmypy_path = {ROOT}\nexplicit_package_bases = True\n"
            f"strict = True\n{settings}\n",
            encoding="utf-8",
        )
        mypy = [sys.executable, "-m", "mypy", "--config-file", str(config), "--no-error-summary"]
        done = subprocess.run(
            [*mypy, "--cache-dir", str(cache.mkdir("mypy_with_pydantic")), str(FOLDER)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.stderr
        return [line for line in done.stdout.splitlines() if ": error: " in line]

    return run


def test_at_its_defaults_an_explicit_false_alone_is_misread(errors: Callable[[str], list[str]]) -> None:
    # The plugin takes every keyword for Any, so that lines which should be errors are none.
    [error] = errors("warn_unused_ignores = False")
    place, line, _ = error.split(":", maxsplit=2)
    assert KNOWN in (ROOT / place).read_text(encoding="utf-8").splitlines()[int(line) - 1]
    assert 'Expression is of type "RerunProfileGenerationResponse", not "Job[' in error


def test_with_init_typed_nothing_is_misread(errors: Callable[[str], list[str]]) -> None:
    assert errors("[pydantic-mypy]\ninit_typed = True") == []
