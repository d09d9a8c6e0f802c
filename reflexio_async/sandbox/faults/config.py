"""What faults may be told, from Python or in a script in TOML, and saying exactly what is wrong with it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Final, NoReturn, ParamSpec, TypeGuard, TypeVar, cast

from reflexio_async.errors import ConfigurationError
from reflexio_async.sandbox.checks import check, misfit, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


@dataclass(frozen=True, slots=True)
class Known:
    """An action that a file may name: what makes it, its parameters and what each must be."""

    make: Callable[..., Any]
    takes: Mapping[str, str] = field(default_factory=dict[str, str])
    needs: Collection[str] = ()


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
        said = "missing" if called is None else f"{shown(called)} is unknown"
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


def _tables(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and {type(entry) for entry in cast("Any", value)} <= {dict}


def _named(document: Mapping[str, Any]) -> str:
    return ", ".join(sorted(document))


def _refuse(message: str) -> NoReturn:
    raise ConfigurationError(message)
