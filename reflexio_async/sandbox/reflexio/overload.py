"""A server with too much to do: few requests of a kind run at once, and work may pass its deadline."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from reflexio_async.sandbox.http.context import ConcurrencyLimit, RequestContext
from reflexio_async.sandbox.http.responses import Response, error_response, timeout_response
from reflexio_async.sandbox.reflexio.deadlines import PUBLISH_PATH, SEARCH_PATH, deadline_of

_SEARCH_PATHS: Final = frozenset(
    {
        *(SEARCH_PATH, "/api/search_profiles", "/api/search_interactions", "/api/search_user_playbooks"),
        *("/api/search_agent_playbooks", "/api/rerank_user_profiles"),
    }
)
_CAPACITY: Final = {"search": 8, "publish": 4}
"""How many requests of a kind run at once (server-behaviour: Concurrency)."""

_SEARCH_WAIT: Final = 2.0
"""Seconds for which a search waits for a place. A publish waits until its deadline."""


@dataclass(frozen=True, slots=True)
class Overload:
    """A fault: works on a request for ``seconds``, within the server's limits. See ``faults.overwork``."""

    seconds: float

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:
        """Wait for a place, then work to the end or until the deadline."""
        path, clock = context.record.path, context.waits.clock
        started, deadline = clock.now(), deadline_of(context)
        kind = "publish" if path == PUBLISH_PATH else "search" if path in _SEARCH_PATHS else None
        if kind is None:
            await context.wait(min(self.seconds, deadline))
            return await self._respond(context, serve, deadline)
        limit = context.waits.concurrency_limits.setdefault(kind, ConcurrencyLimit(_CAPACITY[kind]))
        if not await limit.acquire(context, deadline if kind == "publish" else _SEARCH_WAIT):
            return _no_place(kind, context)
        left = deadline - (clock.now() - started)
        try:
            await context.wait(min(self.seconds, left))
        finally:
            limit.release_after(self.seconds - left, clock)
        return await self._respond(context, serve, left)

    async def _respond(
        self, context: RequestContext, serve: Callable[[], Awaitable[Response]], left: float
    ) -> Response:
        if self.seconds >= left and context.record.path == PUBLISH_PATH:
            return _unconfirmed(context)
        response = await serve()
        if self.seconds < left:
            return response
        reason = "search_deadline" if context.record.path == SEARCH_PATH else "backstop_timeout"
        return timeout_response(context.correlation_id, reason)


def no_capacity(request_id: str) -> Response:
    """503: the publish was not admitted, and nothing is stored."""
    message = (
        "Publish capacity deadline exceeded; nothing was admitted, so this publish can be retried safely."
    )
    detail = {"reason": "capacity_deadline_exceeded", "request_id": request_id, "message": message}
    return error_response(503, detail)


def _no_place(kind: str, context: RequestContext) -> Response:
    if kind == "search":
        return error_response(429, "search concurrency limit reached", {"Retry-After": "2"})
    return no_capacity(_request_id(context))


def _unconfirmed(context: RequestContext) -> Response:
    detail = {
        "reason": "admission_timeout",
        "request_id": _request_id(context),
        "message": (
            "Admission was not confirmed before the deadline; check this request ID before retrying."
        ),
    }
    return error_response(504, detail)


def _request_id(context: RequestContext) -> str:
    body = context.record.body
    given = cast("dict[str, Any]", body).get("request_id") if isinstance(body, dict) else None
    return str(given or uuid.uuid4())
