"""Health, identity and login."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from reflexio_async.sandbox.http.responses import Invalid, Reply, problem

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.common import Nothing
    from reflexio_async.sandbox.reflexio.state import World


async def root(_world: World, _call: Call, _body: Nothing) -> Reply:
    """What this is."""
    return Reply({"service": "Reflexio API", "docs": "/docs", "health": "/health"})


async def healthy(_world: World, _call: Call, _body: Nothing) -> Reply:
    """Ready to serve."""
    return Reply({"status": "healthy"})


async def alive(_world: World, _call: Call, _body: Nothing) -> Reply:
    """Running."""
    return Reply({"status": "alive"})


async def process(world: World, _call: Call, _body: Nothing) -> Reply:
    """The process itself."""
    uptime = world.clock.now() - world.started_at
    return Reply({"pid": os.getpid(), "uptime_sec": uptime, "request_count": world.requests, "rss_mb": None})


async def evaluation_health(_world: World, _call: Call, _body: Nothing) -> Reply:
    """The evaluation worker, which nothing ever goes through."""
    reasons = ("already_evaluated", "no_requests", "not_yet_complete", "no_interactions", "no_data_models")
    learning = {
        "outcome_counts": dict[str, int](),
        "invalid_ref_count": 0,
        "failed_relevance_chunks": 0,
        "failed_impact_chunks": 0,
    }
    return Reply(
        {
            "skip_counts": dict.fromkeys((*reasons, "cutover_not_found"), 0),
            "producer_failures_24h": 0,
            "last_tick_monotonic": None,
            "retrieved_learning": learning,
            "liveness": "red",
        }
    )


async def stall_state(world: World, _call: Call, _body: Nothing) -> Reply:
    """Whether learning has stalled."""
    return Reply(world.stall.view())


async def stall_notified(world: World, _call: Call, _body: Nothing) -> Reply:
    """Somebody was told, if there is something to tell."""
    world.stall.notified_in_cc = world.stall.stalled
    return Reply({"notified_in_cc": world.stall.notified_in_cc})


async def version(_world: World, _call: Call, _body: Nothing) -> Reply:
    """Which server this is."""
    return Reply({"server_version": "0.0.0-dev", "api_version": "v1", "min_client_version": "0.1.0"})


async def whoami(_world: World, _call: Call, _body: Nothing) -> Reply:
    """Whose data a credential opens."""
    return Reply(
        {
            "success": True,
            "org_id": "self-host-org",
            "storage_type": "sqlite",
            "storage_label": "<default sqlite>",
            "storage_configured": True,
            "message": "",
        }
    )


async def token(world: World, call: Call, _body: Nothing) -> Reply:
    """Trade an email and password for a bearer token; a server without logins has no such route."""
    logins = world.settings.logins
    if not logins:
        return problem(404, "Not Found")
    form = parse_qs(call.raw_body.decode(errors="replace"))
    if missing := [name for name in ("username", "password") if name not in form]:
        raise Invalid(
            [
                {"type": "missing", "loc": ["body", name], "msg": "Field required", "input": None}
                for name in missing
            ]
        )
    if logins.get(form["username"][0]) != form["password"][0]:
        return problem(401, "Incorrect username or password", {"WWW-Authenticate": "Bearer"})
    return Reply(
        {
            "api_key": world.issue_token(),
            "token_type": "bearer",
            "feature_flags": {},
            "auto_verified": True,
        }
    )
