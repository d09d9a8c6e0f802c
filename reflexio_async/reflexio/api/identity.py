"""Identity: the organisation behind the credential, and the health and version of the server."""

from typing import Any

from reflexio_async._engine.engine import API
from reflexio_async._engine.models import Empty
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.models.identity import (
    LoginResponse,
    MarkNotifiedResponse,
    MyConfigResponse,
    ServerVersion,
    StallStateResponse,
    WhoamiResponse,
)

LOGIN = Endpoint("POST", "/token", LoginResponse, repeatable=True, public=True, form=True, per_minute=5)

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
MARK_STALL_NOTIFIED = Endpoint(
    "POST", "/stall_state/notified", MarkNotifiedResponse, repeatable=True, writes=True
)


class IdentityAPI(API):
    """Calls about the caller and the server."""

    async def whoami(self) -> WhoamiResponse:
        """The organisation behind the credential, and where its data is stored."""
        return await self._send(WHOAMI, Empty())

    async def health(self) -> dict[str, str]:
        """The server's health. A server answers it without a credential, too."""
        return await self._send(HEALTH, Empty())

    async def health_live(self) -> dict[str, Any]:
        """Whether the server's process is alive."""
        return await self._send(HEALTH_LIVE, Empty())

    async def health_ready(self) -> dict[str, Any]:
        """Whether the server is ready for calls."""
        return await self._send(HEALTH_READY, Empty())

    async def healthz(self) -> dict[str, Any]:
        """The same as ``health_ready``, under another path, with the id of the process."""
        return await self._send(HEALTHZ, Empty())

    async def healthz_eval(self) -> dict[str, Any]:
        """The health of evaluation: how many sessions were skipped, by reason."""
        return await self._send(HEALTHZ_EVAL, Empty())

    async def get_root(self) -> dict[str, Any]:
        """The response of the server's root path: its name and its paths."""
        return await self._send(GET_ROOT, Empty())

    async def get_version(self) -> ServerVersion:
        """The server's version. Raises NotFound at January's servers."""
        return await self._send(GET_VERSION, Empty())

    async def get_my_config(self) -> MyConfigResponse:
        """Where the caller's data is stored, and with which credentials.

        ``success`` is False where the server does not allow it. ``storage_config`` is a dict with the
        credentials in clear; they are masked in reprs, logs and dumps of the response.
        """
        return await self._send(GET_MY_CONFIG, Empty())

    async def get_stall_state(self) -> StallStateResponse:
        """Whether learning has stopped because the model provider refused the server's key or credit."""
        return await self._send(GET_STALL_STATE, Empty())

    async def mark_stall_notified(self) -> MarkNotifiedResponse:
        """Acknowledge that learning has stopped, so that it is not reported again."""
        return await self._send(MARK_STALL_NOTIFIED, Empty())
