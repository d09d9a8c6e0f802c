"""Who the caller is to the server, and what the server is."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from reflexio_async._engine.models import RequestModel, ResponseModel
from reflexio_async.reflexio.models.config_storage import StorageConfig


class WhoamiResponse(ResponseModel):
    """The organisation behind the credential, and where its data is."""

    success: bool
    org_id: str
    storage_type: str | None = None
    storage_label: str | None = None
    storage_configured: bool = False
    message: str = ""


class LoginForm(RequestModel, title="login"):
    """The form of a login: an OAuth2 password form."""

    email: str = Field(serialization_alias="username")
    password: str = Field(repr=False)


class Token(ResponseModel):
    """The answer of a login; ``api_key`` is the bearer token and stays out of reprs."""

    api_key: str = Field(repr=False)
    token_type: str
    auto_verified: bool | None = None


class ServerVersion(ResponseModel):
    """What the server says of itself."""

    server_version: str
    api_version: str | None = None
    min_client_version: str | None = None


class StallStateResponse(ResponseModel):
    """Whether learning stands still, and why."""

    stalled: bool
    error_message: str | None = None
    notified_in_cc: bool = False
    reason: str | None = None
    reset_estimate: datetime | None = None
    stalled_at: datetime | None = None


class MarkNotifiedResponse(ResponseModel):
    """Whether the stall is acknowledged."""

    notified_in_cc: bool


class AdminInvalidateCacheRequest(RequestModel, title="invalidate_cache"):
    """Whose server-side cache to drop."""

    org_id: str | None = None


class AdminInvalidateCacheResponse(ResponseModel):
    """Whether there was something to drop."""

    invalidated: bool
    org_id: str


class MyConfigResponse(ResponseModel):
    """Where the caller's data is, with the credentials for it, which stay masked until they are asked for."""

    success: bool
    message: str = ""
    storage_type: str | None = None
    storage_config: StorageConfig | None = None
