"""Telling the user's hooks: a hook that fails must not break what it was told of."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

E = TypeVar("E")
logger = logging.getLogger("reflexio_async")


def tell(name: str, hook: Callable[[E], None] | None, event: E) -> None:
    """Call ``hook``, if there is one; its failure is logged under ``name``."""
    if hook is None:
        return
    try:
        hook(event)
    except Exception:
        logger.exception("the %s hook failed", name)
