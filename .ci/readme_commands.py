"""The fenced blocks of README.md, so that CI runs exactly the README's commands.

    python .ci/readme_commands.py demo

runs every block that opens with "```bash demo", each with ``bash -euo pipefail`` in a fresh clone of
the current commit. ``page_blocks.py`` runs the other blocks.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


class Block(NamedTuple):
    """One fenced block."""

    heading: str
    info: str
    line: int
    """The number of its first line of code."""
    code: str


def fenced_blocks(markdown: str) -> Iterator[Block]:
    """Every block fenced by three or more backticks."""
    heading = fence = info = ""
    start = 0
    lines = markdown.splitlines()
    for number, line in enumerate(lines, 1):
        if fence:
            if line.strip() == fence:
                code = "\n".join(lines[start - 1 : number - 1]) + "\n"
                yield Block(heading, info, start, code)
                fence = ""
        elif line.startswith("```"):
            info = line.lstrip("`").strip()
            fence = line[: len(line) - len(line.lstrip("`"))]
            start = number + 1
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()


def readme_blocks(info: str) -> list[Block]:
    """The README's blocks of this kind, such as ``bash demo``."""
    if not README.exists():
        return []
    return [block for block in fenced_blocks(README.read_text(encoding="utf-8")) if block.info == info]


def main(name: str) -> int:
    """Run the README's commands of this name. Returns the exit status of the first that fails, else 0."""
    blocks = readme_blocks(f"bash {name}")
    if not blocks:
        print(f"README.md has no block that opens with ```bash {name}", file=sys.stderr)
        return 1
    for block in blocks:
        print(block.code, end="", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["git", "clone", "--quiet", str(ROOT), folder], check=True)
            status = subprocess.run(["bash", "-euo", "pipefail", "-c", block.code], cwd=folder, check=False)
        if status.returncode:
            return status.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
