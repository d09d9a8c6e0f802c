"""The configuration of an organisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reflexio_async._engine.models import Empty
from reflexio_async._engine.routing.route import Route
from reflexio_async._engine.wire import Endpoint, build_request, model
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflexio.models.config import Config, ConfigBody, SetConfigResponse
from reflexio_async.reflexio.models.identity import AdminInvalidateCacheRequest, of_organisation

if TYPE_CHECKING:
    from reflexio_async._engine.engine import Engine, HasEngine

SET_CONFIG = Endpoint("POST", "/api/set_config", repeatable=True, per_minute=10)
UPDATE_CONFIG = Endpoint("POST", "/api/update_config", repeatable=True, per_minute=10)


class ConfigAPI:
    """Reading and changing the configuration."""

    get_config = Route("GET", "/api/get_config", Empty, Config)
    """The configuration. Its parts are read by attribute, checked when assigned, and take mappings:
    ``config.llm_config = {"generation_model_name": "…"}``. Send it back with ``set_config``.
    """

    invalidate_cache = Route(
        "POST",
        "/api/admin/cache/invalidate",
        of_organisation,
        dict[str, Any],
        model=AdminInvalidateCacheRequest,
        repeatable=True,
    )
    """Have the server drop what it keeps in memory of an organisation (the caller's, without ``org_id``)."""

    async def set_config(self: HasEngine, config: Config | Mapping[str, Any]) -> dict[str, Any]:
        """Replace the configuration; what ``config`` leaves out gets the server's default.

        ``config`` is a ``Config``, as ``get_config`` returns it, or a mapping of some of its parts. The
        server insists on ``storage_config``: the present one is kept when it is left out. The text of the
        answer is in ``msg`` and in ``message``.

        Raises:
            InvalidRequest: A part is unknown or has an unusable value; the message names it.
        """
        body = _checked(config).to_wire()
        engine = self.engine
        if "storage_config" not in body:
            row = ConfigAPI.get_config
            present = (await row.send(engine, Empty())).to_wire()
            body["storage_config"] = present.get("storage_config")
        answer = await _post(engine, SET_CONFIG, body)
        return {**answer, "message": answer.get("msg")}

    async def update_config(self: HasEngine, partial: dict[str, Any]) -> dict[str, Any]:
        """Change the top-level keys in ``partial``, and leave the others as they are.

        Raises:
            TypeError: ``partial`` is not a dict.
            UnprocessableRequest: The server refused a value; the message names it.
        """
        if not isinstance(partial, dict):
            message = f"update_config takes a dict of the keys to change, not {type(partial).__name__}"
            raise TypeError(message)
        return await _post(self.engine, UPDATE_CONFIG, partial)


def _checked(config: Config | Mapping[str, Any]) -> Config:
    checked = build_request(Config, config, "set_config")
    if isinstance(config, Mapping) and checked.model_extra:
        # A Config may hold what a newer server sent; a mapping was written by hand.
        message = f"set_config: {', '.join(checked.model_extra)}: unknown"
        raise InvalidRequest(message)
    return checked


async def _post(engine: Engine, endpoint: Endpoint, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = model(SetConfigResponse)
    response = await engine.caller.call(endpoint, ConfigBody(dict(body)), answer, engine.settings)
    return response.model_dump()
