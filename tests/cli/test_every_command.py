"""What every command has: --json, --debug, a help text with an example, and a place in the how-to page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main

from reflexio_async.cli.app import app
from reflexio_async.cli.options import ENVIRONMENT
from reflexio_async.reflexio.jobs import SLOT_POLL_INTERVAL, WAIT_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.commands import Run

PAGE = (Path(__file__).parents[2] / "docs/how-to/command-line.md").read_text("utf-8")


def commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    below = getattr(command, "commands", {})
    if not below or command.invoke_without_command:
        yield name, command
    for word, found in below.items():
        yield from commands(f"{name} {word}".strip(), found)


COMMANDS = {name: command for name, command in commands("", typer.main.get_command(app)) if name}
OTHER_NAMES = {"interactions add": "publish"}
"""The same command by another name."""


def options(command: Any) -> set[str]:
    return {option for param in command.params for option in param.opts}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_it_has_the_options_of_every_command(name: str) -> None:
    assert {"--json", "--debug", "--verbose"} <= options(COMMANDS[name])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_its_help_has_an_example_that_begins_with_the_command(name: str) -> None:
    examples = re.findall(r"Example: `reflexio-async ([^`]+)`", COMMANDS[name].help)
    assert examples, COMMANDS[name].help
    assert all(example.startswith(OTHER_NAMES.get(name, name)) for example in examples)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_its_examples_have_only_options_that_exist(name: str) -> None:
    examples = " ".join(re.findall(r"Example: (`.+`)", COMMANDS[name].help))
    given = set(re.findall(r"(?<=\s)--[a-z-]+", examples))
    assert given <= options(COMMANDS[name]) | {"--show-secrets"}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_how_to_page_names_it(name: str) -> None:
    first, _, rest = name.partition(" ")
    assert re.search(rf"`{name}\b|reflexio-async {name}\b|`{first}` \([^)]*`{rest}`", PAGE), name


@pytest.mark.parametrize("name", re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", ENVIRONMENT))
def test_the_how_to_page_names_each_environment_variable(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_help_names_every_environment_variable_of_the_page(run: Run) -> None:
    table = PAGE.partition("**Environment variables.**")[2].partition("**Completion.**")[0]
    shown = run("--help").stdout
    assert [name for name in re.findall(r"`([A-Z_]{6,})`", table) if name not in shown] == []


def test_the_help_states_the_defaults_of_waiting() -> None:
    helps = {param.opts[0]: param.help for param in COMMANDS["jobs wait"].params}
    assert helps["--poll-interval"].endswith(f"then up to {SLOT_POLL_INTERVAL:g}.")
    assert helps["--wait-timeout"].endswith(f"Unless given: {WAIT_TIMEOUT:g}.")


def test_the_commands_are_declared_without_loading_the_client() -> None:
    """So --version, --help and completion are quick."""
    program = (
        "import sys, reflexio_async.cli.app\n"
        "slow = ('aiohttp', 'pydantic', 'sqlite3', 'mcp', 'procrastinate')\n"
        "print([name for name in slow if name in sys.modules])"
    )
    args = [sys.executable, "-c", program]
    assert subprocess.run(args, check=True, capture_output=True, text=True).stdout == "[]\n"
