"""Warnings that point at the line of the caller."""

from __future__ import annotations

import inspect
import warnings


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn about the nearest line on the stack that is not in this package."""
    level = 1  # this function
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("reflexio_async."):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)
