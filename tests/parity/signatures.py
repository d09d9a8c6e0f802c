"""What the official packages offer by name, beside what this package offers under the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import reflexio_async
from tests.parity.compare import ABSENT, Comparison
from tests.parity.described import REQUIRED, described, parameters
from tests.parity.official_data import OFFICIAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BESIDE_A_REQUEST = ("request", "wait_for_response", "force_refresh")
"""Every decorated call takes them, though its signature does not show them all: see tests/endpoints."""


def table() -> list[Comparison]:
    """Every parameter, field and member of every public name, once for each package."""
    return [
        line
        for package in OFFICIAL.values()
        for name, theirs in package.described.items()
        for line in _compare(name, theirs, getattr(reflexio_async, name, None))
    ]


def _compare(name: str, theirs: Mapping[str, Any], ours: Any) -> Iterator[Comparison]:
    if ours is None:
        yield Comparison(name, "a name", ABSENT)
    elif "__init__" in theirs:
        yield from _methods(name, theirs, ours)
    elif isinstance(ours, type):
        our_fields = described(ours)
        for field in sorted({*theirs, *our_fields}):
            if field in theirs or our_fields[field] == REQUIRED:
                yield Comparison(f"{name}.{field}", theirs.get(field, ABSENT), our_fields.get(field, ABSENT))
    else:
        yield from _parameters(name, theirs, parameters(ours))


def _methods(owner: str, theirs: Mapping[str, Any], ours: type) -> Iterator[Comparison]:
    for name, given in theirs.items():
        what = owner if name == "__init__" else f"{owner}.{name}"
        method = getattr(ours, name, None)
        if method is None:
            yield Comparison(f"{what}()", "a method", ABSENT)
        elif name != "__init__" and hasattr(method, "__wrapped__"):
            yield from _keywords(what, given, parameters(method))
        else:
            yield from _parameters(what, given, parameters(method))


def _keywords(call: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[Comparison]:
    """The keywords of a call that is decorated with ``@takes``.

    A keyword that is None is left out on both sides. Ours is shown with the default of the server, and shows
    what is required.
    """
    for name, their in theirs.items():
        if name not in _BESIDE_A_REQUEST:
            our = dict(ours[name]) if name in ours else None
            if our is not None and their.get("default") == "None":
                our["default"] = "None"
            yield Comparison(f"{call}({name})", _text(their), _text(our))


def _parameters(function: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[Comparison]:
    for name in sorted({*theirs, *ours}):
        if name in theirs or "default" not in ours[name]:
            yield Comparison(f"{function}({name})", _text(theirs.get(name)), _text(ours.get(name)))


def _text(parameter: Mapping[str, Any] | None) -> str:
    if parameter is None:
        return ABSENT
    where = f"at position {parameter['position']}" if "position" in parameter else "by name"
    return f"{where}, default {parameter['default']}" if "default" in parameter else where
