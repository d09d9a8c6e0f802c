"""Runs the blocks of one page, in order, in one process: ``python .ci/page_blocks.py PAGE FOLDER``.

What a block opens with says what is done with it, after the name of its language:

- ``python run``: run by itself. ``python more``: run after the blocks before it, in their namespace.
- ``python test``: run by pytest. ``bash run``: run by bash.
- ``file=NAME``, of any language: written to that file of the folder in which the page's blocks run.
- one of ``NOT_RUN``: the reason why it is not run.

``needs=MODULE`` beside ``run`` leaves a block out where that module is not installed. The page has a folder.
If it has a ``bash run``, it has a sandbox: in its blocks ``http://localhost:8061`` and ``http://localhost:8000``
stand for the servers of that sandbox, and the environment variables of the clients name them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import traceback
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from readme_commands import Block, fenced_blocks

ROOT = Path(__file__).resolve().parents[1]

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_RUN = {
    "fragment": "a part of a program, whose rest is yours",
    "needs-llm": "it asks a language model",
    "needs-server": "it needs a server, a database or a platform of yours",
    "installs": "it fetches packages",
}
"""Reasons for a block that is not run."""
HOW = ("run", "more", "test")
CODE = ("python", "bash", "sh", "shell", "console", "pycon")
"""Languages whose blocks say what is done with them. Blocks of others, such as json, are data."""
IN_CLEAN_CLONES = ("bash demo", "bash quick", "bash test")
"""Blocks that a step of CI runs, each by its name."""


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    return list(fenced_blocks(page.read_text("utf-8")))


def fault_of(block: Block) -> str:
    """What is wrong with the opening of ``block``; empty: nothing."""
    if not block.info:
        return "it names no language"
    language, *words = block.info.split()
    known = [word for word in words if not re.fullmatch(r"(file|needs)=\S+", word)]
    is_file = any(word.startswith("file=") for word in words)
    if language not in CODE or is_file or block.info in IN_CLEAN_CLONES:
        return ""
    allowed = [*(HOW if language == "python" else HOW[:1] if language == "bash" else ()), *NOT_RUN]
    return (
        ""
        if len(known) == 1 and known[0] in allowed
        else f"after {language} stands one of: {', '.join(allowed)}"
    )


def is_run(block: Block) -> bool:
    """Whether something is done with ``block``."""
    words = block.info.split()
    return block.info not in IN_CLEAN_CLONES and any(
        word in HOW or word.startswith("file=") for word in words[1:]
    )


class Page:
    """The state in which the blocks of one page run."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path = path
        self._folder = folder
        self._namespace: dict[str, Any] = {}
        self._addresses: dict[str, str] = {}
        self._groups: list[int] = []

    def run(self) -> None:
        """Run every block. The first that fails ends it."""
        blocks = blocks_of(self._path)
        os.chdir(self._folder)
        os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with ExitStack() as stack:
            stack.callback(self._end_processes)
            if any(block.info.startswith("bash run") for block in blocks):
                self._start_sandbox(stack)
            for block in blocks:
                if is_run(block) and not fault_of(block):
                    print(f"--- {self._path.name}, line {block.line}: {block.info}", flush=True)
                    self._run(block)

    def _start_sandbox(self, stack: ExitStack) -> None:
        from reflexio_async.testing import SandboxThread  # noqa: PLC0415  # only pages with commands need it

        box = stack.enter_context(SandboxThread())
        self._addresses = {"http://localhost:8061": box.url, "http://localhost:8000": box.reflect_url}
        os.environ |= {
            "REFLEXIO_API_URL": box.url,
            "REFLEXIO_API_KEY": "any",
            "REFLECT_API_URL": box.reflect_url,
            "REFLECT_API_KEY": box.reflect_key,
        }

    def _run(self, block: Block) -> None:
        _, *words = block.info.split()
        options = dict(word.split("=", 1) for word in words if "=" in word)
        missing = [
            name
            for name in options.get("needs", "").split(",")
            if name and find_spec(name.split(".")[0]) is None
        ]
        if missing:
            print(f"left out: {', '.join(missing)} is not installed")
            return
        code = block.code
        for given, real in self._addresses.items():
            code = code.replace(given, real)
        if "file" in options:
            file = self._folder / options["file"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(code, "utf-8")
        elif "test" in words:
            file = self._folder / f"test_line_{block.line}.py"
            file.write_text("\n" * (block.line - 1) + code, "utf-8")
            self._command([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)])
        elif block.info.startswith("bash"):
            self._command(["bash", "-euo", "pipefail", "-c", code])
        else:
            if "run" in words:
                self._namespace = {"__name__": "__main__"}
            # As many lines as precede it, so that a traceback names the lines of the page.
            compiled = compile("\n" * (block.line - 1) + code, str(self._path), "exec")
            exec(compiled, self._namespace)  # noqa: S102  # our own pages

    def _command(self, command: list[str]) -> None:
        """Run a command. What it starts in the background goes on until the end of the page."""
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        self._groups.append(process.pid)
        if status := process.wait(300):
            message = f"exit status {status}"
            raise SystemExit(message)

    def _end_processes(self) -> None:
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)


def pages() -> Iterator[Path]:
    """The pages whose blocks are run. Those that are made from the code show how calls are written."""
    yield ROOT / "README.md"
    yield from sorted(file for file in ROOT.glob("docs/**/*.md") if "api" not in file.relative_to(ROOT).parts)


if __name__ == "__main__":
    try:
        Page(Path(sys.argv[1]), Path(sys.argv[2])).run()
    except Exception:  # noqa: BLE001  # of the page
        traceback.print_exc(file=sys.stdout)
        sys.exit(1)
