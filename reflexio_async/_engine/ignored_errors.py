"""Errors that must not disturb the caller: the first one is logged loudly, the next ones quietly."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from reflexio_async.errors import ConfigurationError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Generator


class Report(Protocol):
    """Logs an error of ``what`` at ``level``."""

    def __call__(self, what: str, error: Exception, /, *, level: int) -> None: ...


class IgnoredErrors:
    """The errors that one client and its views ignore. ``report`` gets each of them.

    The first error of ``what`` is a warning. Later ones have the level DEBUG, until it works again.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._failing: set[str] = set()

    def failed(self, what: str, error: Exception) -> None:
        """Report an error of ``what``, which the caller does not raise."""
        level = logging.DEBUG if what in self._failing else logging.WARNING
        self._failing.add(what)
        self._report(what, error, level=level)

    def worked(self, what: str) -> None:
        """Note that ``what`` works, so that its next error is a warning again."""
        self._failing.discard(what)

    @contextmanager
    def ignore(self, what: str) -> Generator[None]:
        """Ignore an error of the block, unless the caller has made a mistake. ``what`` names the block."""
        try:
            yield
        except (InvalidRequest, ConfigurationError):
            raise
        except Exception as error:  # noqa: BLE001  # this is the place where errors are ignored
            self.failed(what, error)
        else:
            self.worked(what)
