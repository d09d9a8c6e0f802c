"""Fault scripts in TOML, and checks of the arguments that faults are given."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import wraps
from inspect import Parameter, signature
from typing import Any, Final, NoReturn, ParamSpec, TypeGuard, TypeVar, cast

from reflexio_async.errors import ConfigurationError
from reflexio_async.sandbox.checks import check, problem_of, shown


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """An action that a script may name.

    Attributes:
        make: The function that makes it.
        parameters: By name of a parameter, what its value must be (a key of ``checks``).
        required: The parameters without a default.
    """

    make: Callable[..., Any]
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    required: Collection[str] = ()


ACTIONS: Final[dict[str, ActionSpec]] = {}
"""The actions that a script may name."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def action(**parameters: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Register a function for scripts, and check its arguments wherever they come from."""

    def register(make: Callable[_P, _T]) -> Callable[_P, _T]:
        made_by = signature(make)
        defaults = {name: parameter.default for name, parameter in made_by.parameters.items()}

        @wraps(make)
        def checked(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            for name, value in made_by.bind(*args, **kwargs).arguments.items():
                if value is not defaults[name]:
                    check(f"{make.__name__}: {name}", parameters[name], value)
            return make(*args, **kwargs)

        required = [name for name, default in defaults.items() if default is Parameter.empty]
        ACTIONS[make.__name__] = ActionSpec(checked, parameters, required)
        return checked

    return register


CONDITIONS: Final = {
    "method": "a method",
    "path": "a path",
    "times": 'a whole number from 1, or "always"',
    "after": "a whole number",
    "chance": "a number from 0 to 1",
    "seed": "a whole number of any sign",
    "user": "text",
}
"""By name of a condition, what its value must be."""


def read(text: str) -> list[dict[str, Any]]:
    """The fields of each fault, in order.

    Raises:
        ConfigurationError: The text is no script.
    """
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # also raised for a number with too many digits
        message = f"not TOML: {error}"
        raise ConfigurationError(message) from error
    except RecursionError as error:
        message = "not TOML: nested too deep"
        raise ConfigurationError(message) from error
    entries = document.pop("fault", [])
    if document:
        _refuse(f"{', '.join(sorted(document))}: unknown at the top; a script is a list of [[fault]] tables")
    if not _tables(entries):
        _refuse("fault: expected a list of tables, each headed [[fault]]")
    return [_fault(f"fault {number}", entry) for number, entry in enumerate(entries, start=1)]


def _fault(name: str, table: dict[str, Any]) -> dict[str, Any]:
    called = table.get("action")
    if not isinstance(called, str) or called not in ACTIONS:
        trouble = "missing" if called is None else f"{shown(called)} is unknown"
        _refuse(f"{name}: action: {trouble}; expected one of {', '.join(sorted(ACTIONS))}")
    spec = ACTIONS[called]
    allowed = {**CONDITIONS, **spec.parameters}
    for key, value in table.items():
        if key == "action":
            continue
        if key not in allowed:
            _refuse(f"{name} ({called}): {key}: unknown; expected {', '.join(sorted(allowed))}")
        if problem := problem_of(allowed[key], value):
            _refuse(f"{name} ({called}): {key}: {problem}")
    for key in spec.required:
        if key not in table:
            _refuse(f"{name} ({called}): {key}: missing")
    conditions = {key: table[key] for key in CONDITIONS if key in table and key not in spec.parameters}
    if conditions.get("times") == "always":
        conditions["times"] = None
    made = spec.make(**{key: table[key] for key in spec.parameters if key in table})
    return {"action": made, **conditions}


def _tables(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and {type(entry) for entry in cast("Any", value)} <= {dict}


def _refuse(message: str) -> NoReturn:
    raise ConfigurationError(message)
