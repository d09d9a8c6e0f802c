"""What a client tells the hooks it was given: small, without payloads or credentials."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

E = TypeVar("E")
logger = logging.getLogger("reflexio_async")


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """One HTTP exchange has ended; ``status`` is None when no answer came. Seconds."""

    method: str
    path: str
    status: int | None
    seconds: float
    attempt: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RetryEvent:
    """A call is about to be repeated after ``delay`` seconds."""

    method: str
    path: str
    attempt: int
    delay: float
    reason: str


@dataclass(frozen=True, slots=True)
class BackgroundErrorEvent:
    """Something nobody awaited has failed."""

    what: str
    error: BaseException


RequestHook: TypeAlias = Callable[[RequestEvent], None]
RetryHook: TypeAlias = Callable[[RetryEvent], None]
BackgroundErrorHook: TypeAlias = Callable[[BackgroundErrorEvent], None]


def notify(name: str, hook: Callable[[E], None] | None, event: E) -> None:
    """Call ``hook``, if there is one; its failure is logged under ``name``."""
    if hook is None:
        return
    try:
        hook(event)
    except Exception:
        logger.exception("the %s hook failed", name)
