"""The garbage collector, held off while very many objects are made that are no garbage."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def not_collecting() -> Generator[None]:
    """For a piece of work without an ``await`` in it: each collection would go through all of it in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
