"""One request as a handler sees it, and the waiting that a handler may do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from reflexio_async._engine.clock import Clock, Timer
from reflexio_async.sandbox.http.request_log import Record
from reflexio_async.sandbox.virtual_clock import VirtualClock


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
class ConcurrencyLimit:
    """At most ``capacity`` requests run at once. Others wait in the order of their arrival."""

    capacity: int
    running: int = 0
    _queue: deque[asyncio.Future[None]] = field(default_factory=deque[asyncio.Future[None]])
    _releases: list[Timer] = field(default_factory=list[Timer])

    def try_acquire(self) -> bool:
        """Take a place if one is free."""
        if self.running >= self.capacity:
            return False
        self.running += 1
        return True

    async def acquire(self, context: RequestContext, timeout: float) -> bool:
        """Take a place within ``timeout`` seconds. False when none became free."""
        if self.try_acquire():
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await context.wait(timeout, turn)
        finally:
            if not turn.done():
                self._queue.remove(turn)
        return turn.done()

    def release(self) -> None:
        """Give the place to the request that has waited longest."""
        if self._queue:
            self._queue.popleft().set_result(None)
        else:
            self.running -= 1

    def release_after(self, seconds: float, clock: Clock) -> None:
        """Release in ``seconds``: work continues after its request was answered with a timeout."""
        if seconds > 0:
            self._releases.append(clock.call_at(clock.now() + seconds, self.release))
        else:
            self.release()

    def close(self) -> None:
        """Cancel the releases that are still to come."""
        for timer in self._releases:
            timer.cancel()


@dataclass(slots=True)
class PendingWaits:
    """The waits of all requests at one server. Closing the server ends them."""

    clock: Clock
    concurrency_limits: dict[str, ConcurrencyLimit] = field(default_factory=dict[str, ConcurrencyLimit])
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
