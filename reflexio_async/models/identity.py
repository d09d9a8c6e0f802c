"""Who the caller is to the server, and what the server is."""

from __future__ import annotations

from pydantic import Field

from reflexio_async.models.base import ResponseModel


class WhoamiResponse(ResponseModel):
    """The organisation behind the credential, and where its data is."""

    success: bool
    org_id: str
    storage_type: str | None = None
    storage_label: str | None = None
    storage_configured: bool = False
    message: str = ""


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
