"""Delivering what waits in an outbox, by the process that has the lease of its lane.

Rows of one session are delivered in their order, and several sessions at once. A row is deleted when the
server has its call. One that the server refuses is set aside with the reason, and the rows behind it go on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import random
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import uuid4

from reflexio_async._engine.logs import fields
from reflexio_async._engine.retry import Meaning, is_away, meaning_of
from reflexio_async.durable.leases import hold
from reflexio_async.durable.outbox_rows import OutboxRows
from reflexio_async.durable.rows import LaneKey
from reflexio_async.durable.store import LEASE_SECONDS
from reflexio_async.errors import ClientClosed, LeaseLost, ReflexioError, StoreError, printable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.rate_limits import RateLimiter
    from reflexio_async._engine.tasks import TaskTracker
    from reflexio_async.durable.accounts import Accounts
    from reflexio_async.durable.leases import HeldLease
    from reflexio_async.durable.rows import OutboxRow
    from reflexio_async.durable.store import Store

logger = logging.getLogger("reflexio_async")

LANE = "outbox"
ELSEWHERE = 1.0
"""Seconds between two looks at what another process does."""

_PAGE = 256  # rows that are read at once
_SESSIONS_AT_ONCE = 4  # a server works on four publishes at a time (server-behaviour: Concurrency)
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds between two tries
_HURRIED_PAUSE = 2.0  # seconds, when a call was accepted or the client has signed in
_TRIES = 5  # of a row that the server answers with an error which may pass
_ORPHANED = 60.0  # seconds for which the organisation of a call was not learned


class Delivery(NamedTuple):
    """How one kind of call is delivered.

    Attributes:
        deliver: Sends the call of a row. It may wait for a server that is away. It also gets whether an
            earlier try may have arrived, and a guard, which must be called last before bytes leave.
        repeatable: Whether a row that was sent before may be sent again. Otherwise, a row that may have
            arrived is set aside.
        elsewhere: Returns the response of a call that another process has delivered, given its id.
        limiter: The rate limit of such calls. Processes that deliver one after the other share what is known.
    """

    deliver: Callable[[OutboxRow, bool, Callable[[], None]], Awaitable[Any]]
    repeatable: bool
    elsewhere: Callable[[str], Any]
    limiter: RateLimiter


class Ended(Protocol):
    """Called with each row that was delivered, and its response; or that was set aside, and the error."""

    def __call__(self, row: OutboxRow, response: Any, error: Exception | None, /) -> None: ...  # noqa: D102


class OutboxDriver:
    """Delivers the calls of one client's outbox, on one event loop.

    Args:
        store: The open store.
        url: The server's address.
        accounts: The client's accounts.
        deliveries: The kinds of call, by name.
        ended: Called with each row that was delivered or set aside.
        clock: The client's clock.
        tasks: The client's background tasks.
        has_workers: Whether workers deliver, too.

    Attributes:
        lease_seconds: How long a lease lasts that is not renewed.
        idle: Set while it delivers nothing.
    """

    def __init__(
        self,
        store: Store,
        url: str,
        accounts: Accounts,
        deliveries: Mapping[str, Delivery],
        *,
        ended: Ended,
        clock: Clock,
        tasks: TaskTracker,
        has_workers: bool,
    ) -> None:
        self.lease_seconds = LEASE_SECONDS
        self.idle = asyncio.Event()
        self.idle.set()
        self._store = store
        self._rows = OutboxRows(store)
        self._url = url
        self._accounts = accounts
        self._deliveries = deliveries
        self._ended = ended
        self._clock = clock
        self._tasks = tasks
        self._has_workers = has_workers
        self._holder = f"{os.getpid()}-{uuid4().hex[:8]}"
        self._added = asyncio.Event()
        self._pauses: set[asyncio.Event] = set()
        self._driving: asyncio.Task[None] | None = None
        self._until = math.inf
        """When to stop, by the clock."""
        self._has_looked_for_orphans = False

    @property
    def is_driving(self) -> bool:
        """Whether it delivers, or waits for its turn."""
        return self._driving is not None and not self._driving.done()

    @property
    def is_over(self) -> bool:
        """Whether its time is over, so that something may be left."""
        return self._clock.now() >= self._until

    def wake(self) -> None:
        """Deliver what waits."""
        self._added.set()
        self.idle.clear()
        self.hurry()
        if not self.is_driving:
            self._driving = self._tasks.send(self._drive(), name=LANE)

    def hurry(self) -> None:
        """Shorten the pauses after errors: a call was accepted, or the client has signed in."""
        for hurried in self._pauses:
            hurried.set()

    async def deliver(self, seconds: float) -> bool:
        """Deliver what waits, for that many seconds, as a worker. Return whether something may be left.

        When it is cancelled, it waits for the responses to the calls that were sent.
        """
        self._until = self._clock.now() + seconds
        self.wake()
        try:
            await self.idle.wait()
        except asyncio.CancelledError:
            self._until = -math.inf
            await self.idle.wait()
            raise
        return self.is_over

    async def _drive(self) -> None:
        """Deliver what waits, whenever this process has the lease, until nothing waits."""
        pause = _SHORTEST_PAUSE
        while self._added.is_set() and not self.is_over:
            self._added.clear()
            try:
                account, login = self._accounts.current(), self._accounts.login
                lane = LaneKey(self._url, await self._accounts.organisation(self._store), LANE)
                async with hold(
                    self._store,
                    lane,
                    self._holder,
                    self._clock,
                    seconds=self.lease_seconds,
                    is_ours=partial(self._is_ours, login, account, lane),
                ) as held:
                    if held is not None:
                        self.idle.clear()
                        self._restore(held.lease.limiter)
                        try:
                            await self._deliver_all(held)
                        finally:
                            held.limiter = self._known()
                        pause = _SHORTEST_PAUSE
                        continue
                # Another process delivers. Look from time to time whether it still does.
                self.idle.set()
                if not self._has_workers and await self._rows.waiting(lane, 1):
                    self._added.set()
                    await self._store.database.changed(ELSEWHERE)
            except LeaseLost:
                self._added.set()
            except ClientClosed:
                break
            except ReflexioError as error:
                # The organisation could not be asked for, or the store is out of order. Nothing is lost.
                logger.warning(
                    "the outbox waits: %s", error, extra=fields("outbox_waits", error, url=self._url)
                )
                self._added.set()
                pause = await self._pause(pause)
        self.idle.set()

    def _known(self) -> str:
        """What is known of the rate limits, by the kind of call, as JSON."""
        return json.dumps({call: one.limiter.snapshot() for call, one in self._deliveries.items()})

    def _restore(self, known: str | None) -> None:
        for call, snapshot in json.loads(known or "{}").items():
            if call in self._deliveries and snapshot is not None:
                self._deliveries[call].limiter.restore(snapshot)

    async def _pause(self, pause: float) -> float:
        """Wait after an error. Return the pause after the next one."""
        seconds = pause * random.uniform(0.5, 1)  # noqa: S311  # jitter
        hurried = asyncio.Event()
        self._pauses.add(hurried)
        try:
            await self._clock.sleep(min(seconds, _HURRIED_PAUSE))
            async with self._clock.timeout(seconds - _HURRIED_PAUSE):
                await hurried.wait()
        except TimeoutError:
            pass
        finally:
            self._pauses.discard(hurried)
        return min(pause * 2, _LONGEST_PAUSE)

    def _is_ours(self, login: int, account: str, lane: LaneKey) -> bool:
        """Whether the client still has the login of ``lane``.

        Without organisations, each credential has a lane, and a client that signs in sends what waits.
        """
        return self._accounts.login == login or lane.org == account

    async def _deliver_all(self, held: HeldLease) -> None:
        last = 0
        while rows := await self._rows.waiting(held.lease.lane, _PAGE, after=last):
            if self.is_over:
                return
            last = rows[-1].seq
            sessions: dict[str, deque[OutboxRow]] = {}
            for row in rows:
                sessions.setdefault(row.session, deque()).append(row)
            queue = deque(sessions.values())

            async def work(queue: deque[deque[OutboxRow]] = queue) -> None:
                while queue:
                    for row in queue.popleft():
                        if self.is_over:
                            return
                        with self._tasks.observer.delivering(row.call, row.request):
                            await self._deliver(held, row)

            width = min(_SESSIONS_AT_ONCE, len(queue))
            tasks = [self._tasks.send(work(), name=LANE) for _ in range(width)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        await self._report_orphans()

    async def _report_orphans(self) -> None:
        """Say once that calls wait whose organisation nobody has learned, although the server answers."""
        if self._has_looked_for_orphans:
            return
        self._has_looked_for_orphans = True
        calls = await self._rows.count_orphans(self._url, self._clock.time() - _ORPHANED)
        if calls:
            logger.warning(
                "%s: %d calls to %s wait for a client with their key: it was replaced before their "
                "organisation was learned. `reflexio-async outbox` shows them, assigns or discards them",
                self._store.database.name,
                calls,
                self._url,
                extra=fields("organisation_unknown", url=self._url, store=self._store.database.name),
            )

    async def _deliver(self, held: HeldLease, row: OutboxRow) -> None:
        """Deliver one row, or set it aside. Wait as long as the server is away."""
        delivery = self._deliveries.get(row.call)
        if delivery is None:
            await self._set_aside(held, row, "this release does not know such a call", None)
            return
        if row.attempts and not delivery.repeatable:
            reason = "the process that sent it ended before the response came; it may have arrived"
            await self._set_aside(held, row, reason, None)
            return
        maybe_sent = bool(row.attempts)
        pause, tries = _SHORTEST_PAUSE, 0
        while pause == _SHORTEST_PAUSE or not self.is_over:
            if not maybe_sent:
                await self._rows.mark_sent(held.lease, row.id, sent=True)
            try:
                response = await delivery.deliver(row, maybe_sent, held.check)
            except (LeaseLost, ClientClosed):
                raise
            except ReflexioError as error:
                tries += not is_away(error)
                refusal = _reason_to_stop(error, delivery, tries)
                if refusal is not None:
                    await self._set_aside(held, row, refusal, error)
                    return
                logger.warning(
                    "%s %s waits: %s",
                    row.call,
                    row.id,
                    error,
                    extra=fields("delivery_waits", error, url=self._url, call=row.call),
                )
                maybe_sent = maybe_sent or bool(getattr(error, "outcome_unknown", False))
                if not maybe_sent:
                    await self._rows.mark_sent(held.lease, row.id, sent=False)
                pause = await self._pause(pause)
            else:
                await self._rows.delivered(held.lease, [row.id])
                self._ended(row, response, None)
                return

    async def _set_aside(
        self, held: HeldLease, row: OutboxRow, reason: str, error: ReflexioError | None
    ) -> None:
        await self._rows.set_aside(held.lease, row.id, printable(reason))
        failure = error or StoreError(f"{row.call} {row.id} was set aside: {reason}")
        self._tasks.observer.set_aside(type(failure).__name__)
        self._tasks.report(f"{row.call} {row.id}, which was set aside,", failure)
        self._ended(row, None, failure)


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
