"""What people read: consoles, plain lines, durations, logging. JSON goes to stdout past all this."""

from __future__ import annotations

import logging
import sys

from rich.console import Console
from rich.text import Text


def console(*, stderr: bool = False) -> Console:
    """A console that prints what it is given: ids and messages of servers are no markup."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def visible(text: object) -> str:
    """``text`` with control characters (and whatever else cannot be shown) written out."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in str(text)
    )


def one_line(text: object) -> str:
    """``text`` on one line, fit to be shown."""
    return visible(" ".join(str(text).split()))


def say(to: Console, text: str, style: str = "") -> None:
    """One line, never wrapped: whoever searches a log finds it whole."""
    to.print(Text(one_line(text), style), soft_wrap=True)


def complain(text: object) -> None:
    """The one line that says what went wrong."""
    to = console(stderr=True)
    to.print(Text.assemble(("error: ", "bold red"), one_line(text)), soft_wrap=True)


def write_line(text: str) -> None:
    """A line for programs: UTF-8 on stdout whatever the terminal speaks, and at once."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode() + b"\n")
    sys.stdout.buffer.flush()


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{round(whole / 60)} min"
    return f"{whole / 3600:.1f} h"


class _Handler(logging.Handler):
    """Writes to whatever ``sys.stderr`` is now, so that a live display can make room."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{self.format(record)}\n")


def set_logging(*, verbose: bool) -> None:
    """Show the package's log on stderr, or keep it silent: what matters is said by the commands."""
    logger = logging.getLogger("reflexio_async")
    for old in logger.handlers[:]:
        if isinstance(old, _Handler | logging.NullHandler):
            logger.removeHandler(old)
    handler: logging.Handler = _Handler() if verbose else logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.NOTSET)
