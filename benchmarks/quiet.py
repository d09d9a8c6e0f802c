"""Runs without the log records of the client."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def no_logs() -> Generator[None]:
    """Do not log what fails, or is left undone, in the block: that is intended there."""
    logger = logging.getLogger("reflexio_async")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
