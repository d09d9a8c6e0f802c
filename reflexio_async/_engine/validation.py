"""A readable text for what is wrong with a request or a response. It holds no values."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError


def describe(error: ValidationError, known: Iterable[str] = ()) -> str:
    """Name each wrong field and what was expected of it, in one line.

    Args:
        error: The error of pydantic.
        known: The names of the fields, for suggestions when a name is misspelt.
    """
    problems: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in problem["loc"] if not _is_union_branch(part)) or "the request"
        text = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            close = get_close_matches(where, known, n=1) if "." not in where else []
            text = "there is no such field" + (f"; did you mean {close[0]}?" if close else "")
        elif problem["type"] == "string_unicode":
            text = "must be valid Unicode, and has a lone surrogate"
        elif problem["type"] in ("sequence_str", "is_instance_of") and "equence" in text:
            text = "must be a list, not one of its items"
        problems.setdefault(where, text)
    return "; ".join(f"{where}: {text}" for where, text in problems.items())


def _is_union_branch(part: str | int) -> bool:
    # Pydantic names the branch of a union as if it were a field: "function-before[…]", "str", a class name.
    return isinstance(part, str) and ("[" in part or part in ("str", "int") or part[:1].isupper())
