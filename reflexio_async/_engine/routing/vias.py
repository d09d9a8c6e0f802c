"""Ways to carry out a row that more than one noun needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel

    from reflexio_async._engine.routing.runtime import Runtime
    from reflexio_async._engine.wire import Answer, Endpoint

Res = TypeVar("Res")


async def once_in_a_session(
    runtime: Runtime, endpoint: Endpoint, request: BaseModel, answer: Answer[Res]
) -> Res:
    """A search: with a ``session_id`` it is not sent again, since the server would leave out its results."""
    repeatable = getattr(request, "session_id", None) is None
    return await runtime.pipeline.call(endpoint, request, answer, runtime.settings, repeatable=repeatable)
