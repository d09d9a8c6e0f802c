"""One request as a handler sees it, and the waiting that a handler may do."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from reflexio_async.sandbox.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.http.concurrency import ConcurrencyLimit
    from reflexio_async.sandbox.http.request_log import Record


class SandboxClosing(Exception):
    """The sandbox closes while a request waits."""


class ServerControl(Protocol):
    """What a fault may do to the whole sandbox."""

    def restart_soon(self, *, keep_data: bool = True) -> None:
        """Stop, which ends the current request, and start again."""
        ...

    def skew(self, seconds: float) -> None:
        """Set the wall clock ahead by ``seconds``."""
        ...


@dataclass(slots=True)
class PendingWaits:
    """The waits of all requests at one server. Closing the server ends them."""

    clock: Clock
    concurrency_limits: dict[str, ConcurrencyLimit] = field(default_factory=dict[str, "ConcurrencyLimit"])
    """By kind of request."""
    closed: bool = False
    _futures: set[asyncio.Future[None]] = field(default_factory=set[asyncio.Future[None]])

    def close(self) -> None:
        """End every wait with SandboxClosing, now and from now on."""
        self.closed = True
        for future in self._futures:
            if not future.done():
                future.set_exception(SandboxClosing())
        for limit in self.concurrency_limits.values():
            limit.close()

    async def wait(self, seconds: float | None, until: asyncio.Future[Any] | None) -> None:
        """Wait ``seconds`` (None: for ever) or until ``until`` is done, whichever is first."""
        if self.closed:
            raise SandboxClosing
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake(_: object = None) -> None:
            if not future.done():
                future.set_result(None)

        timer = None if seconds is None else self.clock.call_at(self.clock.now() + seconds, wake)
        if until is not None:
            until.add_done_callback(wake)
        self._futures.add(future)
        try:
            await future
        finally:
            self._futures.discard(future)
            if timer is not None:
                timer.cancel()
            if until is not None:
                until.remove_done_callback(wake)


@dataclass(slots=True)
class RequestContext:
    """A request whose body has been read.

    Attributes:
        record: The request as the log keeps it.
        raw_body: The bytes of the body.
        client: The address of the client, for rate limits.
        correlation_id: The server-made id of this request.
        hold_ids: The client's hold and the server's hold on a virtual clock.
        waits: The waits of all requests at this server.
        control: Restarts the sandbox or sets its clock.
        path_parameters: What stands in the path for the names of its route.
    """

    record: Record
    raw_body: bytes
    client: str
    correlation_id: str
    hold_ids: tuple[str | None, ...]
    waits: PendingWaits
    control: ServerControl
    path_parameters: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def wait_for_response(self) -> bool:
        """Whether the query says ``wait_for_response=true``."""
        return self.record.query.get("wait_for_response", "").lower() == "true"

    async def wait(self, seconds: float | None, until: asyncio.Future[Any] | None = None) -> None:
        """Wait ``seconds`` (None: for ever) or until ``until`` is done. Virtual time may move meanwhile."""
        with self._released():
            await self.waits.wait(seconds, until)

    def _released(self) -> AbstractContextManager[None]:
        clock = self.waits.clock
        return clock.released(*self.hold_ids) if isinstance(clock, VirtualClock) else nullcontext()
