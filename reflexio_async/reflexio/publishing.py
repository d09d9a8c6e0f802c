"""Whether a publish is stored, when its response was lost."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter

from reflexio_async._engine.wire import Endpoint
from reflexio_async.errors import APITimeout
from reflexio_async.reflexio.models.interactions import (
    GetRequestsRequest,
    GetRequestsViewResponse,
    PublishUserInteractionResponse,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reflexio_async._engine.clock import Clock
    from reflexio_async.reflexio.models.interactions import (
        InteractionData,
        PublishUserInteractionRequest,
        RequestDataView,
    )

GET_REQUESTS = Endpoint("POST", "/api/get_requests", GetRequestsViewResponse, repeatable=True)

# Seconds after the loss of a response. A server goes on with a publish whose connection has broken: then it
# was stored within 51 ms (server-behaviour: Repeating a publish).
_LOOKS = (0.0, 0.2, 1.0)


async def find_publish(
    send: Callable[..., Awaitable[GetRequestsViewResponse]],
    request: PublishUserInteractionRequest,
    *,
    clock: Clock,
    deadline: float,
    id_is_ours: bool,
) -> bool:
    """Return whether a publish is stored. The server is asked for its ``request_id`` up to three times.

    The server is asked at once, after 0.2 s and after 1 s, until it has the publish.

    Args:
        send: Sends a request and returns the response, as a client's ``_send`` does.
        request: The publish. It has a ``request_id``.
        clock: The client's clock.
        deadline: When to have finished, by the clock.
        id_is_ours: The ``request_id`` was made by a client. An id of the caller's own may have been used
            before, so the contents are compared too.

    Raises:
        APITimeout: The deadline comes before the last question.
        ReflexioError: A question failed.
    """
    began = clock.now()
    for seconds in _LOOKS:
        now = clock.now()
        if (look_at := began + seconds) > now:
            await clock.sleep(min(look_at, deadline) - now)
            if look_at >= deadline:
                message = "no time was left to ask whether the publish is stored"
                raise APITimeout(message)
        if await is_stored(send, request, deadline=deadline, id_is_ours=id_is_ours):
            return True
    return False


async def is_stored(
    send: Callable[..., Awaitable[GetRequestsViewResponse]],
    request: PublishUserInteractionRequest,
    *,
    deadline: float | None,
    id_is_ours: bool,
) -> bool:
    """Ask the server once whether a publish is stored. The arguments are those of ``find_publish``."""
    by_id = GetRequestsRequest(request_id=request.request_id)
    found = await send(GET_REQUESTS, by_id, deadline=deadline)
    return any(
        stored.request.request_id == request.request_id and (id_is_ours or _is_same(stored, request))
        for session in found.sessions
        for stored in session.requests
    )


def _is_same(stored: RequestDataView, request: PublishUserInteractionRequest) -> bool:
    """Whether what is stored under the caller's own id is ``request``, not an earlier one."""
    # Validation has made models of all turns.
    turns = cast("Sequence[InteractionData]", request.interactions)
    sent = {(turn.role, turn.content) for turn in turns}
    return (
        stored.request.user_id == request.user_id.strip()
        and stored.request.session_id == request.session_id.strip()
        # The server drops empty turns (server-behaviour: Fields of a publish).
        and {(turn.role, turn.content) for turn in stored.interactions} <= sent
    )


def response_of_stored(request: PublishUserInteractionRequest) -> PublishUserInteractionResponse:
    """The response for a publish that the server has, although its own response was lost."""
    return PublishUserInteractionResponse(
        success=True,
        message="Stored by an earlier try of this call, whose response was lost",
        request_id=request.request_id,
    )


def read_accepted(body: bytes) -> PublishUserInteractionResponse:
    """Read the body of a 202: the publish is accepted, and not stored yet.

    Raises:
        ValidationError: It is no JSON object, or has another shape.
    """
    given = _objects().validate_json(body)
    return PublishUserInteractionResponse.model_validate({"success": True, **given, "accepted": True})


@cache
def _objects() -> TypeAdapter[dict[str, Any]]:
    """Reads JSON objects. Made on first use, as few publishes are answered by a 202."""
    return TypeAdapter(dict[str, Any])
