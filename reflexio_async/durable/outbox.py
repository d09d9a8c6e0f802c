"""The outbox: calls that are accepted at once, and delivered in the background.

A call is a row before ``add`` returns. Rows of one session are delivered in their order, and several sessions
at once. A row is deleted when the server has its call. One that the server refuses is set aside with the
reason, and the rows behind it go on.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from uuid import uuid4
from weakref import WeakValueDictionary, ref

import anyio

from reflexio_async._engine.outbox_call import OutboxCall
from reflexio_async._engine.retry import Meaning, is_away, meaning_of
from reflexio_async.durable.accounts import account_of, organisation_of
from reflexio_async.durable.leases import hold
from reflexio_async.durable.opening import store_on
from reflexio_async.durable.rows import LaneKey, OutboxRow
from reflexio_async.durable.store import LEASE_SECONDS
from reflexio_async.errors import ClientClosed, LeaseLost, ReflexioError, StoreError, printable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.engine import Engine
    from reflexio_async._engine.loops import LoopScope
    from reflexio_async._engine.tasks import TaskTracker
    from reflexio_async._engine.wire import EncodedRequest
    from reflexio_async.durable.leases import HeldLease
    from reflexio_async.durable.postgres import PostgresDatabase
    from reflexio_async.durable.rows import OutboxStats
    from reflexio_async.durable.store import Store
    from reflexio_async.durable.waker import Waker

logger = logging.getLogger("reflexio_async")

LANE = "outbox"
MAX_ROWS = 100_000
"""Calls that wait in an outbox at most."""
MAX_BYTES = 256 * 2**20
"""Bytes of their requests at most."""

_PAGE = 256  # rows that are read at once
_SESSIONS_AT_ONCE = 4  # a server works on four publishes at a time (server-behaviour: Concurrency)
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds between two tries of one row
_TRIES = 5  # of a row that the server answers with an error which may pass
_ELSEWHERE = 1.0  # seconds between looks at what another process does
_LOOK = 5.0  # seconds between two looks for calls that nobody delivers


class Delivery(NamedTuple):
    """How one kind of call is delivered.

    Attributes:
        deliver: Sends the call of a row. It may wait for a server that is away. It also gets whether an
            earlier try may have arrived, and a guard, which must be called last before bytes leave.
        repeatable: Whether a row that was sent before may be sent again. Otherwise, a row that may have
            arrived is set aside.
        elsewhere: Returns the response of a call that another process has delivered, given its id.
    """

    deliver: Callable[[OutboxRow, bool, Callable[[], None]], Awaitable[Any]]
    repeatable: bool
    elsewhere: Callable[[str], Any]


class _OnLoop:
    """What an Outbox has on one event loop."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.account = ""
        """The account that was written last."""
        self.room: OutboxStats | None = None
        self.counting = asyncio.Lock()
        self.added = asyncio.Event()
        self.driver: asyncio.Task[None] | None = None
        self.watch: asyncio.Task[None] | None = None
        self.idle = asyncio.Event()
        self.idle.set()
        self.until = math.inf
        """When to stop delivering, by the clock."""
        self.waker: Waker | None = None
        self.calls: WeakValueDictionary[str, OutboxCall[Any]] = WeakValueDictionary()


