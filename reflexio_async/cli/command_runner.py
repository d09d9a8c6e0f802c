"""Runs one command: its event loop and its signals. ``errors.py`` reports its errors."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

import typer

from reflexio_async.cli.signals import Signals
from reflexio_async.cli.terminal import discard_stdout, writer
from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

OK, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def exit_bad_input(error: object) -> NoReturn:
    """End the command, because its input is wrong. ``error`` says how."""
    raise error if isinstance(error, Exception) else InvalidRequest(str(error))


def run(command: Callable[[Signals], Coroutine[None, None, int]]) -> NoReturn:
    """Run ``command`` on a new event loop, and exit with the code that it returns."""
    raise typer.Exit(_exit_code(command))


def _exit_code(command: Callable[[Signals], Coroutine[None, None, int]]) -> int:
    signals = Signals()
    try:
        with signals.handled(), writer.aside():
            return asyncio.run(signals.run(command))
    except BrokenPipeError:
        discard_stdout()  # its reader is gone
        return SOME_FAILED
