"""The public names of a package as data: signatures, fields and members.

The interpreters of the official packages run this too, so it imports the standard library alone.
"""

from __future__ import annotations

import enum
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

REQUIRED = "required"


def described(thing: Any) -> Any:
    """A function's parameters, a class's methods, a model's fields or an enum's members."""
    if not inspect.isclass(thing):
        return parameters(thing) if callable(thing) else None
    if issubclass(thing, enum.Enum):
        return {name: repr(member.value) for name, member in thing.__members__.items()}
    if hasattr(thing, "model_fields"):
        return fields(thing)
    if hasattr(thing, "from_api"):  # a response type of reflect-sdk up to 0.3.3: a dataclass
        return {name: one.get("default", REQUIRED) for name, one in parameters(thing).items()}
    return {name: parameters(getattr(thing, name)) for name in ("__init__", *methods(thing))}


def methods(owner: type) -> list[str]:
    """The public methods of ``owner``."""
    return [name for name in dir(owner) if not name.startswith("_") and callable(getattr(owner, name))]


def parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """For each parameter its position, unless it is given by name only, and its default, if it has one."""
    found: dict[str, Any] = {}
    given = inspect.signature(function).parameters.values()
    for position, parameter in enumerate(one for one in given if one.name != "self"):
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            continue
        found[parameter.name] = {}
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            found[parameter.name]["position"] = position
        if parameter.default is not inspect.Parameter.empty:
            found[parameter.name]["default"] = _plain(parameter.default)
    return found


def fields(model: Any) -> dict[str, str]:
    """The fields of a pydantic model, with their names in a constructor where those differ, and defaults."""
    return {
        name: _default(field) + (f" as {field.alias}" if field.alias else "")
        for name, field in model.model_fields.items()
    }


def _default(field: Any) -> str:
    if field.is_required():
        return REQUIRED
    if field.default_factory is None:
        return _plain(field.default)
    made = field.default_factory()
    return _plain(made) if made in ([], {}, ()) else "made"


def _plain(default: Any) -> str:
    """A default as text: an enum's member is its value, an empty tuple an empty list, 60.0 is 60."""
    if isinstance(default, enum.Enum):
        default = default.value
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    if hasattr(default, "model_fields") or repr(default) == "<factory>":
        return "made"
    return repr([] if default == () else default)
