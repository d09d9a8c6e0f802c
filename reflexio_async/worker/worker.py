"""Drives lanes of a store: one worker."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar, cast
from uuid import uuid4

from procrastinate import Blueprint
from procrastinate.exceptions import ConnectorException

from reflexio_async._engine.logs import fields
from reflexio_async._engine.option_checks import positive_count, positive_seconds
from reflexio_async._engine.settings import ClientOptions, Settings
from reflexio_async.durable.cluster import NAMESPACE, QUEUE, Cluster
from reflexio_async.durable.delivery import LANE as OUTBOX
from reflexio_async.durable.opening import open_store
from reflexio_async.durable.rows import LaneKey
from reflexio_async.durable.store import LEASE_SECONDS
from reflexio_async.errors import ConfigurationError, ReflexioError, StoreError
from reflexio_async.worker.keys import Keyring, Organisation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from types import TracebackType

    from procrastinate import App, JobContext

    from reflexio_async.durable.postgres import PostgresDatabase
    from reflexio_async.worker.keys import Client, Key

T = TypeVar("T")
logger = logging.getLogger("reflexio_async")

LANES = 20
"""Lanes that one worker drives at once. One more may have the place of the look for lanes that nobody has."""
CONNECTIONS = 8
"""A worker's connections to Postgres. Two more wait for notifications."""
SLICE_SECONDS = 60.0
"""Seconds for which a lane is driven, before other lanes have their turn."""

_LOOK = 10.0  # seconds between two looks for lanes that nobody drives
_SHORTEST_LOOK = 0.1
_RETRY = 5.0  # seconds until a lane is driven again that could not be driven
_UNKNOWN_AGAIN = 30.0  # seconds until a worker may try a lane again whose key one did not have
_CLOSE_AFTER = 60.0  # seconds without a lane, after which an organisation's client is closed
_STOP_SECONDS = 20.0  # containers are killed after ten to thirty seconds
_POLL = 1.0  # seconds between two looks for drains: a lock that becomes free notifies nobody


class WorkerStats(NamedTuple):
    """What a worker does now.

    Attributes:
        driving: The lanes that it drives.
        without_key: Lanes that have rows, and whose organisation this worker has no key for. They wait.
        unknown: How many lanes have rows, and their organisation is not known. They wait for a client that
            can ask the server.
    """

    driving: tuple[LaneKey, ...]
    without_key: tuple[LaneKey, ...]
    unknown: int


