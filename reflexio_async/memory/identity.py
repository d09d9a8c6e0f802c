"""Warns once of users and sessions that will not work: an email address, a new session for every turn."""

from __future__ import annotations

import re

from reflexio_async._engine.warn import warn_caller

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MAX_USERS = 1000  # of whom the sessions are counted
_SESSIONS = 10  # of one user, each with one turn: too many to be conversations


class IdentityChecks:
    """What a client and its views know about the users and sessions of their calls."""

    def __init__(self) -> None:
        self._warned: set[str] = set()
        self._short: dict[str, set[str] | None] = {}
        """For each user, the sessions with one published turn. None: a session had several."""

    def check_user(self, user_id: str) -> None:
        """Warn once of an email address."""
        if _EMAIL.fullmatch(user_id.strip()):
            self._warn("user_id is an email address: use an opaque id that stays the same")

    def add_turn(self, user_id: str, session_id: str) -> None:
        """Count a published turn. Warn once when every turn of a user has a session of its own."""
        sessions = self._short.pop(user_id, set())
        if sessions is not None:
            sessions = None if session_id in sessions else {*sessions, session_id}
        if sessions is not None and len(sessions) == _SESSIONS:
            sessions = None
            self._warn("every turn has a new session_id: use one session_id for a whole conversation")
        self._short[user_id] = sessions
        if len(self._short) > _MAX_USERS:
            del self._short[next(iter(self._short))]

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            warn_caller(message, UserWarning)
