"""A readable text for what is wrong with a request or a response. It holds no values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

VALUE_BRANCH, NULL_BRANCH = "[value]", "[null]"
"""The names that pydantic's errors have for the two ways to read a field of a response."""

_PLAIN_TEXTS = {
    "model_type": "must be a mapping or {class_name}",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "string_unicode": "must be valid Unicode, and has a lone surrogate",
    "list_type": "must be a list, not one of its items",
}
"""Texts in place of those of pydantic, by the type of the error. In braces: names in the error's context."""

_MAX_ERRORS = 500
"""Above it, errors are only counted: pydantic takes seconds for a list of a million."""
_SHOWN = 20  # fields that are named


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The end of a message: the one of the ``known`` names that is most like ``name``, if any is."""
    from difflib import get_close_matches  # noqa: PLC0415  # only for messages of errors

    close = get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"; did you mean {close[0]}?" if close else ""


def is_not_json(error: ValidationError) -> bool:
    """Whether the text that was validated is not JSON."""
    return error.error_count() == 1 and _errors(error)[0]["type"] == "json_invalid"


def describe(error: ValidationError, known: Iterable[str] = ()) -> str:
    """Name the wrong fields (the first twenty) and what was expected of each, in one line.

    Args:
        error: The error of pydantic.
        known: The names of the fields, for suggestions when a name is misspelt.
    """
    if error.error_count() > _MAX_ERRORS:
        return f"{error.error_count()} fields are wrong"
    problems: dict[str, str] = {}
    for problem in _errors(error):
        if _is_null_branch(problem["loc"]):
            continue
        where = ".".join(str(part) for part in problem["loc"] if not _is_union_branch(part))
        context = problem.get("ctx", {})
        kind = problem["type"]
        text = problem["msg"].removeprefix("Value error, ")
        if kind == "extra_forbidden":
            text = "there is no such field" + ("" if "." in where else did_you_mean(where, known))
        elif kind in ("too_short", "string_too_short") and context["min_length"] == 1:
            text = "must not be empty"
        elif kind in _PLAIN_TEXTS:
            text = _PLAIN_TEXTS[kind].format_map(context)
        problems.setdefault(where, text)
    named = [f"{where}: {text}" if where else text for where, text in problems.items()]
    more = [f"and {len(named) - _SHOWN} more"] if len(named) > _SHOWN else []
    return "; ".join(named[:_SHOWN] + more)


def _errors(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_input=False)


def _is_null_branch(place: tuple[str | int, ...]) -> bool:
    # A response takes null for a field with a default. That null was expected too is not worth saying.
    return bool(place) and place[-1] == NULL_BRANCH


def _is_union_branch(part: str | int) -> bool:
    # Pydantic names the branch of a union as if it were a field: "function-before[…]", "str", a class name.
    return isinstance(part, str) and ("[" in part or part in ("str", "int") or part[:1].isupper())
