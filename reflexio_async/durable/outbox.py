"""The outbox: calls that are accepted at once, and delivered in the background.

A call is a row before ``add`` returns. ``delivery.py`` sends the rows.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakValueDictionary, ref

import anyio

from reflexio_async._engine.option_checks import positive_count
from reflexio_async._engine.outbox_call import OutboxCall
from reflexio_async.durable.accounts import Accounts
from reflexio_async.durable.delivery import ELSEWHERE, LANE, OutboxDriver
from reflexio_async.durable.opening import store_on
from reflexio_async.durable.outbox_rows import OutboxRows
from reflexio_async.durable.rows import OutboxRow
from reflexio_async.durable.store import LEASE_SECONDS
from reflexio_async.errors import ClientClosed, InvalidRequest, ReflexioError, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Literal

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.engine import Engine
    from reflexio_async._engine.loops import LoopScope
    from reflexio_async._engine.tasks import TaskTracker
    from reflexio_async._engine.wire import EncodedRequest
    from reflexio_async.durable.delivery import Delivery
    from reflexio_async.durable.postgres import PostgresDatabase
    from reflexio_async.durable.rows import OutboxStats
    from reflexio_async.durable.store import Store
    from reflexio_async.durable.waker import Waker

MAX_ROWS = 100_000
"""Calls of one organisation that wait at most."""
MAX_BYTES = 256 * 2**20
"""Bytes of their requests at most."""

_LOOK = 5.0  # seconds between two looks for calls that nobody delivers


class _OnLoop:
    """What an Outbox has on one event loop."""

    def __init__(self, store: Store, driver: OutboxDriver) -> None:
        self.store = store
        self.rows = OutboxRows(store)
        self.driver = driver
        self.account = ""
        """The account that was written last."""
        self.room: OutboxStats | None = None
        self.counting = asyncio.Lock()
        self.watch: asyncio.Task[None] | None = None
        self.waker: Waker | None = None
        self.calls: WeakValueDictionary[str, OutboxCall[Any]] = WeakValueDictionary()


class Outbox:
    """The outbox of one client: on its way to one server, for one organisation.

    Args:
        open_store: Returns the open store of the client.
        url: The server's address.
        accounts: The client's accounts.
        deliveries: The kinds of call, by name.
        counted_as: Where a DrainSummary counts the calls that stay in the store.
        clock: The client's clock.
        tasks: The client's background tasks.
        survives: Whether the rows outlive the process.
        has_workers: Whether workers deliver what is accepted. Otherwise this process does.
    """

    def __init__(
        self,
        open_store: Callable[[LoopScope], Awaitable[Store]],
        *,
        url: str,
        accounts: Accounts,
        deliveries: Mapping[str, Delivery],
        counted_as: Literal["stored_publishes", "stored_traces"],
        clock: Clock,
        tasks: TaskTracker,
        survives: bool,
        has_workers: bool = False,
    ) -> None:
        self._open_store = open_store
        self._url = url
        self._accounts = accounts
        self._deliveries = deliveries
        self._counted_as = counted_as
        self._clock = clock
        self._tasks = tasks
        self._survives = survives
        self._has_workers = has_workers
        self.max_rows, self.max_bytes = MAX_ROWS, MAX_BYTES
        self.lease_seconds = LEASE_SECONDS
        self._undelivered: dict[str, str] = {}
        """The calls of this process that were accepted and not delivered: id → kind."""
        tasks.loops.senders.append(self)
        accounts.on_login(self._signed_in)
        tasks.observer.watch_outbox(self)

    @property
    def size(self) -> int | None:
        """How many calls wait, as this process knows; None: that is not known."""
        if not self._survives:
            return len(self._undelivered)
        here = self._here
        return None if self._has_workers or here is None or here.room is None else here.room.waiting

    async def add(self, call: str, row_id: str, session: str, request: EncodedRequest) -> OutboxCall[Any]:
        """Accept a call. It is in the store when this returns.

        Args:
            call: Its kind, a name in ``deliveries``.
            row_id: Its id, by which the server stores it once.
            session: Calls of one session are delivered in their order.
            request: The call, encoded.

        Raises:
            StoreError: The outbox is full, or cannot be used. Nothing was accepted.
            InvalidRequest: Another organisation's call, or one for another server, has the id already.
        """
        with self._tasks.observer.accepting(call):
            return await self._accept(call, row_id, session, self._tasks.observer.stamped(request))

    async def _accept(self, call: str, row_id: str, session: str, request: EncodedRequest) -> OutboxCall[Any]:
        here = await self._open()
        size = len(request.body or b"")
        await self._wait_for_room(here, size)
        account, now = self._accounts.current(), self._clock.time()
        handle = here.calls.get(row_id) or OutboxCall(call, row_id, self)
        here.calls[row_id] = handle
        if not self._survives:
            self._undelivered[row_id] = call
        row = OutboxRow(0, row_id, account, self._url, call, session, request, size, "waiting", 0, None, now)
        try:
            if here.account != account:
                await here.store.add_account(account, self._url, None)
                here.account = account
            if not await self._insert(here, row):
                self._leave_room(here, row)
        except BaseException as error:
            with anyio.CancelScope(shield=True), suppress(StoreError):
                # A write that was cancelled may be on the disk.
                if isinstance(error, ReflexioError) or not await here.rows.has_call(row_id):
                    self._undelivered.pop(row_id, None)
                    self._leave_room(here, row)
                else:
                    await self._added(here)
            raise
        await self._added(here)
        return handle

    async def _insert(self, here: _OnLoop, row: OutboxRow) -> bool:
        """Add ``row``. Return False if the call with its id is there already.

        Raises:
            InvalidRequest: That one is another organisation's, or for another server.
        """
        has_asked = False
        while not await here.rows.accept([row]):
            is_ours = await here.rows.belongs_to(row.id, row.url, row.account)
            if is_ours:
                return False
            if is_ours is None:
                continue  # it was delivered meanwhile
            if has_asked:
                message = (
                    f"{row.id!r:.100} is the id of a call in the store that is for another server or of "
                    "another organisation; give this one another id"
                )
                raise InvalidRequest(message)
            await self._accounts.organisation(here.store)  # it may not be known yet
            has_asked = True
        return True

    async def stats(self) -> OutboxStats:
        """What is in the outbox now: the calls of the client's organisation.

        Which keys belong to it, the store says. The server is not asked.
        """
        return await self._stats(await self._open())

    async def _stats(self, here: _OnLoop) -> OutboxStats:
        return await here.rows.stats(self._url, self._accounts.current(), self._clock.time())

    async def refused(self, limit: int = 100) -> list[OutboxRow]:
        """The calls of the organisation that were set aside, with the reasons; the oldest first.

        Args:
            limit: At most so many.
        """
        positive_count("limit", limit, error=InvalidRequest)
        here = await self._open()
        return await here.rows.set_aside_rows(self._url, self._accounts.current(), limit)

    async def retry_refused(self) -> int:
        """Deliver the calls of the organisation once more that were set aside. Return how many there are.

        Raises:
            ReflexioError: The organisation is not known yet, and the server cannot be asked for it.
        """
        here = await self._open()
        await self._accounts.organisation(here.store)
        count = await here.rows.put_back(self._url, self._accounts.current())
        await self._added(here)
        return count

    async def wake(self) -> None:
        """Deliver what other processes have left, now and when one of them is killed later."""
        here = await self._open()
        if await here.rows.has_calls(self._url):
            self._wake(here)
        self._watch_others(here)

    async def left_for(self, url: str) -> bool:
        """Whether calls to the server ``url`` wait in the store."""
        return await (await self._open()).rows.has_calls(url)

    async def deliver(self, seconds: float) -> bool:
        """Deliver what waits, for that many seconds, as a worker. Return whether something may be left.

        When it is cancelled, it waits for the responses to the calls that were sent.
        """
        here = await self._open()
        here.driver.lease_seconds = self.lease_seconds
        return await here.driver.deliver(seconds)

    async def organisation(self) -> str:
        """The organisation of the client's credential, as the store or else the server says."""
        return await self._accounts.organisation((await self._open()).store)

    async def look_at(self, call: OutboxCall[Any], ended: asyncio.Event) -> None:
        """Wait until ``call`` has ended, for a while. See whether another process has delivered it."""
        self._tasks.loops.check()
        with suppress(TimeoutError):
            async with self._clock.timeout(ELSEWHERE):
                await ended.wait()
        if ended.is_set():
            return
        if self._tasks.loops.closed:
            message = f"{call.request_id}: the client was closed before it was delivered"
            raise ClientClosed(message)
        here = await self._open()
        if not here.driver.idle.is_set():
            return  # this process delivers it
        state = await here.rows.state(call.request_id)
        if state is None:
            call.end(self._deliveries[call.kind].elsewhere(call.request_id))
        elif state[0] == "set_aside":
            call.end(error=StoreError(f"{call.request_id} was set aside: {state[1]}"))

    # For closing the client

    @property
    def busy(self) -> bool:
        """Whether it delivers calls now."""
        here = self._here
        return here is not None and not here.driver.idle.is_set()

    async def drained(self) -> None:
        """Wait until every call is delivered or set aside, as far as this process does it."""
        here = self._here
        if here is not None:
            await here.driver.idle.wait()

    def unanswered_starts(self) -> list[str]:
        """The names of the calls that are lost when the process ends now."""
        return [] if self._survives else [f"{call} {key}" for key, call in self._undelivered.items()]

    def running_tokens(self) -> list[str]:
        """None: calls have no tokens."""
        return []

    async def stored(self) -> dict[str, int]:
        """How many calls of the organisation wait in a file or a database. None if it was not used."""
        here = self._here
        if here is None or not self._survives:
            return {}
        return {self._counted_as: (await self._stats(here)).waiting}

    def leave_loop(self, reason: str) -> None:
        """End every wait. Rows in a file or a database stay."""
        here = self._here
        if here is None:
            return
        what = "it stays in the store" if self._survives else "it was not delivered"
        for call in list(here.calls.values()):
            call.end(error=ClientClosed(f"{call.request_id}: {reason}; {what}"))
        self._undelivered.clear()

    # Opening

    @property
    def _here(self) -> _OnLoop | None:
        return self._tasks.loops.scope.parts.get(self)

    async def _open(self) -> _OnLoop:
        scope = self._tasks.loops.enter()
        here: _OnLoop | None = scope.parts.get(self)
        if here is None:
            store = await self._open_store(scope)
            here = scope.part(self, lambda: _OnLoop(store, self._driver(store)))
        return here

    def _driver(self, store: Store) -> OutboxDriver:
        return OutboxDriver(
            store,
            self._url,
            self._accounts,
            self._deliveries,
            ended=self._ended,
            clock=self._clock,
            tasks=self._tasks,
            has_workers=self._has_workers,
        )

    # Room

    async def _wait_for_room(self, here: _OnLoop, size: int) -> None:
        """Wait while the outbox is full."""
        room = here.room
        if room is None or self._is_full(room, size):
            async with here.counting:  # what one caller takes, the next one must see
                room = here.room or await self._stats(here)
                while self._is_full(room, size):
                    await here.store.database.changed(ELSEWHERE)
                    room = await self._stats(here)
                here.room = self._with(room, size)
        else:
            here.room = self._with(room, size)

    def _is_full(self, room: OutboxStats, size: int) -> bool:
        return room.waiting >= self.max_rows or room.bytes + size > self.max_bytes

    @staticmethod
    def _with(room: OutboxStats, size: int) -> OutboxStats:
        return room._replace(waiting=room.waiting + 1, bytes=room.bytes + size)

    @staticmethod
    def _leave_room(here: _OnLoop, row: OutboxRow) -> None:
        if here.room is not None:
            here.room = here.room._replace(waiting=here.room.waiting - 1, bytes=here.room.bytes - row.bytes)

    # Delivering

    async def _added(self, here: _OnLoop) -> None:
        """Have the rows delivered that were added."""
        if not self._has_workers:
            self._wake(here)
            return
        if here.waker is None:
            database = cast("PostgresDatabase", here.store.database)
            here.waker = database.waker(self._url, self.organisation, self._clock, self._tasks)
        await here.waker.wake(LANE)

    def _wake(self, here: _OnLoop) -> None:
        here.driver.lease_seconds = self.lease_seconds
        here.driver.wake()
        self._watch_others(here)

    def _watch_others(self, here: _OnLoop) -> None:
        if here.watch is None and self._survives and not self._has_workers:
            here.watch = self._tasks.spawn(_watch(ref(self)), name="watch the outbox")

    async def take_over(self) -> None:
        """Deliver what waits in the store, if no process is known to do so."""
        here = self._here
        if here is None or here.driver.is_driving:
            return
        if await here.rows.has_calls(self._url, self._accounts.current()):
            self._wake(here)

    def _signed_in(self) -> None:
        here = self._here
        if here is not None:
            here.room = None  # the outbox of another organisation, perhaps
            here.driver.hurry()

    def _ended(self, row: OutboxRow, response: Any, error: Exception | None) -> None:
        self._undelivered.pop(row.id, None)
        here = self._here
        if here is None:
            return
        self._leave_room(here, row)
        call = here.calls.pop(row.id, None)
        if call is not None:
            call.end(response, error)


async def _watch(outbox: ref[Outbox]) -> None:
    """Deliver what other processes leave that are killed. This does not keep the client alive."""
    while True:
        await asyncio.sleep(_LOOK)  # other processes have no virtual clock
        found = outbox()
        if found is None:
            return
        with suppress(StoreError):
            await found.take_over()
        del found


def outbox_of(
    engine: Engine,
    deliveries: Mapping[str, Delivery],
    counted_as: Literal["stored_publishes", "stored_traces"],
) -> Outbox:
    """The outbox of the client with these parts."""
    caller, settings = engine.caller, engine.settings
    return Outbox(
        partial(store_on, settings=settings),
        url=settings.base_url,
        accounts=engine.durable.accounts
        if engine.durable
        else Accounts(caller.credentials, settings.base_url),
        deliveries=deliveries,
        counted_as=counted_as,
        clock=caller.clock,
        tasks=engine.tasks,
        survives=settings.store is not None,
        has_workers=settings.has_workers,
    )
