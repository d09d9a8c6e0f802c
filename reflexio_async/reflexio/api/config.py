"""The configuration of an organisation."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel, SecretStr, ValidationError

from reflexio_async._engine.engine import API
from reflexio_async._engine.models import REVEAL, Empty, build_request, drop_none
from reflexio_async._engine.validation import did_you_mean
from reflexio_async._engine.wire import Endpoint
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflexio.models.config import Config, ConfigBody, SetConfigResponse
from reflexio_async.reflexio.models.config_storage import ConfigPart
from reflexio_async.reflexio.models.identity import AdminInvalidateCacheRequest
from reflexio_async.reflexio.models.masks import masks_in

GET_CONFIG = Endpoint("GET", "/api/get_config", Config)
SET_CONFIG = Endpoint(
    "POST", "/api/set_config", SetConfigResponse, repeatable=True, writes=True, per_minute=10
)
UPDATE_CONFIG = Endpoint(
    "POST", "/api/update_config", SetConfigResponse, repeatable=True, writes=True, per_minute=10
)
INVALIDATE_CACHE = Endpoint(
    "POST", "/api/admin/cache/invalidate", dict[str, Any], repeatable=True, writes=True
)

# update_config accepts these older names, and then keeps the present value of the new one.
_OLDER_NAMES = {
    "batch_size": "window_size",
    "batch_interval": "stride_size",
    "extraction_window_size": "window_size",
    "extraction_window_stride": "stride_size",
}
_ALMOST = 0.8  # how alike a misspelt key and the right one are


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
            InvalidRequest: A part is unknown or has an unusable value, or a mask (``**********``) stands in
                place of a credential; the message names it. Nothing was sent.
        """
        body = set_config_body(config)
        deadline = self._deadline()
        if "storage_config" not in body:
            body["storage_config"] = await self._storage_config(deadline)
        response = (await self._send(SET_CONFIG, ConfigBody(**body), deadline=deadline)).model_dump()
        return {**response, "message": response.get("msg")}

    async def _storage_config(self, deadline: float) -> Any:
        """The part ``storage_config`` of the present configuration. ``deadline``: that of the whole call."""
        present = await self._send(GET_CONFIG, Empty(), deadline=deadline)
        return present.to_wire().get("storage_config")

    async def update_config(self, partial: dict[str, Any]) -> dict[str, Any]:
        """Change the top-level keys that are in ``partial``. The others stay as they are.

        Raises:
            TypeError: ``partial`` is not a dict.
            InvalidRequest: A key is misspelt, or a mask (``**********``) stands in place of a credential; the
                message names it. Nothing was sent.
            UnprocessableRequest: The server refused a value; the message names it.
        """
        if not isinstance(partial, dict):
            message = f"update_config takes a dict of the keys to change, not {type(partial).__name__}"
            raise TypeError(message)
        body: dict[str, Any] = {str(name): _in_clear(value) for name, value in partial.items()}
        _refuse_masks("update_config", body)
        _refuse_misspelt("update_config", body)
        return (await self._send(UPDATE_CONFIG, ConfigBody(**body))).model_dump()


def set_config_body(
    config: ConfigPart | Mapping[str, Any],
    config_class: type[ConfigPart] = Config,
    older_names: Mapping[str, str] = _OLDER_NAMES,
) -> dict[str, Any]:
    """The body of ``set_config`` for ``config``: a ``config_class``, or a mapping of some of its parts.

    Raises:
        InvalidRequest: A part is unknown or has an unusable value, a key is one of ``older_names``, or a mask
            stands in place of a credential.
    """
    checked = build_request(config_class, config, "set_config")
    if isinstance(config, Mapping):
        # A model may hold what a newer server sent; a mapping was written by hand.
        _refuse_misspelt("set_config", config, config_class, older_names)
        if checked.model_extra:
            message = f"set_config: {', '.join(checked.model_extra)}: unknown"
            raise InvalidRequest(message)
    body = checked.to_wire()
    _refuse_masks("set_config", body)
    return body


def _in_clear(value: Any) -> Any:
    """``value`` as plain JSON: parts as they are sent, with secrets in clear."""
    if isinstance(value, ConfigPart):
        return value.to_wire()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True, context=REVEAL)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {name: _in_clear(part) for name, part in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_in_clear(part) for part in cast("list[Any]", value)]
    return value


def _refuse_masks(name: str, body: dict[str, Any]) -> None:
    """Raise InvalidRequest where a mask would overwrite a credential.

    Servers store a mask as it is given (server-behaviour: Configuration).
    """
    if places := list(masks_in(body)):
        message = (
            f"{name}: {', '.join(places)}: a mask, not the credential. Dumps have masks; "
            "config.to_wire() has the credentials, and so has get_secret_value() of a field"
        )
        raise InvalidRequest(message)


def _refuse_misspelt(
    name: str,
    given: Mapping[str, Any],
    config_class: type[ConfigPart] = Config,
    older_names: Mapping[str, str] = _OLDER_NAMES,
) -> None:
    """Raise InvalidRequest for an older name, and in any part for a key that is almost a known one.

    Other unknown keys may be those of a newer server.
    """
    for older, now in older_names.items():
        if older in given:
            message = f"{name}: {older}: servers ignore this older name; use {now}"
            raise InvalidRequest(message)
    try:
        known = config_class.model_validate(given)
    except ValidationError:
        return  # the server names what is unusable
    if found := list(_misspelt(known)):
        raise InvalidRequest(f"{name}: " + "; ".join(found))


def _misspelt(part: ConfigPart, where: str = "") -> Iterator[str]:
    for name in part.model_extra or {}:
        if hint := did_you_mean(name, type(part).model_fields, cutoff=_ALMOST):
            yield f"{where}{name}: no such field{hint}"
    for name, value in part:
        if name in part.model_fields_set:
            parts: list[Any] = cast("Any", value) if isinstance(value, list) else [value]
            for each in parts:
                if isinstance(each, ConfigPart):
                    yield from _misspelt(each, f"{where}{name}.")
