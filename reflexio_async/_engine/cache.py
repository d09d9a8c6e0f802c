"""A cache of responses. It holds bytes, so that every caller gets models of its own."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from reflexio_async._engine.tasks import result_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Hashable

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.tasks import TaskTracker

_MAX_ENTRIES = 1024
_MAX_BYTES = 64 * 1024 * 1024

EntryKey: TypeAlias = "tuple[str, Hashable]"
"""The path of the request, and what distinguishes it from other requests to that path."""
PendingKey: TypeAlias = "tuple[EntryKey, Hashable]"
"""The entry, and the options of the callers that may share a request."""


class _Entry(NamedTuple):
    body: bytes
    expires_at: float


class _Pending:
    """A request whose response has not arrived."""

    __slots__ = ("task", "waiters")

    task: asyncio.Task[bytes]

    def __init__(self) -> None:
        self.waiters = 0


class Cache:
    """The bodies of responses, by path and request.

    Callers that ask for the same at the same time share one request. The oldest entries are dropped beyond
    1024 entries or 64 MiB.

    Args:
        clock: The clock.
        tasks: Where the requests run, so that they go on when one of their callers is cancelled.
        ttl: Seconds until an entry expires.
    """

    def __init__(self, clock: Clock, tasks: TaskTracker, ttl: float) -> None:
        self.ttl = ttl
        self._clock = clock
        self._tasks = tasks
        self._entries: OrderedDict[EntryKey, _Entry] = OrderedDict()
        self._bytes = 0
        self._invalidations: dict[str, int] = {}
        """How often each path was invalidated."""

    @property
    def _pending(self) -> dict[PendingKey, _Pending]:
        return self._tasks.loops.scope.part(self, dict[PendingKey, _Pending])

    def __repr__(self) -> str:
        return f"<Cache of {len(self._entries)} responses>"

    def invalidate(self, *paths: str) -> None:
        """Drop the responses of ``paths``, because something was written.

        Responses that have not arrived yet are not cached, and later callers do not share them.
        """
        pending = self._pending
        for path in paths:
            self._invalidations[path] = self._invalidations.get(path, 0) + 1
        for entry_key in [key for key in self._entries if key[0] in paths]:
            self._drop(entry_key)
        for pending_key in [key for key in pending if key[0][0] in paths]:
            del pending[pending_key]

    async def fetch(
        self,
        path: str,
        key: Hashable,
        options: Hashable,
        load: Callable[[], Awaitable[tuple[bytes, bool]]],
        *,
        refresh: bool = False,
    ) -> bytes:
        """Return the cached body, or the one that ``load`` returns.

        Args:
            path: The path of the request.
            key: What distinguishes it from other requests to that path.
            options: Only callers with equal options, such as the timeout, share a request.
            load: Sends the request. It returns the body, and whether the body may be cached.
            refresh: Send the request in any case.
        """
        entry_key = (path, key)
        if not refresh:
            entry = self._entries.get(entry_key)
            if entry is not None:
                if entry.expires_at > self._clock.now():
                    self._entries.move_to_end(entry_key)
                    return entry.body
                self._drop(entry_key)
        pending_key = (entry_key, options)
        pending = self._pending.get(pending_key)
        if pending is None or refresh:
            pending = self._start(pending_key, load)
        return await self._wait(pending_key, pending)

    def _start(self, key: PendingKey, load: Callable[[], Awaitable[tuple[bytes, bool]]]) -> _Pending:
        entry_key, _ = key
        path, _ = entry_key
        invalidations = self._invalidations.get(path, 0)

        async def run() -> bytes:
            try:
                body, may_be_cached = await load()
                if may_be_cached and self._invalidations.get(path, 0) == invalidations:
                    self._store(entry_key, body)
                return body
            finally:
                self._remove(key, pending)

        pending = self._pending[key] = _Pending()
        # With an eager task factory the task may end inside this call.
        pending.task = self._tasks.spawn(run(), name=f"GET {path}")
        return pending

    async def _wait(self, key: PendingKey, pending: _Pending) -> bytes:
        pending.waiters += 1
        task = pending.task
        try:
            return await result_of(task)
        finally:
            pending.waiters -= 1
            if not pending.waiters and not task.done():
                self._remove(key, pending)  # a later caller must not share a cancelled request
                task.add_done_callback(_retrieve_exception)
                task.cancel()

    def _remove(self, key: PendingKey, pending: _Pending) -> None:
        if self._pending.get(key) is pending:
            del self._pending[key]

    def _store(self, key: EntryKey, body: bytes) -> None:
        self._drop(key)
        if len(body) > _MAX_BYTES:
            return
        self._entries[key] = _Entry(body, self._clock.now() + self.ttl)
        self._bytes += len(body)
        while len(self._entries) > _MAX_ENTRIES or self._bytes > _MAX_BYTES:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: EntryKey) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= len(entry.body)


def _retrieve_exception(task: asyncio.Task[Any]) -> None:
    """No caller is left, so the result is dropped. An exception not retrieved would be logged by asyncio."""
    if not task.cancelled():
        task.exception()
