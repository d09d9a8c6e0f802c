"""The page of the command ``reflexio-async``, which typer writes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import typer.main
from typer.cli import get_docs_for_click

from reflexio_async.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = typer.main.get_command(app)
INTRODUCTION = """\
# The command line

It needs the extra `cli`: `pip install 'reflexio-async[cli]'`. Or say `python -m reflexio_async`.

## `reflexio-async`"""


def commands(name: str = "reflexio-async", command: Any = COMMAND) -> Iterator[tuple[str, Any]]:
    """Every command with its full name, such as ``reflexio-async jobs wait``."""
    yield name, command
    for sub_name, sub_command in getattr(command, "commands", {}).items():
        yield from commands(f"{name} {sub_name}", sub_command)


def command_line_page() -> str:
    """The page of the command."""
    text: str = get_docs_for_click(obj=COMMAND, ctx=typer.Context(COMMAND), name="reflexio-async")
    text = re.sub(r"\*\*Commands\*\*:\n\n(\*.*\n)+", "", text)  # it cuts their texts off; they follow whole
    text = text.replace("* `--help`: Show this message and exit.\n", "").replace("$ reflexio", "reflexio")
    text = text.replace("```console", "```text").replace("### `", "## `")
    return text.replace("# `reflexio-async`", INTRODUCTION, 1)
