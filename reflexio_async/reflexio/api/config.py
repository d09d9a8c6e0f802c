"""The configuration of an organisation."""

from collections.abc import Mapping
from typing import Any

from reflexio_async._engine.engine import API
from reflexio_async._engine.models import Empty, build_request, drop_none
from reflexio_async._engine.wire import Endpoint
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflexio.models.config import Config, ConfigBody, SetConfigResponse
from reflexio_async.reflexio.models.identity import AdminInvalidateCacheRequest

GET_CONFIG = Endpoint("GET", "/api/get_config", Config)
SET_CONFIG = Endpoint("POST", "/api/set_config", SetConfigResponse, repeatable=True, per_minute=10)
UPDATE_CONFIG = Endpoint("POST", "/api/update_config", SetConfigResponse, repeatable=True, per_minute=10)
INVALIDATE_CACHE = Endpoint("POST", "/api/admin/cache/invalidate", dict[str, Any], repeatable=True)


class ConfigAPI(API):
    """Calls about the configuration."""

    async def get_config(self) -> Config:
        """The configuration. Change it by attribute, and send it back with ``set_config``.

        Assigned values are checked. A part may be a mapping:
        ``config.llm_config = {"generation_model_name": "…"}``.
        """
        return await self._send(GET_CONFIG, Empty())

    async def invalidate_cache(self, org_id: str | None = None) -> dict[str, Any]:
        """Let the server drop what it has cached of an organisation.

        Args:
            org_id: The organisation; None: the caller's.
        """
        request = AdminInvalidateCacheRequest(**drop_none(org_id=org_id))
        return await self._send(INVALIDATE_CACHE, request)

    async def set_config(self, config: Config | Mapping[str, Any]) -> dict[str, Any]:
        """Replace the configuration. What ``config`` leaves out gets the server's default.

        The server requires ``storage_config``. When it is left out, the present one is read and sent.
        The text of the response is in ``msg`` and in ``message``.

        Args:
            config: A ``Config``, as ``get_config`` returns it, or a mapping of some of its parts.

        Raises:
            InvalidRequest: A part is unknown or has an unusable value; the message names it.
        """
        body = _checked(config).to_wire()
        if "storage_config" not in body:
            body["storage_config"] = (await self.get_config()).to_wire().get("storage_config")
        response = (await self._send(SET_CONFIG, ConfigBody(**body))).model_dump()
        return {**response, "message": response.get("msg")}

    async def update_config(self, partial: dict[str, Any]) -> dict[str, Any]:
        """Change the top-level keys that are in ``partial``. The others stay as they are.

        Raises:
            TypeError: ``partial`` is not a dict.
            UnprocessableRequest: The server refused a value; the message names it.
        """
        if not isinstance(partial, dict):
            message = f"update_config takes a dict of the keys to change, not {type(partial).__name__}"
            raise TypeError(message)
        return (await self._send(UPDATE_CONFIG, ConfigBody(**partial))).model_dump()


def _checked(config: Config | Mapping[str, Any]) -> Config:
    """``config`` as a Config; InvalidRequest when a mapping has unknown keys."""
    checked = build_request(Config, config, "set_config")
    if isinstance(config, Mapping) and checked.model_extra:
        # A Config may hold what a newer server sent; a mapping was written by hand.
        message = f"set_config: {', '.join(checked.model_extra)}: unknown"
        raise InvalidRequest(message)
    return checked
