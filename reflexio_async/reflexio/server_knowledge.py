"""What a client has learned about its Reflexio server."""

from __future__ import annotations

from reflexio_async._engine.warn import warn_caller


class ServerQuirkWarning(UserWarning):
    """The server does something else than the call says."""


class ServerKnowledge:
    """What a client and its views have learned about their server.

    ``knows_request_ids`` says whether the server knows publishes by their ``request_id``: today's do, and
    January's do not. None: not known yet (server-behaviour: Repeating a publish).
    """

    def __init__(self) -> None:
        self.knows_request_ids: bool | None = None
        self._warnings: set[str] = set()

    def warn_once(self, message: str) -> None:
        """Warn the caller the first time that ``message`` applies."""
        if message not in self._warnings:
            self._warnings.add(message)
            warn_caller(message, ServerQuirkWarning)
