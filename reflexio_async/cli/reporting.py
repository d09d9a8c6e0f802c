"""What a long command says: on stderr for who watches, and in a file for the morning."""

from __future__ import annotations

import logging
import queue
import time
from contextlib import closing, contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener
from typing import TYPE_CHECKING

from reflexio_async.cli import output
from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Generator

    from rich.console import Console


class Reporter:
    """Says what happens on stderr, and in a log if there is one."""

    def __init__(self, log: logging.Handler | None = None) -> None:
        self.stderr: Console = output.console(stderr=True)
        self._log = log

    def say(self, text: str, style: str = "") -> None:
        """Print one line, and log it. A line in a colour is a warning."""
        output.print_line(self.stderr, text, style)
        self.note(text, logging.WARNING if style else logging.INFO)

    def note(self, text: str, level: int = logging.INFO) -> None:
        """Log one line."""
        if self._log is not None:
            fields = {"msg": text, "levelno": level, "levelname": logging.getLevelName(level)}
            self._log.handle(logging.makeLogRecord(fields))


class _Format(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S%z", time.localtime(record.created))
        return f"{when} {record.levelname} {output.one_line(record.getMessage())}"


class _LogFile(logging.FileHandler):
    """A file for the log. After a failure no more is written: a full disk must not end the run."""

    _failed = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._failed:
            super().emit(record)

    def close(self) -> None:
        with suppress(OSError):  # of a line that could not be written
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  # logging's names
        self._failed = True
        output.print_error("--log: the file cannot be written any more; the run goes on without it")


@contextmanager
def reporting(log: str | None) -> Generator[Reporter]:
    """Make a Reporter, before the event loop starts; ``log`` is the file that its lines are appended to.

    The records of the package's log go there too.

    Raises:
        InvalidRequest: The file cannot be written.
    """
    if log is None:
        yield Reporter()
        return
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = QueueHandler(lines)
    handler.setLevel(logging.INFO)
    logger = logging.getLogger("reflexio_async")
    before = logger.level
    with closing(_opened(log)) as file:
        # A thread writes the file, since a slow disk must not stop the event loop.
        listener = QueueListener(lines, file)
        listener.start()
        logger.addHandler(handler)
        logger.setLevel(min(before or logging.INFO, logging.INFO))
        try:
            yield Reporter(handler)
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)
            listener.stop()


def _opened(log: str) -> _LogFile:
    if not log:
        message = "--log: no file name"
        raise InvalidRequest(message)
    try:
        file = _LogFile(log, encoding="utf-8", errors="backslashreplace")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        message = f"--log: {log!r} cannot be written: {getattr(error, 'strerror', None) or error}"
        raise InvalidRequest(message) from None
    file.setFormatter(_Format())
    return file
