"""The handle of a call that an outbox has accepted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from reflexio_async._engine.jobs.record import without_traceback

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T")


class Deliverer(Protocol):
    """The outbox, as far as its handles use it."""

    async def look_at(self, call: OutboxCall[Any], ended: asyncio.Event, /) -> None:
        """Wait until ``call`` has ended, for a while. See whether another process has delivered it."""
        ...


class OutboxCall(Generic[T]):
    """A call that was accepted by the outbox. Awaiting it waits for its response.

    It may be dropped: the call is delivered all the same, and a failure is logged.

    Attributes:
        kind: The call, such as ``publish_interaction``.
        request_id: Its id, by which the server stores it once.
    """

    __slots__ = ("__weakref__", "_ended", "_error", "_outbox", "_response", "kind", "request_id")

    def __init__(self, kind: str, request_id: str, outbox: Deliverer) -> None:
        self.kind = kind
        self.request_id = request_id
        self._outbox = outbox
        self._ended = asyncio.Event()
        self._response: T | None = None
        self._error: Exception | None = None

    def done(self) -> bool:
        """Whether it was delivered or has failed."""
        return self._ended.is_set()

    def __await__(self) -> Generator[Any, Any, T]:
        return self.result().__await__()

    async def result(self) -> T:
        """Wait for the response. Cancelling this wait does not cancel the call.

        Raises:
            ClientClosed: The client was closed before.
            StoreError: Another process has set the call aside. The message has its reason.
            ReflexioError: The call was refused, and set aside.
        """
        while not self._ended.is_set():
            await self._outbox.look_at(self, self._ended)
        if self._error is not None:
            raise self._error.with_traceback(None)
        return cast("T", self._response)

    def end(self, response: Any = None, error: Exception | None = None) -> None:
        """Record how it ended, and wake the callers that wait. Only the first call has an effect."""
        if not self._ended.is_set():
            self._response = response
            self._error = None if error is None else without_traceback(error)
            self._ended.set()

    def __repr__(self) -> str:
        return f"<OutboxCall {self.kind} {self.request_id} {'done' if self.done() else 'waiting'}>"