class Worker:
    """Drives lanes of a store.

    ``run`` runs a worker of procrastinate that does nothing else. To run one of your own app, add
    ``blueprint`` to the app, and use ``async with worker`` around its worker. All workers of a store should
    know the same organisations.

    Args:
        store: The store's address: ``postgresql://…``.
        organisations: The servers and keys of organisations, by any name.
        credentials: Called with the address and the organisation's id of a lane that belongs to none of
            ``organisations``. Returns the key there, or None; may be a coroutine function. It is asked again
            for a lane that is driven again after a minute.
        lanes: How many lanes are driven at once, 20 by default; now and then one more.
        connections: Connections to Postgres, 8 by default. Two more wait for notifications.
        lease_seconds: How long a worker that is gone keeps its lanes, 15 by default.
        slice_seconds: How long a lane is driven, before others have their turn, 60 by default.
        name: A name for this worker. It is made of the machine's by default.
        client_options: Options of the clients that send the calls.

    Raises:
        ConfigurationError: An argument is unusable.
    """

    def __init__(
        self,
        store: str,
        organisations: Mapping[str, Organisation] | None = None,
        *,
        credentials: Callable[[str, str], Key | Awaitable[Key]] | None = None,
        lanes: int = LANES,
        connections: int = CONNECTIONS,
        lease_seconds: float = LEASE_SECONDS,
        slice_seconds: float = SLICE_SECONDS,
        name: str | None = None,
        client_options: ClientOptions | None = None,
    ) -> None:
        if "://" not in str(store):
            message = "a worker needs a store in Postgres. With a file, every client drives its jobs itself"
            raise ConfigurationError(message)
        for option, count in (("lanes", lanes), ("connections", connections)):
            positive_count(option, count, error=ConfigurationError)
        for option, seconds in (("lease_seconds", lease_seconds), ("slice_seconds", slice_seconds)):
            positive_seconds(option, seconds, error=ConfigurationError)
        _check_keys(organisations, credentials)
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        self._database = cast("PostgresDatabase", open_store(Settings("http://unused", store=store)).database)
        self._database.connections = max(connections, self._database.connections)
        self._lanes = lanes
        self._lease_seconds = lease_seconds
        self._slice_seconds = slice_seconds
        # Drains wait for what they have sent. When they are ended, the time for that is over.
        options: ClientOptions = {**(client_options or {}), "drain_timeout": 0.0, "store": store}
        self._keyring = Keyring(organisations or {}, credentials, options)
        self._cluster = Cluster(self._database)
        self._used: Cluster | None = None
        self._driving: dict[LaneKey, None] = {}
        self._without_key: dict[LaneKey, None] = {}
        self._unknown = 0
        self._stopping = asyncio.Event()
        self._stack: AsyncExitStack | None = None
        self.blueprint = self._new_blueprint()

    def _new_blueprint(self) -> Blueprint:
        blueprint = Blueprint()

        @blueprint.task(name="drain", queue=QUEUE, pass_context=True)
        async def drain(context: JobContext, url: str, org: str, name: str) -> None:
            await self._drain(self._cluster_of(context.app), LaneKey(url, org, name))

        @blueprint.periodic(cron="* * * * * */10")
        @blueprint.task(name="look", queue=QUEUE, queueing_lock=f"{NAMESPACE}:look", pass_context=True)
        async def look(context: JobContext, timestamp: int) -> None:  # noqa: ARG001  # procrastinate gives it
            await self._look(self._cluster_of(context.app))

        return blueprint

    def _cluster_of(self, app: App) -> Cluster:
        """The cluster whose drains ``app`` runs: our own app, or one of the user's."""
        if self._used is None or self._used.app is not app:
            self._used = self._cluster if self._cluster.app is app else Cluster(self._database, app)
        return self._used

    async def __aenter__(self) -> Self:
        self._stopping.clear()
        async with AsyncExitStack() as stack:
            await self._database.open()
            stack.push_async_callback(self._database.aclose)
            stack.push_async_callback(self._keyring.close)
            await self._cluster.open()
            await self._cluster.seen(self.name)
            stack.push_async_callback(self._forget)
            watch = asyncio.create_task(self._watch(), name=f"watch of {self.name}")
            stack.push_async_callback(_cancelled, watch)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()

    async def _forget(self) -> None:
        with suppress(StoreError):
            await self._cluster.forget(self.name)

    async def run(self) -> None:
        """Work until this is cancelled. Then wait for what was sent, and leave the lanes to others."""
        async with self:
            app = await self._cluster.open()
            app.add_tasks_from(self.blueprint, namespace=NAMESPACE)
            while True:
                working = asyncio.create_task(self._work(app), name=f"worker {self.name}")
                try:
                    await asyncio.shield(working)
                except asyncio.CancelledError:
                    self._stopping.set()
                    await _cancelled(working)
                    raise
                except (ConnectorException, ReflexioError) as error:
                    logger.warning(
                        "%s: the database is away: %s",
                        self.name,
                        error.__cause__ or error,
                        extra=fields("store_unreadable", error, worker=self.name),
                    )
                # It has ended because the database was away, or because this process was frozen.
                await asyncio.sleep(_POLL)

    async def _work(self, app: App) -> None:
        await app.run_worker_async(
            queues=[QUEUE],
            name=self.name,
            concurrency=self._lanes + 1,  # one for ``look``
            fetch_job_polling_interval=_POLL,
            shutdown_graceful_timeout=_STOP_SECONDS,
            delete_jobs="always",
            install_signal_handlers=False,
            update_heartbeat_interval=self._lease_seconds / 3,
            stalled_worker_timeout=2 * self._lease_seconds,
        )

    def stats(self) -> WorkerStats:
        """What this worker does now."""
        return WorkerStats(tuple(self._driving), tuple(self._without_key), self._unknown)

    # Driving

    async def _drain(self, cluster: Cluster, lane: LaneKey) -> None:
        """Drive ``lane`` for a while. If something is left, have it driven again, by any worker.

        It never raises: procrastinate would keep the lock of a drain that it cannot queue again.
        """
        if self._stopping.is_set():
            await self._later(cluster, lane, 0.0)
            return
        self._driving[lane] = None
        again: float | None = _RETRY
        try:
            account = await self._keyring.account_of(lane)
            if account is None:
                self._missing(lane)
                again = _UNKNOWN_AGAIN
            else:
                self._without_key.pop(lane, None)
                async with account.client() as client:
                    again = await self._drive(client, lane)
        except ReflexioError as error:
            logger.warning(
                "%s: %s of %s is tried again: %s",
                self.name,
                lane.name,
                lane.url,
                error,
                extra=fields("lane_failed", error, worker=self.name, service=lane.name, url=lane.url),
            )
        except Exception as error:
            logger.exception(
                "%s: %s of %s could not be driven",
                self.name,
                lane.name,
                lane.url,
                extra=fields("lane_failed", error, worker=self.name, service=lane.name, url=lane.url),
            )
        finally:
            self._driving.pop(lane, None)
        if again is not None:
            await self._later(cluster, lane, again)

    async def _later(self, cluster: Cluster, lane: LaneKey, seconds: float) -> None:
        with suppress(StoreError):  # the next look for lanes that nobody drives finds it
            await cluster.wake(lane, seconds)

    async def _drive(self, client: Client, lane: LaneKey) -> float | None:
        """Drive ``lane``. Return the seconds until it should be driven again; None: nothing is left."""
        if lane.name == OUTBOX:
            client.outbox.lease_seconds = self._lease_seconds
            left = await self._until_stopping(client.outbox.deliver(self._slice_seconds), stopped=True)
            return 0.0 if left else None
        durable = client._engine.durable  # noqa: SLF001  # of this package
        if durable is None:  # of a service without such jobs
            return None
        durable.lease_seconds = self._lease_seconds
        return await self._until_stopping(durable.drive(lane, self._slice_seconds), stopped=0.0)

    async def _until_stopping(self, work: Coroutine[object, object, T], *, stopped: T) -> T:
        """Return what ``work`` returns; ``stopped`` when this worker is being stopped: it was cancelled."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            return await working if working.done() else stopped
        finally:
            await _cancelled(stopping)
            await _cancelled(working)

    def _missing(self, lane: LaneKey) -> None:
        if lane not in self._without_key:
            logger.warning(
                "%s: rows of %s for the organisation %r at %s wait: this worker has no key for it",
                self.name,
                lane.name,
                lane.org,
                lane.url,
                extra=fields(
                    "lane_without_key",
                    worker=self.name,
                    service=lane.name,
                    organisation=lane.org,
                    url=lane.url,
                ),
            )
        self._without_key[lane] = None

    # Looking after lanes that nobody drives

    async def _look(self, cluster: Cluster) -> None:
        """Wake every lane that has rows and that nobody drives. One worker does this, every ten seconds."""
        try:
            await cluster.free_ended()
            await cluster.free(self._silent_seconds)
            await self._learn(cluster)
            await cluster.wake_lanes_without_lease()
        except (StoreError, ConnectorException) as error:
            logger.warning(
                "%s: the lanes that nobody drives cannot be read: %s",
                self.name,
                error,
                extra=fields("lanes_unreadable", error, worker=self.name),
            )

    async def _learn(self, cluster: Cluster) -> None:
        """Learn the organisations of rows whose clients could not ask the server for it."""
        if await cluster.unknown_accounts():
            await self._keyring.learn()
        unknown, self._unknown = self._unknown, await cluster.unknown_accounts()
        if self._unknown and not unknown:
            message = "%s: rows of %d lanes wait: their organisation is not known, and no key here is theirs"
            logger.warning(
                message, self.name, self._unknown, extra=fields("organisation_unknown", worker=self.name)
            )

    @property
    def _silent_seconds(self) -> float:
        """Seconds without a heartbeat, after which a worker is gone. Its leases are over then, or soon."""
        return self._lease_seconds * 0.6

    async def _watch(self) -> None:
        """Wake lanes as soon as their leases are over. Every worker does this."""
        while True:
            wait = min(_LOOK, self._lease_seconds)  # a lease that is taken now lasts as long
            try:
                await self._cluster.seen(self.name)
                expired = await self._cluster.expired_leases()
                cluster = self._used or self._cluster
                if expired.lanes:
                    await cluster.free(self._silent_seconds)
                    for lane in expired.lanes:
                        await cluster.wake(lane)
                if expired.next_end is not None:
                    wait = min(wait, max(expired.next_end + _SHORTEST_LOOK, _SHORTEST_LOOK))
                if expired.lanes:
                    wait = min(wait, 1.0)
            except (StoreError, ConnectorException) as error:
                logger.warning(
                    "%s: leases cannot be watched: %s",
                    self.name,
                    error,
                    extra=fields("lanes_unreadable", error, worker=self.name),
                )
            await self._keyring.close(_CLOSE_AFTER)
            await asyncio.sleep(wait)


async def _cancelled(task: asyncio.Task[object]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _check_keys(organisations: object, credentials: object) -> None:
    if organisations is not None and not isinstance(organisations, Mapping):
        message = (
            f"organisations must be a mapping of names to Organisation, not {type(organisations).__name__}"
        )
        raise ConfigurationError(message)
    for name, organisation in cast("Mapping[object, object]", organisations or {}).items():
        if not isinstance(organisation, Organisation):
            message = (
                f"organisations[{name!r:.40}] must be an Organisation, not {type(organisation).__name__}"
            )
            raise ConfigurationError(message)
    if credentials is not None and not callable(credentials):
        message = f"credentials must be callable, not {type(credentials).__name__}"
        raise ConfigurationError(message)
