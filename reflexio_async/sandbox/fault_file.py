"""What faults may be told, from Python or in a script in TOML, and saying exactly what is wrong with it."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Final, NoReturn, ParamSpec, TypeGuard, TypeVar, cast

from reflexio_async.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


@dataclass(frozen=True, slots=True)
class Known:
    """An action that a file may name: what makes it, its parameters and what each must be."""

    make: Callable[..., Any]
    takes: Mapping[str, str] = field(default_factory=dict[str, str])
    needs: Collection[str] = ()


_FURTHEST: Final = 1e10
"""Seconds by which a wall clock may be off, some three centuries: what it shows must remain a date."""

_METHODS: Final = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
_FRAMING: Final = {"content-length", "transfer-encoding"}
"""Headers that say how long the body is, which the sandbox knows best."""

NAME: Final = re.compile(r"\{\w+\}")
"""What stands for one segment of a path."""


KNOWN: Final[dict[str, Known]] = {}
"""The actions that a file may name."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def action(**takes: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Have a file name the function, and refuse arguments, from a file or not, that it does not take."""

    def known(make: Callable[_P, _T]) -> Callable[_P, _T]:
        asks = signature(make)
        default = {name: parameter.default for name, parameter in asks.parameters.items()}

        @wraps(make)
        def made(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            for name, value in asks.bind(*args, **kwargs).arguments.items():
                if value is not default[name]:
                    check(f"{make.__name__}: {name}", takes[name], value)
            return make(*args, **kwargs)

        needs = [name for name, value in default.items() if value is Parameter.empty]
        KNOWN[make.__name__] = Known(made, takes, needs)
        return made

    return known


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


def _tables(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and {type(entry) for entry in cast("Any", value)} <= {dict}


def _json(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


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
}
_SAID: Final = {
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

WHEN: Final = {
    "method": "a method",
    "path": "a path",
    "times": 'a whole number from 1, or "always"',
    "after": "a whole number",
    "chance": "a number from 0 to 1",
    "seed": "a whole number of any sign",
    "user": "text",
}
"""What every fault may be told beside its action, and what that must be."""


def misfit(expected: str, value: Any) -> str | None:
    """What to say of a ``value`` that is not what was ``expected``; None when it is."""
    if _FITS[expected](value):
        return None
    return f"expected {_SAID.get(expected, expected)}, not {_shown(value)}"


def check(place: str, expected: str, value: Any) -> None:
    """Raise ValueError, which begins with ``place``, unless ``value`` is what was ``expected``."""
    if wrong := misfit(expected, value):
        message = f"{place}: {wrong}"
        raise ValueError(message)


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.200}"
    except (ValueError, RecursionError):  # a number of too many digits, a list that is too deep
        return f"this {type(value).__name__}"


def read(text: str) -> list[dict[str, Any]]:
    """The fields of each fault, in order. Raises ConfigurationError."""
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # numbers of too many digits too
        message = f"not TOML: {error}"
        raise ConfigurationError(message) from error
    except RecursionError as error:
        message = "not TOML: nested too deep"
        raise ConfigurationError(message) from error
    entries = document.pop("fault", [])
    if document:
        _refuse(f"{_named(document)}: unknown at the top; a script is a list of [[fault]] tables")
    if not _tables(entries):
        _refuse("fault: expected a list of tables, each headed [[fault]]")
    return [_fault(f"fault {number}", entry) for number, entry in enumerate(entries, start=1)]


def _fault(name: str, table: dict[str, Any]) -> dict[str, Any]:
    called = table.get("action")
    if not isinstance(called, str) or called not in KNOWN:
        said = "missing" if called is None else f"{_shown(called)} is unknown"
        _refuse(f"{name}: action: {said}; expected one of {', '.join(sorted(KNOWN))}")
    parameters = KNOWN[called].takes
    allowed = {**WHEN, **parameters}
    for key, value in table.items():
        if key == "action":
            continue
        if key not in allowed:
            _refuse(f"{name} ({called}): {key}: unknown; expected {', '.join(sorted(allowed))}")
        if wrong := misfit(allowed[key], value):
            _refuse(f"{name} ({called}): {key}: {wrong}")
    for key in KNOWN[called].needs:
        if key not in table:
            _refuse(f"{name} ({called}): {key}: missing")
    when = {key: table[key] for key in WHEN if key in table and key not in parameters}
    if when.get("times") == "always":
        when["times"] = None
    made = KNOWN[called].make(**{key: table[key] for key in parameters if key in table})
    return {"action": made, **when}


def _named(document: Mapping[str, Any]) -> str:
    return ", ".join(sorted(document))


def _refuse(message: str) -> NoReturn:
    raise ConfigurationError(message)
