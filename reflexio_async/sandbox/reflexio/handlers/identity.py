"""Health, version, login, identity, and whether learning has stopped."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import parse_qs

from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import Response, ValidationFailed, error_response, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.configuration import ORGANISATION

routes: Final = Router()


@routes.get("/")
async def root() -> Response:
    """The service's name."""
    return Response({"service": "Reflexio API", "docs": "/docs", "health": "/health"})


@routes.get("/health")
@routes.get("/health/ready")
async def healthy() -> Response:
    """Whether the server is ready."""
    return Response({"status": "healthy"})


@routes.get("/health/live")
async def alive() -> Response:
    """Whether the server runs."""
    return Response({"status": "alive"})


@routes.get("/healthz")
async def process_health(state: ReflexioState) -> Response:
    """Facts about the process."""
    uptime = state.clock.now() - state.started_at
    return Response(
        {"pid": os.getpid(), "uptime_sec": uptime, "request_count": state.requests, "rss_mb": None}
    )


@routes.get("/healthz/eval")
async def evaluation_health() -> Response:
    """The evaluation worker. The sandbox has none."""
    reasons = ("already_evaluated", "no_requests", "not_yet_complete", "no_interactions", "no_data_models")
    learning = {
        "outcome_counts": dict[str, int](),
        "invalid_ref_count": 0,
        "failed_relevance_chunks": 0,
        "failed_impact_chunks": 0,
    }
    return Response(
        {
            "skip_counts": dict.fromkeys((*reasons, "cutover_not_found"), 0),
            "producer_failures_24h": 0,
            "last_tick_monotonic": None,
            "retrieved_learning": learning,
            "liveness": "red",
        }
    )


@routes.get("/meta/version")
async def version() -> Response:
    """The server's version."""
    return Response({"server_version": "0.0.0-dev", "api_version": "v1", "min_client_version": "0.1.0"})


@routes.get("/stall_state")
async def stall_state(state: ReflexioState) -> Response:
    """Whether learning has stopped."""
    return Response(state.stall.view())


@routes.post("/stall_state/notified")
async def stall_notified(state: ReflexioState) -> Response:
    """Remember that the user knows about a stall, if there is one."""
    state.stall.notified_in_cc = state.stall.stalled
    return Response({"notified_in_cc": state.stall.notified_in_cc})


@routes.get("/api/whoami")
async def whoami() -> Response:
    """The organisation of the caller."""
    return succeeded(
        org_id=ORGANISATION,
        storage_type="sqlite",
        storage_label="<default sqlite>",
        storage_configured=True,
        message="",
    )


@routes.post("/token", per_minute=5)
async def token(state: ReflexioState, context: RequestContext) -> Response:
    """Exchange an email and a password for a bearer token. Without logins this route does not exist."""
    logins = state.settings.logins
    if not logins:
        return error_response(404, "Not Found")
    form = parse_qs(context.raw_body.decode(errors="replace"))
    if missing := [name for name in ("username", "password") if name not in form]:
        raise ValidationFailed(
            [
                {"type": "missing", "loc": ["body", name], "msg": "Field required", "input": None}
                for name in missing
            ]
        )
    if logins.get(form["username"][0]) != form["password"][0]:
        return error_response(401, "Incorrect username or password", {"WWW-Authenticate": "Bearer"})
    return Response(
        {
            "api_key": state.issue_token(),
            "token_type": "bearer",
            "feature_flags": {},
            "auto_verified": True,
        }
    )