class Outbox:
    """The outbox of one client: on its way to one server, for one organisation.

    Args:
        open_store: Returns the open store of the client.
        url: The server's address.
        account: Returns the account of the client's credential.
        organisation: Asks the server for the organisation of that account.
        deliveries: The kinds of call, by name.
        clock: The client's clock.
        tasks: The client's background tasks.
        survives: Whether the rows outlive the process.
        has_workers: Whether workers deliver what is accepted. Otherwise this process does.
        max_rows: Calls that may wait at most. More make their callers wait.
        max_bytes: Bytes of their requests at most.
    """

    def __init__(
        self,
        open_store: Callable[[LoopScope], Awaitable[Store]],
        *,
        url: str,
        account: Callable[[], str],
        organisation: Callable[[], Awaitable[str]],
        deliveries: Mapping[str, Delivery],
        clock: Clock,
        tasks: TaskTracker,
        survives: bool,
        has_workers: bool = False,
        max_rows: int = MAX_ROWS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._open_store = open_store
        self._url = url
        self._account = account
        self._ask_organisation = organisation
        self._deliveries = deliveries
        self._clock = clock
        self._tasks = tasks
        self._survives = survives
        self._has_workers = has_workers
        self.max_rows, self.max_bytes = max_rows, max_bytes
        self.lease_seconds = LEASE_SECONDS
        self._holder = f"{os.getpid()}-{uuid4().hex[:8]}"
        self._undelivered: dict[str, str] = {}
        """The calls of this process that were accepted and not delivered: id → kind."""
        tasks.loops.senders.append(self)

    async def add(self, call: str, row_id: str, session: str, request: EncodedRequest) -> OutboxCall[Any]:
        """Accept a call. It is in the store when this returns.

        Args:
            call: Its kind, a name in ``deliveries``.
            row_id: Its id, by which the server stores it once.
            session: Calls of one session are delivered in their order.
            request: The call, encoded.

        Raises:
            StoreError: The outbox is full, or cannot be used. Nothing was accepted.
        """
        here = await self._open()
        size = len(request.body or b"")
        await self._wait_for_room(here, size)
        account, now = self._account(), self._clock.time()
        handle = here.calls.get(row_id) or OutboxCall(call, row_id, self)
        here.calls[row_id] = handle
        if not self._survives:
            self._undelivered[row_id] = call
        row = OutboxRow(0, row_id, account, self._url, call, session, request, size, "waiting", 0, None, now)
        try:
            if here.account != account:
                await here.store.add_account(account, self._url, None)
                here.account = account
            await here.store.accept([row])
        except BaseException as error:
            with anyio.CancelScope(shield=True), suppress(StoreError):
                # A write that was cancelled may be on the disk.
                if isinstance(error, StoreError) or not await here.store.has_call(row_id):
                    self._undelivered.pop(row_id, None)
                    self._leave_room(here, row)
                else:
                    await self._added(here)
            raise
        await self._added(here)
        return handle

    async def stats(self) -> OutboxStats:
        """What is in the outbox now."""
        return await (await self._open()).store.outbox_stats(self._url, self._clock.time())

    async def refused(self, limit: int = 100) -> list[OutboxRow]:
        """The calls that were set aside, with the reasons; the oldest first."""
        return await (await self._open()).store.set_aside_rows(self._url, limit)

    async def retry_refused(self) -> int:
        """Deliver the calls that were set aside once more. Return how many there are."""
        here = await self._open()
        count = await here.store.put_back(self._url)
        await self._added(here)
        return count

    async def wake(self) -> None:
        """Deliver what other processes have left, now and when one of them is killed later."""
        here = await self._open()
        if await here.store.has_calls(self._url):
            self._wake(here)
        self._watch_others(here)

    async def left_for(self, url: str) -> bool:
        """Whether calls to the server ``url`` wait in the store."""
        return await (await self._open()).store.has_calls(url)

    async def deliver(self, seconds: float) -> bool:
        """Deliver what waits, for that many seconds, as a worker. Return whether something may be left.

        When it is cancelled, it waits for the responses to the calls that were sent.
        """
        here = await self._open()
        here.until = self._clock.now() + seconds
        self._wake(here)
        try:
            await here.idle.wait()
        except asyncio.CancelledError:
            here.until = -math.inf
            await here.idle.wait()
            raise
        return self._is_over(here)

    async def look_at(self, call: OutboxCall[Any], ended: asyncio.Event) -> None:
        """Wait until ``call`` has ended, for a while. See whether another process has delivered it."""
        self._tasks.loops.check()
        with suppress(TimeoutError):
            async with self._clock.timeout(_ELSEWHERE):
                await ended.wait()
        if ended.is_set():
            return
        if self._tasks.loops.closed:
            message = f"{call.request_id}: the client was closed before it was delivered"
            raise ClientClosed(message)
        here = await self._open()
        if not here.idle.is_set():
            return  # this process delivers it
        state = await here.store.outbox_state(call.request_id)
        if state is None:
            call.end(self._deliveries[call.kind].elsewhere(call.request_id))
        elif state[0] == "set_aside":
            call.end(error=StoreError(f"{call.request_id} was set aside: {state[1]}"))

    # For closing the client

    @property
    def busy(self) -> bool:
        """Whether it delivers calls now."""
        here = self._here
        return here is not None and not here.idle.is_set()

    async def drained(self) -> None:
        """Wait until every call is delivered or set aside, as far as this process does it."""
        here = self._here
        if here is not None:
            await here.idle.wait()

    def unanswered_starts(self) -> list[str]:
        """The names of the calls that are lost when the process ends now."""
        return [] if self._survives else [f"{call} {key}" for key, call in self._undelivered.items()]

    def running_tokens(self) -> list[str]:
        """None: calls have no tokens."""
        return []

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
            here = scope.part(self, lambda: _OnLoop(store))
        return here

    async def _wait_for_room(self, here: _OnLoop, size: int) -> None:
        """Wait while the outbox is full."""
        room = here.room
        if room is None or self._is_full(room, size):
            async with here.counting:  # what one caller takes, the next one must see
                room = here.room or await self.stats()
                while self._is_full(room, size):
                    await here.store.database.changed(_ELSEWHERE)
                    room = await self.stats()
                here.room = self._with(room, size)
        else:
            here.room = self._with(room, size)

    def _is_full(self, room: OutboxStats, size: int) -> bool:
        return room.waiting >= self.max_rows or room.bytes + size > self.max_bytes

    @staticmethod
    def _with(room: OutboxStats, size: int) -> OutboxStats:
        return room._replace(waiting=room.waiting + 1, bytes=room.bytes + size)

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

    async def organisation(self) -> str:
        """The organisation of the client's credential, as the store or else the server says."""
        here = await self._open()
        return await organisation_of(here.store, self._account(), self._url, self._ask_organisation)

    def _wake(self, here: _OnLoop) -> None:
        here.added.set()
        here.idle.clear()
        if here.driver is None or here.driver.done():
            here.driver = self._tasks.send(self._drive(here), name=LANE)
        self._watch_others(here)

    def _watch_others(self, here: _OnLoop) -> None:
        if here.watch is None and self._survives and not self._has_workers:
            here.watch = self._tasks.spawn(_watch(ref(self), here), name="watch the outbox")

    async def _take_over(self, here: _OnLoop) -> None:
        """Deliver what waits in the store, if no process is known to do so."""
        is_driven = here.driver is not None and not here.driver.done()
        if not is_driven and await here.store.has_calls(self._url, self._account()):
            self._wake(here)

    async def _drive(self, here: _OnLoop) -> None:
        """Deliver what waits, whenever this process has the lease, until nothing waits."""
        pause = _SHORTEST_PAUSE
        while here.added.is_set() and not self._is_over(here):
            here.added.clear()
            try:
                account = self._account()
                lane = LaneKey(self._url, await self.organisation(), LANE)
                async with hold(
                    here.store,
                    lane,
                    self._holder,
                    self._clock,
                    seconds=self.lease_seconds,
                    is_ours=partial(self._is_ours, account, lane),
                ) as held:
                    if held is not None:
                        here.idle.clear()
                        await self._deliver_all(here, held)
                        continue
                # Another process delivers. Look from time to time whether it still does.
                here.idle.set()
                if not self._has_workers and await here.store.waiting(lane, 1):
                    here.added.set()
                    await here.store.database.changed(_ELSEWHERE)
            except LeaseLost:
                here.added.set()
            except ClientClosed:
                break
            except ReflexioError as error:
                # The organisation could not be asked for, or the store is out of order. Nothing is lost.
                logger.warning("the outbox waits: %s", error)
                here.added.set()
                await self._clock.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # jitter
                pause = min(pause * 2, _LONGEST_PAUSE)
        here.idle.set()

    def _is_ours(self, account: str, lane: LaneKey) -> bool:
        """Whether the client still has the credential of ``lane``.

        Without organisations, each credential has a lane, and a client that signs in sends what waits.
        """
        return self._account() == account or lane.org == account

    def _is_over(self, here: _OnLoop) -> bool:
        return self._clock.now() >= here.until

    async def _deliver_all(self, here: _OnLoop, held: HeldLease) -> None:
        last = 0
        while rows := await here.store.waiting(held.lease.lane, _PAGE, after=last):
            if self._is_over(here):
                return
            last = rows[-1].seq
            sessions: dict[str, deque[OutboxRow]] = {}
            for row in rows:
                sessions.setdefault(row.session, deque()).append(row)
            queue = deque(sessions.values())

            async def work(queue: deque[deque[OutboxRow]] = queue) -> None:
                while queue:
                    for row in queue.popleft():
                        if self._is_over(here):
                            return
                        await self._deliver(here, held, row)

            width = min(_SESSIONS_AT_ONCE, len(queue))
            tasks = [self._tasks.send(work(), name=LANE) for _ in range(width)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, here: _OnLoop, held: HeldLease, row: OutboxRow) -> None:
        """Deliver one row, or set it aside. Wait as long as the server is away."""
        delivery = self._deliveries.get(row.call)
        if delivery is None:
            await self._set_aside(here, held, row, "this release does not know such a call", None)
            return
        if row.attempts and not delivery.repeatable:
            reason = "the process that sent it ended before the response came; it may have arrived"
            await self._set_aside(here, held, row, reason, None)
            return
        maybe_sent = bool(row.attempts)
        pause, tries = _SHORTEST_PAUSE, 0
        while pause == _SHORTEST_PAUSE or not self._is_over(here):
            if not maybe_sent:
                await here.store.mark_sent(held.lease, row.id, sent=True)
            try:
                response = await delivery.deliver(row, maybe_sent, held.check)
            except (LeaseLost, ClientClosed):
                raise
            except ReflexioError as error:
                tries += not is_away(error)
                refusal = self._reason_to_stop(error, delivery, tries)
                if refusal is not None:
                    await self._set_aside(here, held, row, refusal, error)
                    return
                logger.warning("%s %s waits: %s", row.call, row.id, error)
                maybe_sent = maybe_sent or bool(getattr(error, "outcome_unknown", False))
                if not maybe_sent:
                    await here.store.mark_sent(held.lease, row.id, sent=False)
                await self._clock.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # jitter
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                await here.store.delivered(held.lease, [row.id])
                self._end(here, row, response, None)
                return

    @staticmethod
    def _reason_to_stop(error: ReflexioError, delivery: Delivery, tries: int) -> str | None:
        """Why the call cannot be delivered; None when it may be tried again."""
        if getattr(error, "outcome_unknown", False) and not delivery.repeatable:
            return f"it may have arrived: {error}"
        meaning = meaning_of(error)
        if is_away(error) or meaning is Meaning.CREDENTIAL:
            return None
        if meaning is Meaning.LATER and tries < _TRIES:
            return None
        return str(error)

    async def _set_aside(
        self, here: _OnLoop, held: HeldLease, row: OutboxRow, reason: str, error: ReflexioError | None
    ) -> None:
        await here.store.set_aside(held.lease, row.id, printable(reason))
        failure = error or StoreError(f"{row.call} {row.id} was set aside: {reason}")
        self._tasks.report(f"{row.call} {row.id}, which was set aside,", failure)
        self._end(here, row, None, failure)

    @staticmethod
    def _leave_room(here: _OnLoop, row: OutboxRow) -> None:
        if here.room is not None:
            here.room = here.room._replace(waiting=here.room.waiting - 1, bytes=here.room.bytes - row.bytes)

    def _end(self, here: _OnLoop, row: OutboxRow, response: Any, error: Exception | None) -> None:
        self._undelivered.pop(row.id, None)
        self._leave_room(here, row)
        call = here.calls.pop(row.id, None)
        if call is not None:
            call.end(response, error)


async def _watch(outbox: ref[Outbox], here: _OnLoop) -> None:
    """Deliver what other processes leave that are killed. This does not keep the client alive."""
    while True:
        await asyncio.sleep(_LOOK)  # other processes have no virtual clock
        found = outbox()
        if found is None:
            return
        with suppress(StoreError):
            await found._take_over(here)  # noqa: SLF001  # of this file
        del found


async def _unknown() -> str:
    return ""


def outbox_of(
    engine: Engine, deliveries: Mapping[str, Delivery], organisation: Callable[[], Awaitable[str]] = _unknown
) -> Outbox:
    """The outbox of the client with these parts. ``organisation`` asks its server for its organisation."""
    caller, settings = engine.caller, engine.settings
    survives = settings.store is not None
    return Outbox(
        partial(store_on, settings=settings),
        url=settings.base_url,
        account=lambda: account_of(caller.credentials.header),
        organisation=organisation if survives else _unknown,
        deliveries=deliveries,
        clock=caller.clock,
        tasks=engine.tasks,
        survives=survives,
        has_workers=settings.has_workers,
    )
