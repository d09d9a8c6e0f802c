"""What is wrong with a request or a response, in one line and without its values."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError


def describe(error: ValidationError, known: Iterable[str] = ()) -> str:
    """Each field at fault and what was expected of it; ``known`` are the right names, for suggestions."""
    faults: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in fault["loc"] if not _is_union_branch(part)) or "the request"
        text = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            close = get_close_matches(where, known, n=1) if "." not in where else []
            text = "there is no such field" + (f"; did you mean {close[0]}?" if close else "")
        elif fault["type"] == "string_unicode":
            text = "must be valid Unicode, and has a lone surrogate"
        elif fault["type"] in ("sequence_str", "is_instance_of") and "equence" in text:
            text = "must be a list, not one of its items"
        faults.setdefault(where, text)
    return "; ".join(f"{where}: {text}" for where, text in faults.items())


def _is_union_branch(part: str | int) -> bool:
    # Pydantic names the branch of a union as if it were a field: "function-before[…]", "Mapping[str,any]".
    return isinstance(part, str) and ("[" in part or part in ("str", "int", "ToolUsed", "InteractionData"))
