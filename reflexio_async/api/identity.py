"""Who the caller is to the server, and whether the server is well."""

from __future__ import annotations

from pydantic import Field

from reflexio_async.core.wire import Endpoint, model
from reflexio_async.models.base import Empty, RequestModel
from reflexio_async.models.identity import Token, WhoamiResponse
from reflexio_async.routing.route import Route


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
