"""What people read: consoles, lines, durations, the log. JSON for programs goes straight to stdout."""

from __future__ import annotations

import logging
import sys
import time

from rich.console import Console
from rich.text import Text

from reflexio_async.errors import printable as escaped


def console(*, stderr: bool = False) -> Console:
    """A console without markup: ids and messages of servers are printed as they are."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def printable(text: object) -> str:
    """``text`` with control characters, and others that cannot be shown, as escapes."""
    return escaped(str(text))


def one_line(text: object) -> str:
    """``text`` on one line, printable."""
    return printable(" ".join(str(text).split()))


def print_line(to: Console, text: str, style: str = "") -> None:
    """Print one line. It is never wrapped, so that a search in a log finds it whole."""
    to.print(Text(one_line(text), style), soft_wrap=True)


def note(text: str, style: str = "") -> None:
    """Print one line to stderr."""
    print_line(console(stderr=True), text, style)


def print_error(error: object) -> None:
    """Print one line to stderr that begins with ``error:``."""
    to = console(stderr=True)
    to.print(Text.assemble(("error: ", "bold red"), one_line(error)), soft_wrap=True)


def write_line(text: str) -> None:
    """Write a line for programs to stdout: in UTF-8, whatever the terminal's encoding, and at once."""
    sys.stdout.flush()
    # A lone surrogate becomes an escape, which JSON has too.
    sys.stdout.buffer.write(text.encode(errors="backslashreplace") + b"\n")
    sys.stdout.buffer.flush()


def count(number: int, noun: str) -> str:
    """A number of things, such as ``1 profile`` and ``2 profiles``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def local_time(epoch: float | None) -> str:
    """Epoch seconds as a local time."""
    if epoch is None:
        return ""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch))
    except (OSError, OverflowError, ValueError):  # no time that a calendar has
        return str(epoch)


def duration(seconds: float) -> str:
    """Seconds as text with a fitting unit, such as ``2 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{round(whole / 60)} min"
    return f"{whole / 3600:.1f} h"


_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(message)s")


class _StderrHandler(logging.Handler):
    """Writes to the current ``sys.stderr``, which a live progress bar replaces while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{self.format(record)}\n")


def show_warnings() -> None:
    """Show the package's warnings on stderr, unless all of its log is shown."""
    logger = logging.getLogger("reflexio_async")
    if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
        handler = _StderrHandler(logging.WARNING)
        handler.setFormatter(_FORMAT)
        logger.addHandler(handler)


def set_logging(*, verbose: bool) -> None:
    """Show the package's log on stderr, or silence it: commands print what matters themselves."""
    logger = logging.getLogger("reflexio_async")
    for old in logger.handlers[:]:
        if isinstance(old, _StderrHandler | logging.NullHandler):
            logger.removeHandler(old)
    handler: logging.Handler = _StderrHandler() if verbose else logging.NullHandler()
    handler.setFormatter(_FORMAT)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.NOTSET)
