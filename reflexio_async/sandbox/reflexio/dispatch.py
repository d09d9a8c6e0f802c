"""From a request to its response: CORS, refusals, route, input and rate limit, in the server's order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import Response
from reflexio_async.sandbox.http.routing import respond
from reflexio_async.sandbox.reflexio import rate_limits
from reflexio_async.sandbox.reflexio.authorization import refusal
from reflexio_async.sandbox.reflexio.legacy.routes import LEGACY_ROUTER
from reflexio_async.sandbox.reflexio.routes import ROUTER
from reflexio_async.sandbox.reflexio.state import ReflexioState

_CORS_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY")


async def dispatch(state: ReflexioState, context: RequestContext) -> Response:
    """The response to a request of the Reflexio service."""
    state.requests += 1
    headers = context.record.headers
    if "Origin" not in headers:
        return await _refused_or_handled(state, context)
    if context.record.method == "OPTIONS" and "Access-Control-Request-Method" in headers:
        return _preflight_response(headers)
    response = await _refused_or_handled(state, context)
    # The real server answers a crash outside of its CORS middleware.
    if response.status == 500:
        return response
    cors = {"Access-Control-Allow-Origin": "*", "Vary": "Origin"}
    return replace(response, headers={**response.headers, **cors})


def _preflight_response(headers: Mapping[str, str]) -> Response:
    allowed = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": ", ".join(_CORS_METHODS),
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }
    if (wanted := headers.get("Access-Control-Request-Headers")) is not None:
        allowed["Access-Control-Allow-Headers"] = wanted
    if headers["Access-Control-Request-Method"] not in _CORS_METHODS:
        return Response("Disallowed CORS method", 400, allowed, "text/plain; charset=utf-8")
    return Response("OK", 200, allowed, "text/plain; charset=utf-8")


async def _refused_or_handled(state: ReflexioState, context: RequestContext) -> Response:
    if (response := refusal(state, context)) is not None:
        return response
    return await respond(context, _handle(state, context))


async def _handle(state: ReflexioState, context: RequestContext) -> Response:
    route = (LEGACY_ROUTER if state.settings.legacy else ROUTER).match(context)
    given = route.parse(context)
    limit = route.per_minute if state.settings.rate_limits else None
    if limit is not None and not state.rate_limiter.admits(context.client, context.record.path, limit):
        return Response({"error": f"Rate limit exceeded: {limit} per {rate_limits.PERIOD}"}, 429)
    return await route.handle(context, given, state=state)
