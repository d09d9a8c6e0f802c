"""How a client wakes the workers of its store, and notices that there are none. Postgres only."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from reflexio_async._engine.logs import fields
from reflexio_async.durable.accounts import is_refusal
from reflexio_async.durable.cluster import WORKER_SILENT, Cluster
from reflexio_async.durable.rows import LaneKey
from reflexio_async.errors import ReflexioError, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.tasks import TaskTracker
    from reflexio_async.durable.postgres import PostgresDatabase

logger = logging.getLogger("reflexio_async")

_BETWEEN = 1.0  # seconds between two wakes of one lane
_AT_ONCE = 1.0  # seconds that the caller of ``wake`` waits
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds between two tries
_LOOK = 15.0  # seconds between two looks for a sign of a worker


class Waker:
    """Wakes the workers of a store for one client, on one event loop.

    Args:
        database: The store's database. It must be open.
        url: The server's address.
        organisation: The organisation of the client's credential. It may ask the server.
        clock: The client's clock.
        tasks: The client's background tasks.
        refused: Called with the name of a lane and the error when the server refuses again to tell the
            organisation.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        url: str,
        organisation: Callable[[], Awaitable[str]],
        clock: Clock,
        tasks: TaskTracker,
        *,
        refused: Callable[[str, Exception], None] | None = None,
    ) -> None:
        self._cluster = Cluster(database)
        self._name = database.name
        self._url = url
        self._organisation = organisation
        self._clock = clock
        self._tasks = tasks
        self._refused = refused
        self._tasks_of: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._seen_at = clock.now()
        self._looked_at = clock.now()
        self._has_warned = False

    async def wake(self, name: str) -> None:
        """Have some worker drive the lane ``name``, unless that was asked for within the last second.

        This waits a little, so that a client that is closed now has done it. If it is not done, for example
        because the server cannot be asked for the organisation, it goes on in the background. Workers look
        for such lanes, too.
        """
        task = self._tasks_of.get(name)
        if task is not None and not task.done():
            self._again.add(name)
            return
        woken = asyncio.Event()
        self._tasks_of[name] = self._tasks.spawn(self._wake(name, woken), name=f"wake the workers of {name}")
        try:
            async with asyncio.timeout(_AT_ONCE):
                await woken.wait()
        except TimeoutError:
            pass

    async def _wake(self, name: str, woken: asyncio.Event) -> None:
        pause, refusals = _SHORTEST_PAUSE, 0
        while True:
            self._again.discard(name)
            try:
                await self._cluster.wake(LaneKey(self._url, await self._organisation(), name))
            except ReflexioError as error:
                refusals = refusals + 1 if is_refusal(error) else 0
                if refusals > 1 and self._refused is not None:
                    self._refused(name, error)
                logger.warning(
                    "the workers of %s cannot be woken: %s",
                    self._name,
                    error,
                    extra=fields("worker_missing", error, url=self._url, store=self._name),
                )
                await self._clock.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            woken.set()
            await self._clock.sleep(_BETWEEN)
            if name not in self._again:
                return

    async def silence(self) -> str:
        """What is to be said when no worker has been seen for a minute; else nothing. It is logged once."""
        now = self._clock.now()
        if now - self._looked_at >= _LOOK:
            self._looked_at = now
            try:
                silent = await self._cluster.silent_for()
            except StoreError:
                return ""
            if silent is not None:
                self._seen_at = max(self._seen_at, now - silent)
        silent_for = now - self._seen_at
        if silent_for < WORKER_SILENT:
            self._has_warned = False
            return ""
        text = (
            f"no worker of {self._name} has been seen for {silent_for:.0f} s: "
            "start one with reflexio-async worker"
        )
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "jobs wait, and %s",
                text,
                extra=fields("worker_missing", url=self._url, store=self._name, seconds=silent_for),
            )
        return text
