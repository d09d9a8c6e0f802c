"""The order in which a request is refused before anybody answers it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reflexio_async.sandbox.http.responses import Reply, problem
from reflexio_async.sandbox.http.routing import replied
from reflexio_async.sandbox.http.server import MAX_BODY
from reflexio_async.sandbox.reflexio.legacy.routes import LEGACY
from reflexio_async.sandbox.reflexio.routes import MODERN, OPEN_PATHS, UNWATCHED_PATHS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.http.routing import Route
    from reflexio_async.sandbox.reflexio.state import World

_SUSPICIOUS = ("bot", "crawler", "spider", "scraper", "curl", "wget")
_FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY")


async def answer(world: World, call: Call) -> Reply:
    """A browser's preflight first, then authentication, User-Agent, size, route, shape and quota."""
    world.requests += 1
    headers = call.record.headers
    if "Origin" not in headers:
        return await _answered(world, call)
    if call.record.method == "OPTIONS" and "Access-Control-Request-Method" in headers:
        return _preflight(headers)
    reply = await _answered(world, call)
    # A crash is answered outside of the middleware that lets browsers read the answer.
    if reply.status == 500:
        return reply
    return replace(reply, headers={**reply.headers, "Access-Control-Allow-Origin": "*", "Vary": "Origin"})


async def _answered(world: World, call: Call) -> Reply:
    if (refusal := _refused(world, call)) is not None:
        return refusal
    return await replied(call, _served(world, call))


def _preflight(headers: Mapping[str, str]) -> Reply:
    """May a page of another site ask this? Any may, as far as browsers are concerned."""
    allowed = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": ", ".join(_METHODS),
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }
    if (wanted := headers.get("Access-Control-Request-Headers")) is not None:
        allowed["Access-Control-Allow-Headers"] = wanted
    if headers["Access-Control-Request-Method"] not in _METHODS:
        return Reply("Disallowed CORS method", 400, allowed, "text/plain; charset=utf-8")
    return Reply("OK", 200, allowed, "text/plain; charset=utf-8")


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
    # The real server exempts OPTIONS too, on every path: preflights show no key.
    return method == "OPTIONS" or path == "/token" or (method in {"GET", "HEAD"} and path in OPEN_PATHS)


def _local(call: Call) -> bool:
    """Whether the caller sits at this machine, and no page of another site has it ask."""
    headers = call.record.headers
    origin = headers.get("Origin")
    if any(name in headers for name in _FORWARDING):
        return False
    try:
        page = urlsplit(origin) if origin else None
        hosts = [call.client, urlsplit(f"//{headers.get('Host', '')}").hostname]
        if page is not None:
            hosts.append(page.hostname if page.scheme in {"http", "https"} else None)
        return all(host == "localhost" or ip_address(host or "").is_loopback for host in hosts)
    except ValueError:
        return False


def _refused(world: World, call: Call) -> Reply | None:
    path, headers = call.record.path, call.record.headers
    if not _open(call.record.method, path):
        scheme, _, bearer = headers.get("Authorization", "").partition(" ")
        welcome = (
            scheme.lower() == "bearer" and world.accepts(bearer) if world.settings.guarded else _local(call)
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
