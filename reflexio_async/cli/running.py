"""Running one command: its event loop, its signals, and what its errors mean to the shell."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import typer

from reflexio_async.cli.output import complain
from reflexio_async.cli.signals import Signals
from reflexio_async.errors import ConfigurationError, InvalidRequest, ReflexioError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

OK, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def refuse(text: object) -> NoReturn:
    """End the command because of what it was given."""
    complain(text)
    raise typer.Exit(BAD_INPUT)


def run(command: Callable[[Signals], Coroutine[None, None, int]]) -> NoReturn:
    """Run ``command`` on a loop of its own and exit with the code it returns or its error stands for."""
    raise typer.Exit(_exit_code(command))


def _exit_code(command: Callable[[Signals], Coroutine[None, None, int]]) -> int:
    try:
        return asyncio.run(_until_the_end(command))
    except (ConfigurationError, InvalidRequest) as error:
        complain(error)
        return BAD_INPUT
    except ReflexioError as error:
        complain(error)
        return SOME_FAILED
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


async def _until_the_end(command: Callable[[Signals], Coroutine[None, None, int]]) -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # asyncio.run made it
    signals = Signals(task)
    with signals.heard():
        try:
            return await command(signals)
        except asyncio.CancelledError:
            if signals.exit_code:
                return signals.exit_code
            raise
