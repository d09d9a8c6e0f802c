"""The README's examples run."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from readme_commands import Block, fenced_blocks, readme_blocks

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = readme_blocks("python run")


def test_the_readme_has_examples_and_commands() -> None:
    assert EXAMPLES, "README.md has no block that opens with ```python run"
    for name in ("demo", "quick", "test"):
        assert readme_blocks(f"bash {name}"), f"README.md has no block that opens with ```bash {name}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "example", [pytest.param(block, id=f"{block.heading}, line {block.line}") for block in EXAMPLES]
)
def test_example_runs(example: Block, tmp_path: Path) -> None:
    script = tmp_path / "README.py"
    # As many lines as precede it in the README, so that a traceback names the README's lines.
    script.write_text("\n" * (example.line - 1) + example.code, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_blocks_are_found_with_their_heading_and_line() -> None:
    markdown = "# Title\n\n```bash demo\n# no heading\nls\n```\n\n## Use\n\n````python run\n```\nx\n````\n"
    assert list(fenced_blocks(markdown)) == [
        Block("Title", "bash demo", 4, "# no heading\nls\n"),
        Block("Use", "python run", 11, "```\nx\n"),
    ]
