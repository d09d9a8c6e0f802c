"""The order in which a request is refused before anybody answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async.sandbox.answers import Reply, problem
from reflexio_async.sandbox.legacy_routes import LEGACY
from reflexio_async.sandbox.listener import MAX_BODY
from reflexio_async.sandbox.routes import MODERN, OPEN_PATHS, UNWATCHED_PATHS
from reflexio_async.sandbox.routing import replied

if TYPE_CHECKING:
    from reflexio_async.sandbox.calls import Call
    from reflexio_async.sandbox.routing import Route
    from reflexio_async.sandbox.world import World

_SUSPICIOUS = ("bot", "crawler", "spider", "scraper", "curl", "wget")
_FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


async def answer(world: World, call: Call) -> Reply:
    """Authentication first, then the User-Agent, size, route, shape and quota; then the handler."""
    world.requests += 1
    if (refusal := _refused(world, call)) is not None:
        return refusal
    return await replied(call, _served(world, call))


async def _served(world: World, call: Call) -> Reply:
    route = (LEGACY if world.settings.legacy else MODERN).route_of(call)
    body = route.read(call)
    if not _within_quota(world, call, route):
        return Reply({"error": f"Rate limit exceeded: {route.per_minute} per 1 minute"}, 429)
    return await route.answer(world, call, body)


def _within_quota(world: World, call: Call, route: Route) -> bool:
    if not world.settings.rate_limits or route.per_minute is None:
        return True
    return world.windows.admits(call.client, call.record.path, route.per_minute)


def _open(method: str, path: str) -> bool:
    return method == "OPTIONS" or path == "/token" or (method in {"GET", "HEAD"} and path in OPEN_PATHS)


def _refused(world: World, call: Call) -> Reply | None:
    path, headers = call.record.path, call.record.headers
    if not _open(call.record.method, path):
        scheme, _, bearer = headers.get("Authorization", "").partition(" ")
        welcome = (
            scheme.lower() == "bearer" and world.accepts(bearer)
            if world.settings.guarded
            # Without a key only direct local callers are served.
            else not any(name in headers for name in _FORWARDING)
        )
        if not welcome:
            return problem(401, "Authentication required", {"WWW-Authenticate": "Bearer"})
    if path not in UNWATCHED_PATHS:
        agent = call.record.user_agent.lower()
        if not agent:
            return problem(403, "Forbidden: Missing user agent")
        if any(word in agent for word in _SUSPICIOUS):
            return problem(403, "Forbidden: Suspicious user agent")
    if len(call.raw_body) > MAX_BODY:
        if "Content-Length" in headers:
            return problem(413, "Request body too large")
        return problem(400, "There was an error parsing the body")
    return None
