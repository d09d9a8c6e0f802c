"""Completion of commands and options, and its installation."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import COMMAND
from tests.hang import A_HANG

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Start


def completed(start: Start, *words: str) -> list[str]:
    """What bash is offered for the last of ``words``."""
    environment = {
        "_REFLEXIO_ASYNC_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("reflexio-async", *words)),
        "COMP_CWORD": str(len(words)),
    }
    exit_code, out, err = start(**environment).end()
    assert (exit_code, err) == (0, "")
    return out.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["pro"], ["profiles"]),
        (["profiles", "l"], ["list"]),
        (["profiles", "list", "--st"], ["--status"]),
        (["profiles", "list", "--status", "p"], ["pending"]),
        (["upgrade", "play"], ["playbooks"]),
    ],
)
def test_words_are_completed(start: Start, words: list[str], offered: list[str]) -> None:
    assert completed(start, *words) == offered


def in_bash(home: Path, option: str) -> str:
    """The output of a command that bash has started. It finds out by itself which shell that was."""
    command = f"{' '.join(COMMAND)} {option}; true"  # else bash replaces itself
    environment = {**os.environ, "HOME": str(home)}
    return subprocess.run(
        ["/bin/bash", "-c", command],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=A_HANG,
    ).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="is about bash")
def test_it_is_installed_for_the_shell(tmp_path: Path) -> None:
    assert "bash completion installed in" in in_bash(tmp_path, "--install-completion")
    assert "reflexio-async" in (tmp_path / ".bashrc").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="is about bash")
def test_its_script_is_shown(tmp_path: Path) -> None:
    assert "complete -o default -F" in in_bash(tmp_path, "--show-completion")
