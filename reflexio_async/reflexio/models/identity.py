"""Identity: the organisation behind the credential, and the health and version of the server."""

from datetime import datetime
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field, PlainSerializer

from reflexio_async._engine.models import RequestModel, ResponseModel
from reflexio_async.reflexio.models.masks import MASK, Credentials, masked
from reflexio_async.reflexio.responses import MessageResponse


def _masked(credentials: dict[str, Any]) -> dict[str, Any]:
    return cast("dict[str, Any]", masked(credentials, everything=True))


_LONGEST_TOKEN = 8192
"""Characters. Servers and proxies refuse headers that are longer."""


def _sendable(token: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token:
        message = "must be printable ASCII text without spaces: it is sent in a header"
        raise ValueError(message)
    return token


StorageCredentials = Annotated[dict[str, Any], AfterValidator(Credentials), PlainSerializer(_masked)]
"""Values in clear by key, masked in reprs and dumps."""


class WhoamiResponse(MessageResponse):
    """The organisation behind the credential, and where its data is stored."""

    org_id: str
    storage_type: str | None = None
    storage_label: str | None = None
    storage_configured: bool = False


class LoginForm(RequestModel, title="login"):
    """The form of a login: an OAuth2 password form."""

    email: str = Field(serialization_alias="username")
    password: str = Field(repr=False)


class LoginResponse(ResponseModel):
    """The response of a login. ``api_key`` is the bearer token: hidden in reprs, masked in dumps."""

    api_key: Annotated[
        str,
        Field(repr=False, min_length=1, max_length=_LONGEST_TOKEN),
        AfterValidator(_sendable),
        PlainSerializer(lambda _: MASK),
    ]
    token_type: str
    auto_verified: bool | None = None


class ServerVersion(ResponseModel):
    """The versions of the server and its API."""

    server_version: str
    api_version: str | None = None
    min_client_version: str | None = None


class StallStateResponse(ResponseModel):
    """Whether learning has stopped, and why."""

    stalled: bool
    error_message: str | None = None
    notified_in_cc: bool = False
    reason: str | None = None
    reset_estimate: datetime | None = None
    stalled_at: datetime | None = None


class MarkNotifiedResponse(ResponseModel):
    """Whether it is acknowledged that learning has stopped."""

    notified_in_cc: bool


class AdminInvalidateCacheRequest(RequestModel, title="invalidate_cache"):
    """Names the organisation whose cached data the server drops."""

    org_id: str | None = None


class AdminInvalidateCacheResponse(ResponseModel):
    """Whether there was cached data to drop."""

    invalidated: bool
    org_id: str


class MyConfigResponse(MessageResponse):
    """Where the caller's data is stored, and its credentials.

    ``storage_config`` is a dict with the values in clear: ``answer.storage_config["db_url"]``. Its repr, and
    dumps of this response, have masks.
    """

    storage_type: str | None = None
    storage_config: StorageCredentials | None = None
