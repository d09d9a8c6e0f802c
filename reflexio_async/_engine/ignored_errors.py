"""Errors that must not disturb the caller: the first one is logged loudly, the next ones quietly."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reflexio_async.errors import ConfigurationError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Generator

    from reflexio_async._engine.tasks import TaskTracker


class IgnoredErrors:
    """The errors that one client and its views ignore. Each of them is counted, and reported to the hook."""

    def __init__(self, tasks: TaskTracker) -> None:
        self._tasks = tasks
        self._failing: set[str] = set()

    @contextmanager
    def ignore(self, what: str) -> Generator[None]:
        """Ignore an error of the block, unless the caller has made a mistake. ``what`` names the block.

        The first error of ``what`` is logged as a warning, later ones at level DEBUG until it works again.
        """
        try:
            yield
        except (InvalidRequest, ConfigurationError):
            raise
        except Exception as error:  # noqa: BLE001  # this is the place where errors are ignored
            level = logging.DEBUG if what in self._failing else logging.WARNING
            self._failing.add(what)
            self._tasks.report(what, error, level=level)
        else:
            self._failing.discard(what)
