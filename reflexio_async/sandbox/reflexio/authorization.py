"""Which requests the Reflexio service refuses before it looks for a route (server-behaviour: Errors)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import Response, error_response
from reflexio_async.sandbox.http.server import MAX_BODY
from reflexio_async.sandbox.reflexio.state import ReflexioState

_HEALTH_PATHS: Final = ("/health", "/health/live", "/health/ready", "/healthz")
_PUBLIC_PATHS: Final = frozenset({"/", *_HEALTH_PATHS, "/healthz/eval", "/meta/version"})
"""Reading these needs no key."""

_ANY_USER_AGENT_PATHS: Final = frozenset({"/", *_HEALTH_PATHS})
"""These do not check the User-Agent."""

_SUSPICIOUS: Final = ("bot", "crawler", "spider", "scraper", "curl", "wget")
_FORWARDING_HEADERS: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


def refusal(state: ReflexioState, context: RequestContext) -> Response | None:
    """The response to a request without access, from a bad User-Agent or of too large a body; else None."""
    path, headers = context.record.path, context.record.headers
    if not (_is_public(context.record.method, path) or _has_access(state, context)):
        return error_response(401, "Authentication required", {"WWW-Authenticate": "Bearer"})
    if path not in _ANY_USER_AGENT_PATHS:
        agent = context.record.user_agent.lower()
        if not agent:
            return error_response(403, "Forbidden: Missing user agent")
        if any(word in agent for word in _SUSPICIOUS):
            return error_response(403, "Forbidden: Suspicious user agent")
    if len(context.raw_body) > MAX_BODY:
        if "Content-Length" in headers:
            return error_response(413, "Request body too large")
        return error_response(400, "There was an error parsing the body")
    return None


def _is_public(method: str, path: str) -> bool:
    # OPTIONS needs no key on any path, since preflights have none.
    return method == "OPTIONS" or path == "/token" or (method in {"GET", "HEAD"} and path in _PUBLIC_PATHS)


def _has_access(state: ReflexioState, context: RequestContext) -> bool:
    """Whether the request has a valid key or token. Without keys: whether it comes from this machine."""
    if not state.settings.guarded:
        return _is_local(context)
    scheme, _, bearer = context.record.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and state.accepts(bearer)


def _is_local(context: RequestContext) -> bool:
    """Whether client, Host and Origin are this machine, and no proxy forwarded the request."""
    headers = context.record.headers
    origin = headers.get("Origin")
    if any(name in headers for name in _FORWARDING_HEADERS):
        return False
    try:
        page = urlsplit(origin) if origin else None
        hosts = [context.client, urlsplit(f"//{headers.get('Host', '')}").hostname]
        if page is not None:
            hosts.append(page.hostname if page.scheme in {"http", "https"} else None)
        return all(host == "localhost" or ip_address(host or "").is_loopback for host in hosts)
    except ValueError:
        return False
