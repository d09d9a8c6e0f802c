"""What a client has learned about its Reflexio server."""

from __future__ import annotations

from dataclasses import dataclass, field

from reflexio_async._engine.warn import warn_caller


class ServerQuirkWarning(UserWarning):
    """The server does something else than the call says."""


@dataclass(slots=True)
class ServerKnowledge:
    """What a client and its views have learned about their server.

    ``stores_request_id_once`` says whether the server stores a ``request_id`` only once. None: not known yet
    (server-behaviour: Repeating a publish).
    """

    stores_request_id_once: bool | None = None
    _warnings: set[str] = field(default_factory=set[str])

    def warn_once(self, message: str) -> None:
        """Warn the caller the first time that ``message`` applies."""
        if message not in self._warnings:
            self._warnings.add(message)
            warn_caller(message, ServerQuirkWarning)
