"""Ways to carry out a row that more than one noun needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel

    from reflexio_async.core.wire import Answer, Endpoint
    from reflexio_async.routing.runtime import Runtime

Res = TypeVar("Res")


async def once_in_a_session(
    runtime: Runtime, endpoint: Endpoint, request: BaseModel, answer: Answer[Res]
) -> Res:
    """A search: with a ``session_id`` it is not sent again, since the server would leave out its results."""
    repeatable = getattr(request, "session_id", None) is None
    return await runtime.pipeline.call(endpoint, request, answer, runtime.settings, repeatable=repeatable)
