"""Whether a file could be written to a place. Pages and stores ask before any work is done."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def fault_of(place: Path) -> str | None:
    """Why no file can be made or replaced at ``place``, and what to do; None: it can.

    Raises:
        OSError: It is no name of a file, such as one that is too long.
        ValueError: It is none: there is a NUL in it.
    """
    folder = place.absolute().parent
    if not place.name:
        return "it names no file"
    if place.is_dir():
        return "it is a folder. Name a file in it"
    if not folder.is_dir():
        return f"there is no folder {folder}. Make it first"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"this user may not write into {folder}"
    return None
