"""Commands run in this process where they can."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from reflexio_async.cli.app import app
from tests.cli.commands import Process, sandbox_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer.testing import Result

    from reflexio_async.sandbox import Sandbox
    from tests.cli.commands import Run, Start


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with sandbox_in_thread() as box:
        for user_id in ("u1", "u2", "u3", "u4"):
            box.seed(user_id, f"I am {user_id}")
        yield box


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the developer do not matter, and no command reaches the hosted service."""
    for name in ("REFLEXIO_API_KEY", "REFLEXIO_URL", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REFLEXIO_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def run() -> Iterator[Run]:
    """Run one command in this process."""

    def call(*args: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, list(args), input=stdin, prog_name="reflexio-async")

    logger = logging.getLogger("reflexio_async")
    handlers, level = logger.handlers[:], logger.level
    yield call
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def start() -> Iterator[Start]:
    processes: list[Process] = []

    def begin(*args: str, **environment: str) -> Process:
        processes.append(Process(*args, **environment))
        return processes[-1]

    yield begin
    for process in processes:
        if process.child.poll() is None:
            process.child.kill()
        process.child.communicate()
