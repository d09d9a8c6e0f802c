"""The command ``reflexio-async``; needs the extra ``cli`` (typer and rich)."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

_NEEDED = ("typer", "rich")
_INTERRUPTED = 130


def main() -> None:
    """Run the command line. It always ends with SystemExit."""
    from reflexio_async.cli.terminal import open_closed_streams  # noqa: PLC0415  # slow to load

    open_closed_streams()
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        _run()
    # Until a command handles signals itself, while modules are loaded and input is read, Ctrl-C ends quietly.
    signal.signal(signal.SIGINT, _exit)
    try:
        _run()
    finally:
        # The interpreter ends now. It would print the exception of a handler.
        signal.signal(signal.SIGINT, _exit_at_once)


def _exit(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(_INTERRUPTED)


def _exit_at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(_INTERRUPTED)


def _run() -> None:
    try:
        from reflexio_async.cli.app import app  # noqa: PLC0415  # needs the extra `cli`
        from reflexio_async.cli.terminal import outlive_terminal  # noqa: PLC0415  # slow to load
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _NEEDED:
            raise
        sys.stderr.write(
            f"error: the command line needs {missing}, which is not installed: "
            'python -m pip install "reflexio-async[cli]"\n'
        )
        raise SystemExit(2) from None
    except KeyboardInterrupt:  # the handler was not this one's
        raise SystemExit(_INTERRUPTED) from None
    outlive_terminal()
    app(prog_name="reflexio-async")


__all__ = ["main"]
