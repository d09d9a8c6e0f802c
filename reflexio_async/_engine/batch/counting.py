"""How often each item of a batch was sent."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async._engine.batch.batch import Attempt
    from reflexio_async._engine.events import RequestEvent
    from reflexio_async._engine.routing.runtime import Runtime


def counting(
    runtime: Runtime, counts: Callable[[RequestEvent], bool]
) -> tuple[Runtime, Callable[[Attempt[Any]], object]]:
    """``runtime``, noting the requests that ``counts``, and what to call first with whom they are noted for.

    One hook for all items: which of them a request belongs to is told by the task it is sent from.
    """
    noted_for: ContextVar[Attempt[Any]] = ContextVar("noted_for")
    hook = runtime.settings.on_request

    def count(event: RequestEvent) -> None:
        if counts(event):
            noted_for.get().attempts += 1
        if hook is not None:
            hook(event)

    return runtime.with_settings(runtime.settings.with_options(on_request=count)), noted_for.set
