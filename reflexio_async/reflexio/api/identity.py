"""Who the caller is to the server, and whether the server is well."""

from typing import Any

from reflexio_async._engine.engine import API
from reflexio_async._engine.models import Empty
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.models.identity import (
    MarkNotifiedResponse,
    MyConfigResponse,
    ServerVersion,
    StallStateResponse,
    Token,
    WhoamiResponse,
)

LOGIN = Endpoint("POST", "/token", Token, repeatable=True, public=True, form=True, per_minute=5)

WHOAMI = Endpoint("GET", "/api/whoami", WhoamiResponse)
HEALTH = Endpoint("GET", "/health", dict[str, str])
HEALTH_LIVE = Endpoint("GET", "/health/live", dict[str, Any], public=True)
HEALTH_READY = Endpoint("GET", "/health/ready", dict[str, Any], public=True)
HEALTHZ = Endpoint("GET", "/healthz", dict[str, Any], public=True)
HEALTHZ_EVAL = Endpoint("GET", "/healthz/eval", dict[str, Any])
GET_ROOT = Endpoint("GET", "/", dict[str, Any], public=True)
GET_VERSION = Endpoint("GET", "/meta/version", ServerVersion, public=True)
GET_MY_CONFIG = Endpoint("GET", "/api/my_config", MyConfigResponse, refusal="return")
GET_STALL_STATE = Endpoint("GET", "/stall_state", StallStateResponse)
MARK_STALL_NOTIFIED = Endpoint("POST", "/stall_state/notified", MarkNotifiedResponse, repeatable=True)


class IdentityAPI(API):
    """The organisation behind the credential, and the server's health."""

    async def whoami(self) -> WhoamiResponse:
        """The organisation behind the credential, and where its data is kept."""
        return await self._send(WHOAMI, Empty())

    async def health(self) -> dict[str, str]:
        """What the server says of its health; answered without a credential."""
        return await self._send(HEALTH, Empty())

    async def health_live(self) -> dict[str, Any]:
        """Whether the server's process answers at all."""
        return await self._send(HEALTH_LIVE, Empty())

    async def health_ready(self) -> dict[str, Any]:
        """Whether the server can work."""
        return await self._send(HEALTH_READY, Empty())

    async def healthz(self) -> dict[str, Any]:
        """Whether the server can work, by another name."""
        return await self._send(HEALTHZ, Empty())

    async def healthz_eval(self) -> dict[str, Any]:
        """Whether evaluation can work."""
        return await self._send(HEALTHZ_EVAL, Empty())

    async def get_root(self) -> dict[str, Any]:
        """What the server says at its root."""
        return await self._send(GET_ROOT, Empty())

    async def get_version(self) -> ServerVersion:
        """The server's version; January servers have no such route."""
        return await self._send(GET_VERSION, Empty())

    async def get_my_config(self) -> MyConfigResponse:
        """Where the caller's data is and with which credentials; ``success`` is False where that is not allowed.

        Credentials stay masked in reprs, logs and dumps: ``.get_secret_value()`` reads one.
        """
        return await self._send(GET_MY_CONFIG, Empty())

    async def get_stall_state(self) -> StallStateResponse:
        """Whether learning stands still because of the provider's bill or key."""
        return await self._send(GET_STALL_STATE, Empty())

    async def mark_stall_notified(self) -> MarkNotifiedResponse:
        """Acknowledge a stall, so that it is not reported again."""
        return await self._send(MARK_STALL_NOTIFIED, Empty())
