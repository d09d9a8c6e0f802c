"""How often each item of a batch was sent."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async._engine.batch.batch import Attempt
    from reflexio_async._engine.engine import Engine
    from reflexio_async._engine.events import RequestEvent


def counting(
    engine: Engine, counts: Callable[[RequestEvent], bool]
) -> tuple[Engine, Callable[[Attempt[Any]], object]]:
    """``engine``, noting the requests that ``counts``, and what to call first with whom they are noted for.

    One hook for all items: which of them a request belongs to is told by the task it is sent from.
    """
    noted_for: ContextVar[Attempt[Any]] = ContextVar("noted_for")
    hook = engine.settings.on_request

    def count(event: RequestEvent) -> None:
        if counts(event):
            noted_for.get().attempts += 1
        if hook is not None:
            hook(event)

    return engine.with_settings(engine.settings.with_options(on_request=count)), noted_for.set
