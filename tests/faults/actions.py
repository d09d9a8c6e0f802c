"""What a server may do beyond the faults of the sandbox: absurd limits, stray bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox import faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async.sandbox import Sandbox
    from reflexio_async.sandbox.fault_script import Action
    from reflexio_async.sandbox.http.context import RequestContext
    from reflexio_async.sandbox.http.responses import Response

FORGED = "forged"
_CLOSED = {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "0"}

ABSURD_REFUSALS: dict[str, tuple[dict[str, str], str]] = {
    "days": ({}, "Rate limit exceeded: 5 per 9999999 day"),
    "no hits": ({}, "Rate limit exceeded: 0 per 1 minute"),
    "no time": ({}, "Rate limit exceeded: 5 per 0 second"),
    "digits": ({}, f"Rate limit exceeded: {'9' * 5000} per 1 minute"),
    "huge": ({"Retry-After": "9" * 300}, "slow down"),
    "negative": ({"Retry-After": "-7"}, "slow down"),
    "nan": ({"Retry-After": "nan"}, "slow down"),
    "far date": ({"Retry-After": "Wed, 18 Nov 9999 23:59:59 GMT"}, "slow down"),
    "no date": ({"Retry-After": "Wed, 32 Foo 2026 25:61:61 GMT"}, "slow down"),
    "milliseconds": (
        {**_CLOSED, "X-RateLimit-Reset": "1795000020000"},
        "Rate limit exceeded: 5 per 1 minute",
    ),
}
"""Name → headers and text of a 429."""
ABSURD_HEADERS: dict[str, dict[str, str]] = {
    "far": {**_CLOSED, "X-RateLimit-Reset": "99999999"},
    "past": {**_CLOSED, "X-RateLimit-Reset": "-20"},
    "milliseconds": {**_CLOSED, "X-RateLimit-Reset": "1795000020000"},
    "infinite": {**_CLOSED, "X-RateLimit-Reset": "1e999"},
    "digits": {"X-RateLimit-Remaining": "9" * 5000, "X-RateLimit-Reset": "9" * 5000},
    "words": {"X-RateLimit-Remaining": "none", "X-RateLimit-Reset": "soon"},
}
"""Name → headers of a true response."""


@dataclass(frozen=True)
class _Headers:
    """The true response, with more headers."""

    headers: dict[str, str]

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:  # noqa: ARG002
        response = await serve()
        return replace(response, headers={**response.headers, **self.headers})


def absurd_refusal(name: str) -> Action:
    """A 429 of ``ABSURD_REFUSALS``."""
    headers, text = ABSURD_REFUSALS[name]
    return faults.status(429, {"error": text}, headers=headers)


def absurd_headers(name: str) -> Action:
    """The true response with headers of ``ABSURD_HEADERS``."""
    return _Headers(ABSURD_HEADERS[name])


ACTIONS: dict[str, Callable[[str], Action]] = {
    "absurd_refusal": absurd_refusal,
    "absurd_headers": absurd_headers,
}


def send_stray_bytes(box: Sandbox) -> None:
    """Send a response that belongs to no request on every idle connection to the sandbox."""
    forged: dict[str, Any] = {
        "success": True, "message": FORGED, "msg": FORGED, "org_id": FORGED, "request_id": FORGED,
        "operation_id": FORGED, "user_profiles": [], "status": "failed",
    }  # fmt: skip
    body = json.dumps(forged).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    for handler in box._process.reflexio_server._server.connections:
        transport: Any = handler.transport
        if transport is not None and handler._current_request is None:
            transport.write(head.encode() + body)
