"""The events that a client reports to the hooks of its user. They hold no payloads and no credentials."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, TypeVar

from reflexio_async._engine.logs import fields

E = TypeVar("E")


logger = logging.getLogger("reflexio_async")


class RequestEvent(NamedTuple):
    """One HTTP exchange has ended.

    Attributes:
        method: The HTTP method.
        path: The path, with ids filled in and without the query.
        status: The status of the response; None when no response came.
        seconds: The duration.
        attempt: The number of the try, from 1.
        error: The name of the error's class when no response came, else None.
    """

    method: str
    path: str
    status: int | None
    seconds: float
    attempt: int
    error: str | None = None


class RetryEvent(NamedTuple):
    """A call will be tried again.

    Attributes:
        method: The HTTP method.
        path: The path, with ids filled in and without the query.
        attempt: The number of the try that failed, from 1.
        delay: Seconds until the next try.
        reason: The name of the error's class.
    """

    method: str
    path: str
    attempt: int
    delay: float
    reason: str


class BackgroundErrorEvent(NamedTuple):
    """Work that no caller awaited has failed; ``what`` names it."""

    what: str
    error: BaseException


RequestHook: TypeAlias = Callable[[RequestEvent], None]
RetryHook: TypeAlias = Callable[[RetryEvent], None]
BackgroundErrorHook: TypeAlias = Callable[[BackgroundErrorEvent], None]


def notify(name: str, hook: Callable[[E], None] | None, event: E) -> None:
    """Call ``hook`` if there is one. An error of the hook is logged under ``name`` and not raised."""
    if hook is None:
        return
    try:
        hook(event)
    except Exception:
        logger.exception("the %s hook failed", name, extra=fields("hook_failed", call=name))
