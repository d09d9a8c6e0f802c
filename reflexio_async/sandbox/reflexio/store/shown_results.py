"""The search results that each session has seen. They are in memory alone, so a restart forgets them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable


class ShownResults:
    """Results by session. A result is a pair of kind and id (server-behaviour: Searching)."""

    def __init__(self) -> None:
        self._seen: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)

    def is_new(self, session_id: str | None, kind: str, key: str) -> bool:
        """Whether the session has not seen a result. Always true without a session."""
        return not session_id or (kind, key) not in self._seen[session_id]

    def add(self, session_id: str | None, results: Iterable[tuple[str, str]]) -> None:
        """Remember results that the session sees now."""
        if session_id:
            self._seen[session_id].update(results)
