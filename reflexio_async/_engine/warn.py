"""Warnings that point at the caller's line."""

from __future__ import annotations

import sys
import warnings


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn about the nearest line that is not this package's own."""
    level = 2  # 1 is this function itself
    frame = sys._getframe(1)  # noqa: SLF001  # public in all but name
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("reflexio_async."):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)
