"""Checks of values that tests give to the sandbox.

An expectation is a text such as ``"a number from 0 to 1"``. It names a check, and errors quote it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, cast

_LARGEST_SKEW: Final = 1e10
"""Seconds by which a wall clock may be off: some three centuries. Its time must remain a valid date."""

_METHODS: Final = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
_FRAMING: Final = {"content-length", "transfer-encoding"}
"""Headers about the length of the body. The sandbox sets them itself."""

PATH_PARAMETER: Final = re.compile(r"\{\w+\}")
"""Stands for one segment of a path."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_printable(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"/[^?{}]*", PATH_PARAMETER.sub("", value)))


def _are_headers(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    table = cast("Mapping[str, Any]", value)
    return all(_is_header_name(name) and _is_printable(text) for name, text in table.items())


def _is_header_name(name: Any) -> bool:
    return (
        isinstance(name, str)
        and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) is not None
        and name.lower() not in _FRAMING
    )


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not _SURROGATE.search(value)


def _is_filled(value: Any) -> bool:
    return _is_text(value) and bool(value.strip())


def _are_texts(value: Any) -> bool:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return False
    return all(map(_is_text, cast("Sequence[object]", value)))


def _is_metadata(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return value is None
    names = cast("Mapping[str, Any]", value)
    return all(map(_is_text, names)) and _is_json(dict(names))


_CHECKS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "text": lambda value: isinstance(value, str),
    "true or false": lambda value: isinstance(value, bool),
    "any number": lambda value: _is_number(value) and abs(value) <= _LARGEST_SKEW,
    "a number": lambda value: _is_number(value) and value >= 0,
    "a number from 0 to 1": lambda value: _is_number(value) and 0 <= value <= 1,
    "a whole number": lambda value: _is_whole(value) and value >= 0,
    "a whole number of any sign": _is_whole,
    'a whole number from 1, or "always"': lambda value: (
        value == "always" or (_is_whole(value) and value >= 1)
    ),
    "a whole number from 1": lambda value: _is_whole(value) and value >= 1,
    "a method": lambda value: isinstance(value, str) and value.upper() in _METHODS,
    "a path": _is_path,
    "a status code": lambda value: _is_whole(value) and 200 <= value <= 599,
    "a media type": lambda value: _is_printable(value) and value != "",
    "a table": _are_headers,
    "anything": _is_json,
    "stored text": _is_text,
    "text or None": lambda value: value is None or _is_text(value),
    "text that is not blank": _is_filled,
    "texts, at least one and none blank": lambda value: bool(value) and all(map(_is_filled, value)),
    "a list of texts": _are_texts,
    "billing_error, auth_error or None": lambda value: value in (None, "billing_error", "auth_error"),
    "pending, archived or None": lambda value: value in (None, "pending", "archived"),
    "pending, approved or rejected": lambda value: value in ("pending", "approved", "rejected"),
    "JSON by names, or None": _is_metadata,
    "True, False or None": lambda value: value is None or isinstance(value, bool),
    "a number from 0 to 1, or None": lambda value: value is None or (_is_number(value) and 0 <= value <= 1),
}
"""By expectation, whether a value meets it."""

_WORDING: Final = {
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
    "anything": "a JSON value",
}
"""What errors call an expectation, where not by its name."""


def problem_of(expectation: str, value: Any) -> str | None:
    """What is wrong with ``value``; None when it meets the expectation."""
    if _CHECKS[expectation](value):
        return None
    return f"expected {_WORDING.get(expectation, expectation)}, not {shown(value)}"


def check(place: str, expectation: str, value: Any) -> None:
    """Raise ValueError, starting with ``place``, unless ``value`` meets the expectation."""
    if problem := problem_of(expectation, value):
        message = f"{place}: {problem}"
        raise ValueError(message)


def check_all(place: str, **given: tuple[Any, str]) -> None:
    """``check`` several arguments. By name: the value and the expectation."""
    for name, (value, expectation) in given.items():
        check(f"{place}: {name}", expectation, value)


def shown(value: Any) -> str:
    """A value as messages show it: at most 200 characters."""
    try:
        return f"{value!r:.200}"
    except (ValueError, RecursionError):  # a number with too many digits, or a list nested too deep
        return f"this {type(value).__name__}"


def check_type(name: str, given: Any, kind: type[Any], wanted: str, *, secret: bool = False) -> None:
    """Raise TypeError unless an option is of this type. A ``secret`` is not shown."""
    if not isinstance(given, kind):
        message = f"{name} must be {wanted}, not {type(given).__name__ if secret else repr(given)}"
        raise TypeError(message)


def check_collection(name: str, given: Any, wanted: str) -> None:
    """Raise TypeError unless an option is a collection. A single text is none."""
    if isinstance(given, str):
        message = f"{name} must be a collection; did you mean [{given!r}]?"
        raise TypeError(message)
    check_type(name, given, Collection, wanted)


def check_seconds(name: str, given: Any) -> None:
    """Raise TypeError or ValueError unless an option is a finite number of seconds, 0 or more."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        message = f"{name} must be a number of seconds, not {given!r}"
        raise TypeError(message)
    if not 0 <= given < math.inf:
        message = f"{name} must be a finite number of seconds, 0 or more, not {given!r}"
        raise ValueError(message)


def check_whole(name: str, given: Any, *, least: int = 0) -> None:
    """Raise TypeError or ValueError unless an option is a whole number, ``least`` or more."""
    if isinstance(given, bool) or not isinstance(given, int):
        message = f"{name} must be a whole number, not {given!r}"
        raise TypeError(message)
    if given < least:
        message = f"{name} must be {least} or more, not {given!r}"
        raise ValueError(message)
