"""Whether the server of one client answers, as its calls have found."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from reflexio_async._engine.logs import fields
from reflexio_async._engine.retry import is_away
from reflexio_async.errors import RateLimited

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async._engine.clock import Clock

logger = logging.getLogger("reflexio_async")

_AFTER = 5.0  # seconds; a shorter outage is not worth a word
_EVERY = 60.0  # seconds between two log records about one outage


class Availability:
    """Whether the server at one address answers.

    Attributes:
        url: The address.
        has_answered: This API has given a proper response at this address. Before, the address may be wrong.
        is_in_doubt: It has not, or it has been away since its last answer.
        watchers: Called when an outage is reported, and when it is over.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self.has_answered = False
        self.is_in_doubt = True
        self.watchers: set[Callable[[], object]] = set()
        self.url = url
        self._clock = clock
        self._away_since: float | None = None
        self._reported_at: float | None = None

    @property
    def unreachable_for(self) -> float | None:
        """For how many seconds the server has been away; None when it is not, or only for a moment."""
        if self._away_since is None or (seconds := self._clock.now() - self._away_since) < _AFTER:
            return None
        return seconds

    def answered(self, *, properly: bool) -> None:
        """Note an answer of this API; ``properly``: it shows that the address is right."""
        self.has_answered = self.has_answered or properly
        self.is_in_doubt = not self.has_answered
        if self._away_since is None:
            return
        seconds = self._clock.now() - self._away_since
        self._away_since = None
        if self._reported_at is not None:
            self._reported_at = None
            logger.info(
                "%s answers again, after %.0f s",
                self.url,
                seconds,
                extra=fields("server_answers", url=self.url, seconds=seconds),
            )
            self._notify()

    def failed(self, error: Exception) -> None:
        """Note the failure of an exchange."""
        if not is_away(error):
            # Another server's 404 may have the shape of this API's, its 429 surely not.
            self.answered(properly=isinstance(error, RateLimited) and error.from_api)
            return
        now = self._clock.now()
        self.is_in_doubt = True
        if self._away_since is None:
            self._away_since = now
        seconds = self.unreachable_for
        if seconds is None or (self._reported_at is not None and now - self._reported_at < _EVERY):
            return
        self._reported_at = now
        logger.warning(
            "%s has been unreachable for %.0f s: %s",
            self.url,
            seconds,
            error,
            extra=fields("server_away", error, url=self.url, seconds=seconds),
        )
        self._notify()

    def _notify(self) -> None:
        for watcher in list(self.watchers):
            watcher()
