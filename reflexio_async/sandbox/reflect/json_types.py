"""What JSON turned out to be, as type checkers understand it."""

from __future__ import annotations

from typing import Any, TypeGuard


def is_list(given: Any) -> TypeGuard[list[Any]]:
    """Whether it is a list, of anything."""
    return isinstance(given, list)


def is_object(given: Any) -> TypeGuard[dict[str, Any]]:
    """Whether it is an object."""
    return isinstance(given, dict)
