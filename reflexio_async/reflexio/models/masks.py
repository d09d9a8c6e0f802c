"""Credentials in parts of the configuration that this release does not know: hidden when they are shown.

A field that is known to hold a credential is a ``Secret``. What is unknown is judged by its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import SecretStr

MASK = str(SecretStr("any text"))
"""What is shown in place of a credential."""

_LOOKS_SECRET = re.compile(
    r"key|secret|token|passw|credential|auth|dsn|private|db_url|connection", re.IGNORECASE
)
_HARMLESS = ("type", "db_path", "dir_path", "schema")
_HAS_PASSWORD = re.compile(r"://[^/\s]*@")
_IS_MASK = re.compile(r"\*{3,}")


def masked(value: Any, name: str = "", *, everything: bool = False) -> Any:
    """``value`` as it may be shown.

    Args:
        value: A value of JSON.
        name: Its key. Texts below a key that sounds like a credential are masked.
        everything: Mask every text whose key is not known to be harmless.
    """
    hide = everything or bool(_LOOKS_SECRET.search(name))
    if isinstance(value, str):
        hide = hide and name not in _HARMLESS
        return MASK if value and (hide or _HAS_PASSWORD.search(value)) else value
    if isinstance(value, Mapping):
        parts = cast("dict[Any, Any]", value)
        return {key: masked(part, str(key), everything=hide) for key, part in parts.items()}
    if isinstance(value, list | tuple):
        return [masked(part, name, everything=hide) for part in cast("list[Any]", value)]
    return value


def masks_in(value: Any, where: str = "") -> Iterator[str]:
    """The places in ``value``, a value of JSON, where a mask stands in place of a credential."""
    if isinstance(value, str):
        if _IS_MASK.fullmatch(value):
            yield where
    elif isinstance(value, Mapping):
        parts = cast("dict[Any, Any]", value)
        for key, part in parts.items():
            yield from masks_in(part, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for position, part in enumerate(cast("list[Any]", value)):
            yield from masks_in(part, f"{where}.{position}")


class Credentials(dict[str, Any]):
    """A dict whose values are credentials: in clear by key, masked in its repr."""

    def __repr__(self) -> str:
        return repr(masked(self, everything=True))

    __str__ = __repr__
