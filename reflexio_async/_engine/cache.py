"""Answers kept for a while: as bytes, so that what one caller does to its models no other sees."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reflexio_async._engine.tasks import result_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Hashable

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.tasks import TaskTracker

_MOST_ENTRIES = 1024
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Entry:
    body: bytes
    expires_at: float


class _Flight:
    """One request under way, and how many wait for it."""

    __slots__ = ("shared", "task", "waiters")

    task: asyncio.Task[bytes]

    def __init__(self, shared: tuple[str, Hashable, Hashable]) -> None:
        self.shared = shared
        self.waiters = 0


class Cache:
    """The bodies of answers, by path and request.

    Callers that ask for the same at the same time share one request. ``ttl`` is in seconds.
    """

    def __init__(self, clock: Clock, tasks: TaskTracker, ttl: float) -> None:
        self.ttl = ttl
        self._clock = clock
        self._tasks = tasks
        self._entries: OrderedDict[tuple[str, Hashable], _Entry] = OrderedDict()
        self._bytes = 0
        self._flights: dict[tuple[str, Hashable, Hashable], _Flight] = {}
        self._writes: dict[str, int] = {}  # how often each path was invalidated

    def __repr__(self) -> str:
        return f"<Cache of {len(self._entries)} answers>"

    def invalidate(self, *paths: str) -> None:
        """Drop the answers of ``paths``, those still under way included: something was written."""
        for path in paths:
            self._writes[path] = self._writes.get(path, 0) + 1
            for key in [key for key in self._entries if key[0] == path]:
                self._drop(key)
            for flight in [flight for flight in self._flights if flight[0] == path]:
                del self._flights[flight]

    async def fetch(
        self,
        path: str,
        key: Hashable,
        manner: Hashable,
        load: Callable[[], Awaitable[tuple[bytes, bool]]],
        *,
        refresh: bool = False,
    ) -> bytes:
        """The body kept for ``key``, else the one that ``load`` returns, with whether it may be kept.

        Only callers with the same ``manner`` (timeout, retries) share a request. ``refresh`` asks anew.
        """
        place = (path, key)
        if not refresh:
            entry = self._entries.get(place)
            if entry is not None:
                if entry.expires_at > self._clock.now():
                    self._entries.move_to_end(place)
                    return entry.body
                self._drop(place)
        shared = (path, key, manner)
        flight = self._flights.get(shared)
        if flight is None or refresh:
            flight = self._start(shared, load)
        return await self._join(flight)

    def _start(
        self, shared: tuple[str, Hashable, Hashable], load: Callable[[], Awaitable[tuple[bytes, bool]]]
    ) -> _Flight:
        path, key, _ = shared
        writes = self._writes.get(path, 0)

        async def run() -> bytes:
            try:
                body, keep = await load()
                if keep and self._writes.get(path, 0) == writes:
                    self._keep((path, key), body)
                return body
            finally:
                self._land(flight)

        flight = self._flights[shared] = _Flight(shared)
        # Where tasks are eager it may run here and now, to its end.
        flight.task = self._tasks.spawn(run(), name=f"GET {path}")
        return flight

    def _land(self, flight: _Flight) -> None:
        if self._flights.get(flight.shared) is flight:
            del self._flights[flight.shared]

    async def _join(self, flight: _Flight) -> bytes:
        flight.waiters += 1
        task = flight.task
        try:
            return await result_of(task)
        finally:
            flight.waiters -= 1
            if not flight.waiters and not task.done():
                self._land(flight)  # whoever comes now must not share its end
                task.add_done_callback(_looked_at)
                task.cancel()

    def _keep(self, place: tuple[str, Hashable], body: bytes) -> None:
        self._drop(place)
        if len(body) > _MOST_BYTES:
            return
        self._entries[place] = _Entry(body, self._clock.now() + self.ttl)
        self._bytes += len(body)
        while len(self._entries) > _MOST_ENTRIES or self._bytes > _MOST_BYTES:
            self._drop(next(iter(self._entries)))

    def _drop(self, place: tuple[str, Hashable]) -> None:
        entry = self._entries.pop(place, None)
        if entry is not None:
            self._bytes -= len(entry.body)


def _looked_at(task: asyncio.Task[Any]) -> None:
    """Nobody waits any more: how it ended concerns no one."""
    if not task.cancelled():
        task.exception()
