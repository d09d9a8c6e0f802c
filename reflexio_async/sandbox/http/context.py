"""One request as a handler sees it, and the waiting it may do."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from reflexio_async.sandbox.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.reflexio.overload import Crowd

Service = Literal["reflexio", "reflect"]
"""Which of the sandbox's two servers."""


@dataclass(slots=True)
class Record:
    """A request that reached the sandbox, for tests to look at.

    ``at`` is the clock's ``now()`` on arrival, ``status`` what was answered (None until then, and for
    ever when no whole answer was sent), ``connection`` tells one client socket from another.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    at: float
    connection: str
    body: Any = None
    status: int | None = None
    service: Service = "reflexio"

    @property
    def user(self) -> str | None:
        """The ``user_id`` it is about, in its body or query."""
        given = self.body
        body = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        named = body.get("user_id")
        return named if isinstance(named, str) else self.query.get("user_id")

    @property
    def user_agent(self) -> str:
        """The client's User-Agent, or nothing."""
        return self.headers.get("User-Agent", "")


class Machine(Protocol):
    """What runs the services, as a request may upset it."""

    def restart_soon(self, *, keep_data: bool) -> None:
        """Stop, which ends the request that asks for it, and start again."""
        ...

    def skew(self, seconds: float) -> None:
        """Set the wall clock ahead."""
        ...


class Closing(Exception):
    """The sandbox closes while a request waits."""


@dataclass(slots=True)
class Waiting:
    """Everything in the sandbox that waits inside a request, so that closing can end it."""

    clock: Clock
    waiters: set[asyncio.Future[None]] = field(default_factory=set[asyncio.Future[None]])
    closed: bool = False
    crowds: dict[str, Crowd] = field(default_factory=dict[str, "Crowd"])
    """Of every kind of request, those that are worked on."""

    def close(self) -> None:
        """End every wait with ``Closing``, now and from now on."""
        self.closed = True
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(Closing())
        for crowd in self.crowds.values():
            crowd.close()


@dataclass(slots=True)
class Call:
    """A request whose body has been read."""

    record: Record
    raw_body: bytes
    client: str
    correlation_id: str
    holds: tuple[str | None, ...]
    waiting: Waiting
    machine: Machine | None = None
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """What stands in the path where the route has a name."""

    @property
    def waits(self) -> bool:
        """Whether the caller is patient: ``?wait_for_response=true``."""
        return self.record.query.get("wait_for_response", "").lower() == "true"

    async def wait(self, seconds: float | None, until: asyncio.Future[Any] | None = None) -> None:
        """Wait ``seconds`` (None: for ever) or until ``until`` is done, letting virtual time move."""
        if self.waiting.closed:
            raise Closing
        clock = self.waiting.clock
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        wake = _Wake(waiter)
        timer = None if seconds is None else clock.call_at(clock.now() + seconds, wake)
        if until is not None:
            until.add_done_callback(wake)
        self.waiting.waiters.add(waiter)
        try:
            with self._lifted():
                await waiter
        finally:
            self.waiting.waiters.discard(waiter)
            if timer is not None:
                timer.cancel()
            if until is not None:
                until.remove_done_callback(wake)

    def _lifted(self) -> AbstractContextManager[None]:
        clock = self.waiting.clock
        return clock.released(*self.holds) if isinstance(clock, VirtualClock) else nullcontext()


@dataclass(frozen=True, slots=True)
class _Wake:
    """Wakes a waiter, whoever calls."""

    waiter: asyncio.Future[None]

    def __call__(self, _: object = None) -> None:
        if not self.waiter.done():
            self.waiter.set_result(None)
