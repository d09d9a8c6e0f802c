"""What a value given to the sandbox must be, by the words in which an error says so."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_FURTHEST: Final = 1e10
"""Seconds by which a wall clock may be off, some three centuries: what it shows must remain a date."""

_METHODS: Final = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
_FRAMING: Final = {"content-length", "transfer-encoding"}
"""Headers that say how long the body is, which the sandbox knows best."""

NAME: Final = re.compile(r"\{\w+\}")
"""What stands for one segment of a path."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _printable(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _path(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"/[^?{}]*", NAME.sub("", value)))


def _headers(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    table = cast("Mapping[str, Any]", value)
    return all(_header_name(name) and _printable(text) for name, text in table.items())


def _header_name(name: Any) -> bool:
    return (
        isinstance(name, str)
        and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) is not None
        and name.lower() not in _FRAMING
    )


def _json(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _text(value: Any) -> bool:
    return isinstance(value, str) and not _SURROGATE.search(value)


def _filled(value: Any) -> bool:
    return _text(value) and bool(value.strip())


def _texts(value: Any) -> bool:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return False
    return all(map(_text, cast("Sequence[object]", value)))


def _metadata(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return value is None
    names = cast("Mapping[str, Any]", value)
    return all(map(_text, names)) and _json(dict(names))


_FITS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "text": lambda value: isinstance(value, str),
    "true or false": lambda value: isinstance(value, bool),
    "any number": lambda value: _number(value) and abs(value) <= _FURTHEST,
    "a number": lambda value: _number(value) and value >= 0,
    "a number from 0 to 1": lambda value: _number(value) and 0 <= value <= 1,
    "a whole number": lambda value: _whole(value) and value >= 0,
    "a whole number of any sign": _whole,
    'a whole number from 1, or "always"': lambda value: value == "always" or (_whole(value) and value >= 1),
    "a whole number from 1": lambda value: _whole(value) and value >= 1,
    "a method": lambda value: isinstance(value, str) and value.upper() in _METHODS,
    "a path": _path,
    "a status code": lambda value: _whole(value) and 200 <= value <= 599,
    "a media type": lambda value: _printable(value) and value != "",
    "a table": _headers,
    "anything": _json,
    "stored text": _text,
    "text or None": lambda value: value is None or _text(value),
    "text that is not blank": _filled,
    "texts, at least one and none blank": lambda value: bool(value) and all(map(_filled, value)),
    "a list of texts": _texts,
    "billing_error, auth_error or None": lambda value: value in (None, "billing_error", "auth_error"),
    "pending, archived or None": lambda value: value in (None, "pending", "archived"),
    "pending, approved or rejected": lambda value: value in ("pending", "approved", "rejected"),
    "JSON by names, or None": _metadata,
    "True, False or None": lambda value: value is None or isinstance(value, bool),
    "a number from 0 to 1, or None": lambda value: value is None or (_number(value) and 0 <= value <= 1),
}
_SAID: Final = {
    "stored text": "text",
    "any number": "a number from -1e10 to 1e10",
    "a whole number from 1": "a whole number from 1, or None for always",
    "a method": f"one of {', '.join(sorted(_METHODS))}",
    "a path": 'text that begins with "/", without a query',
    "a number": "a number, 0 or more",
    "a whole number": "a whole number, 0 or more",
    "a status code": "a status code from 200 to 599",
    "a media type": 'text such as "text/plain"',
    "a table": "a table of texts by names of headers, without Content-Length and Transfer-Encoding",
    "anything": "what JSON can say",
}


def misfit(expected: str, value: Any) -> str | None:
    """What to say of a ``value`` that is not what was ``expected``; None when it is."""
    if _FITS[expected](value):
        return None
    return f"expected {_SAID.get(expected, expected)}, not {shown(value)}"


def check(place: str, expected: str, value: Any) -> None:
    """Raise ValueError, which begins with ``place``, unless ``value`` is what was ``expected``."""
    if wrong := misfit(expected, value):
        message = f"{place}: {wrong}"
        raise ValueError(message)


def check_all(place: str, **given: tuple[Any, str]) -> None:
    """``check`` each value, given by name with what is expected of it."""
    for name, (value, expected) in given.items():
        check(f"{place}: {name}", expected, value)


def shown(value: Any) -> str:
    """For messages."""
    try:
        return f"{value!r:.200}"
    except (ValueError, RecursionError):  # a number of too many digits, a list that is too deep
        return f"this {type(value).__name__}"
