"""Who the caller is to the server, and whether the server is well."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from reflexio_async._engine.models import Empty, RequestModel
from reflexio_async._engine.routing.route import Route
from reflexio_async._engine.wire import Endpoint, model
from reflexio_async.reflexio.models.identity import (
    MarkNotifiedResponse,
    MyConfigResponse,
    ServerVersion,
    StallStateResponse,
    Token,
    WhoamiResponse,
)


class LoginForm(RequestModel):
    """The OAuth2 password form of ``POST /token``."""

    username: str
    password: str = Field(repr=False)


LOGIN = Endpoint("POST", "/token", repeatable=True, public=True, form=True, per_minute=5)
TOKEN = model(Token)


class IdentityAPI:
    """The organisation behind the credential, and the server's health."""

    whoami = Route("GET", "/api/whoami", Empty, WhoamiResponse)
    """The organisation behind the credential, and where its data is kept."""

    health = Route("GET", "/health", Empty, dict[str, str])
    """What the server says of its health; answered without a credential."""

    health_live = Route("GET", "/health/live", Empty, dict[str, Any], public=True)
    """Whether the server's process answers at all."""

    health_ready = Route("GET", "/health/ready", Empty, dict[str, Any], public=True)
    """Whether the server can work."""

    healthz = Route("GET", "/healthz", Empty, dict[str, Any], public=True)
    """Whether the server can work, by another name."""

    healthz_eval = Route("GET", "/healthz/eval", Empty, dict[str, Any])
    """Whether evaluation can work."""

    get_root = Route("GET", "/", Empty, dict[str, Any], public=True)
    """What the server says at its root."""

    get_version = Route("GET", "/meta/version", Empty, ServerVersion, public=True)
    """The server's version; January servers have no such route."""

    get_my_config = Route("GET", "/api/my_config", Empty, MyConfigResponse, refusal="return")
    """Where the caller's data is and with which credentials; ``success`` is False where that is not allowed.

    Credentials stay masked in reprs, logs and dumps: ``.get_secret_value()`` reads one.
    """

    get_stall_state = Route("GET", "/stall_state", Empty, StallStateResponse)
    """Whether learning stands still because of the provider's bill or key."""

    mark_stall_notified = Route("POST", "/stall_state/notified", Empty, MarkNotifiedResponse, repeatable=True)
    """Acknowledge a stall, so that it is not reported again."""
