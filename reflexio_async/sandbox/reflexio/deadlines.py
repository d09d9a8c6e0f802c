"""How long the server works on a request before it answers 504 (server-behaviour: Deadlines)."""

from __future__ import annotations

from typing import Final

from reflexio_async.sandbox.http.context import RequestContext

PUBLISH_PATH: Final = "/api/publish_interaction"
SEARCH_PATH: Final = "/api/search"

PUBLISH: Final = 240.0
"""Seconds from the arrival of a publish."""

SEARCH: Final = 5.0
SLOW: Final = 600.0
"""For slow routes, and for those asked to ``wait_for_response``."""

REQUEST: Final = 60.0

_SLOW_PATHS: Final = frozenset(
    {
        "/api/review_user_playbooks",
        "/api/run_playbook_aggregation",
        "/api/evaluations/grade_on_demand",
    }
)


def deadline_of(context: RequestContext) -> float:
    """Seconds for which the server works on this request."""
    path = context.record.path
    if path == PUBLISH_PATH:
        return PUBLISH
    if path == SEARCH_PATH:
        return SEARCH
    return SLOW if context.wait_for_response or path in _SLOW_PATHS else REQUEST
