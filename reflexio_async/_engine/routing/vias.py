"""Ways to carry out a row that more than one noun needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel

    from reflexio_async._engine.engine import Engine
    from reflexio_async._engine.wire import Answer, Endpoint

Res = TypeVar("Res")


async def once_in_a_session(
    engine: Engine, endpoint: Endpoint, request: BaseModel, answer: Answer[Res]
) -> Res:
    """A search: with a ``session_id`` it is not sent again, since the server would leave out its results."""
    repeatable = getattr(request, "session_id", None) is None
    return await engine.caller.call(endpoint, request, answer, engine.settings, repeatable=repeatable)
