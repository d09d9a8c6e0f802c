"""Reading a script of faults from TOML, and saying exactly what is wrong with it."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeGuard, cast

from reflexio_async.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


@dataclass(frozen=True, slots=True)
class Known:
    """An action that a file may name: what makes it, its parameters and what each must be."""

    make: Callable[..., Any]
    takes: Mapping[str, str] = field(default_factory=dict[str, str])
    needs: Collection[str] = ()


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _printable(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _headers(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    table = cast("dict[str, Any]", value)
    return all(_printable(text) for pair in table.items() for text in pair)


def _tables(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and {type(entry) for entry in cast("Any", value)} <= {dict}


def _json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


_FITS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "text": lambda value: isinstance(value, str),
    "true or false": lambda value: isinstance(value, bool),
    "any number": _number,
    "a number": lambda value: _number(value) and value >= 0,
    "a number from 0 to 1": lambda value: _number(value) and 0 <= value <= 1,
    "a whole number": lambda value: _whole(value) and value >= 0,
    "a whole number of any sign": _whole,
    'a whole number from 1, or "always"': lambda value: value == "always" or (_whole(value) and value >= 1),
    "a status code": lambda value: _whole(value) and 200 <= value <= 599,
    "a media type": _printable,
    "a table": _headers,
    "anything": _json,
}
_SAID: Final = {
    "a number": "a number, 0 or more",
    "a whole number": "a whole number, 0 or more",
    "a status code": "a status code from 200 to 599",
    "a media type": 'text such as "text/plain"',
    "a table": "a table of texts",
    "anything": "what JSON can say",
}

_WHEN: Final = {
    "method": "text",
    "path": "text",
    "times": 'a whole number from 1, or "always"',
    "after": "a whole number",
    "chance": "a number from 0 to 1",
    "seed": "a whole number of any sign",
    "user": "text",
}


def read(text: str, known: Mapping[str, Known]) -> list[dict[str, Any]]:
    """The fields of each fault, in order; ``known`` are the actions by name. Raises ConfigurationError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"not TOML: {error}"
        raise ConfigurationError(message) from error
    entries = document.pop("fault", [])
    if document:
        _refuse(f"{_named(document)}: unknown at the top; a script is a list of [[fault]] tables")
    if not _tables(entries):
        _refuse("fault: expected a list of tables, each headed [[fault]]")
    return [_fault(f"fault {number}", entry, known) for number, entry in enumerate(entries, start=1)]


def _fault(name: str, table: dict[str, Any], known: Mapping[str, Known]) -> dict[str, Any]:
    action = table.get("action")
    if not isinstance(action, str) or action not in known:
        said = "missing" if action is None else f"{action!r} is unknown"
        _refuse(f"{name}: action: {said}; expected one of {', '.join(sorted(known))}")
    parameters = known[action].takes
    allowed = {**_WHEN, **parameters}
    for key, value in table.items():
        if key == "action":
            continue
        if key not in allowed:
            _refuse(f"{name} ({action}): {key}: unknown; expected {', '.join(sorted(allowed))}")
        if not _FITS[allowed[key]](value):
            expected = _SAID.get(allowed[key], allowed[key])
            _refuse(f"{name} ({action}): {key}: expected {expected}, not {value!r}")
    for key in known[action].needs:
        if key not in table:
            _refuse(f"{name} ({action}): {key}: missing")
    when = {key: table[key] for key in _WHEN if key in table and key not in parameters}
    if when.get("times") == "always":
        when["times"] = None
    made = known[action].make(**{key: table[key] for key in parameters if key in table})
    return {"action": made, **when}


def _named(document: Mapping[str, Any]) -> str:
    return ", ".join(sorted(document))


def _refuse(message: str) -> NoReturn:
    raise ConfigurationError(message)
