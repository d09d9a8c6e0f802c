"""One publish as it is sent, and whether it is stored when its response was lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self, cast
from uuid import uuid4

from pydantic import TypeAdapter

from reflexio_async._engine.wire import EncodedRequest, Endpoint, encode
from reflexio_async.errors import APITimeout
from reflexio_async.reflexio.cached_paths import EVERYTHING
from reflexio_async.reflexio.models.interactions import (
    GetRequestsRequest,
    GetRequestsViewResponse,
    PublishUserInteractionRequest,
    PublishUserInteractionResponse,
)
from reflexio_async.reflexio.unknown_fields import without_unknown_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reflexio_async._engine.clock import Clock
    from reflexio_async.reflexio.models.interactions import InteractionData, RequestDataView

GET_REQUESTS = Endpoint("POST", "/api/get_requests", GetRequestsViewResponse, repeatable=True)

# Seconds after the loss of a response. A server goes on with a publish whose connection has broken: then it
# was stored within 51 ms (server-behaviour: Repeating a publish).
_LOOKS = (0.0, 0.2, 1.0)


@dataclass(slots=True, eq=False)
class Publish:
    """One publish, as it is sent.

    Attributes:
        request_id: Its ``request_id``.
        encoded: The request.
        id_is_ours: Its ``request_id`` was made by a client, not by the caller.
        waits_for_learning: The server answers when it has learned from it.
        warnings: One for each unknown field that was dropped.
        may_be_stored: It was sent before, and may be stored: the server is asked before it is sent.
    """

    request_id: str
    encoded: EncodedRequest
    id_is_ours: bool
    waits_for_learning: bool
    warnings: Sequence[str]
    may_be_stored: bool = False

    @classmethod
    def of(
        cls, request: PublishUserInteractionRequest, *, id_is_ours: bool = False, may_be_stored: bool = False
    ) -> Self:
        """The publish of ``request``. A ``request_id`` is made if it has none."""
        request, warnings = without_unknown_fields(request)
        request_id = request.request_id
        if request_id is None:
            id_is_ours, request_id = True, uuid4().hex
            request = request.model_copy(update={"request_id": request_id})
        encoded = encode(PUBLISH_INTERACTION, request)
        return cls(request_id, encoded, id_is_ours, request.wait_for_response, warnings or (), may_be_stored)

    @property
    def request(self) -> PublishUserInteractionRequest:
        """The request, read again from what is sent. It is needed only when a response was lost."""
        return PublishUserInteractionRequest.model_validate_json(self.encoded.body or b"")


async def find_publish(
    send: Callable[..., Awaitable[GetRequestsViewResponse]],
    publish: Publish,
    *,
    clock: Clock,
    deadline: float,
) -> bool:
    """Return whether a publish is stored. The server is asked for its ``request_id`` up to three times.

    The server is asked at once, after 0.2 s and after 1 s, until it has the publish.

    Args:
        send: Sends a request and returns the response, as a client's ``_send`` does.
        publish: The publish. If its id is the caller's own, that may have been used before, so the contents
            are compared too.
        clock: The client's clock.
        deadline: When to have finished, by the clock.

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
        if await is_stored(send, publish, deadline=deadline):
            return True
    return False


async def is_stored(
    send: Callable[..., Awaitable[GetRequestsViewResponse]], publish: Publish, *, deadline: float | None
) -> bool:
    """Ask the server once whether a publish is stored. The arguments are those of ``find_publish``."""
    by_id = GetRequestsRequest(request_id=publish.request_id)
    found = await send(GET_REQUESTS, by_id, deadline=deadline)
    return any(
        stored.request.request_id == publish.request_id
        and (publish.id_is_ours or _is_same(stored, publish.request))
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


def response_of_stored(publish: Publish) -> PublishUserInteractionResponse:
    """The response for a publish that the server has, although its own response was lost."""
    return PublishUserInteractionResponse(
        success=True,
        message="Stored by an earlier try of this call, whose response was lost",
        request_id=publish.request_id,
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


PUBLISH_INTERACTION = Endpoint(
    "POST",
    "/api/publish_interaction",
    PublishUserInteractionResponse,
    per_minute=60,
    invalidates=EVERYTHING,
    read_accepted=read_accepted,
    memory="upsert_memory",
)
