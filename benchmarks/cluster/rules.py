"""The rules of a lane, for the simulation: the real ``Store``, or the same rules in a few lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from reflexio_async._engine.clock import SystemClock
from reflexio_async._engine.wire import EncodedRequest
from reflexio_async.durable.rows import LaneKey, NewJob
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.durable.store import Store
from reflexio_async.errors import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async.durable.rows import Lease

LEASE = 15.0  # seconds, as in the library


class Row(NamedTuple):
    """A job as its store has it."""

    user: int
    state: str
    before: int | None
    operation: int | None


class Lost(Exception):
    """Another worker has the lane."""


class LaneRules(Protocol):
    """What a worker asks of the store. Writes of a holder that has lost its lease raise ``Lost``."""

    async def acquire(self, lane: int, now: float) -> tuple[int, str | None] | None: ...

    async def renew(self, lane: int, fence: int, now: float) -> None: ...

    async def release(self, lane: int, fence: int) -> None: ...

    async def next_row(self, lane: int) -> Row | None: ...

    async def write(self, lane: int, fence: int, row: Row, limiter: str) -> None: ...


@dataclass
class _Lane:
    users: int
    holder: bool = False
    lease_end: float = 0.0
    fence: int = 0
    limiter: str | None = None
    first: int = 0
    rows: dict[int, Row] = field(default_factory=dict[int, Row])


class Rules:
    """The rules of a store in a few lines."""

    def __init__(self, organisations: int, users: int) -> None:
        self._lanes = [_Lane(users) for _ in range(organisations)]

    async def acquire(self, lane: int, now: float) -> tuple[int, str | None] | None:
        held = self._lanes[lane]
        if held.holder and held.lease_end >= now:
            return None
        held.holder, held.lease_end, held.fence = True, now + LEASE, held.fence + 1
        return held.fence, held.limiter

    def _check(self, lane: int, fence: int) -> _Lane:
        held = self._lanes[lane]
        if held.fence != fence:
            raise Lost
        return held

    async def renew(self, lane: int, fence: int, now: float) -> None:
        self._check(lane, fence).lease_end = now + LEASE

    async def release(self, lane: int, fence: int) -> None:
        held = self._lanes[lane]
        if held.fence == fence:
            held.holder = False

    async def next_row(self, lane: int) -> Row | None:
        held = self._lanes[lane]
        if held.first >= held.users:
            return None
        return held.rows.get(held.first) or Row(held.first, "queued", None, None)

    async def write(self, lane: int, fence: int, row: Row, limiter: str) -> None:
        held = self._check(lane, fence)
        held.limiter = limiter
        if row.state == "ended":
            held.rows.pop(row.user, None)
            held.first = row.user + 1
        else:
            held.rows[row.user] = row


class StoreRules:
    """The real store, on SQLite in memory, with the simulated clock for its leases."""

    def __init__(self, store: Store, organisations: int) -> None:
        self._store = store
        self._keys = [LaneKey(f"http://org{n}", "org", "profiles") for n in range(organisations)]
        self._leases: dict[tuple[int, int], Lease] = {}

    @classmethod
    async def made(cls, organisations: int, users: int, now: Callable[[], float]) -> StoreRules:
        store = Store(SQLiteDatabase(":memory:", now), SystemClock())
        await store.open()
        request = EncodedRequest("POST", "/rerun", "/rerun", b"{}", "application/json")
        for lane in range(organisations):
            url = f"http://org{lane}"
            await store.add_account("a", url, "org")
            await store.add_jobs(
                [
                    NewJob(f"{lane}/{user}", "a", url, "profiles", "kind", request, {"user": user}, 0.0)
                    for user in range(users)
                ]
            )
        return cls(store, organisations)

    async def acquire(self, lane: int, now: float) -> tuple[int, str | None] | None:
        del now  # the database has its own
        lease = await self._store.acquire(self._keys[lane], "worker", LEASE)
        if lease is None:
            return None
        self._leases[lane, lease.fence] = lease
        return lease.fence, lease.limiter

    async def renew(self, lane: int, fence: int, now: float) -> None:
        del now
        try:
            await self._store.renew(self._leases[lane, fence], LEASE)
        except LeaseLost:
            raise Lost from None

    async def release(self, lane: int, fence: int) -> None:
        await self._store.release(self._leases[lane, fence])

    async def next_row(self, lane: int) -> Row | None:
        rows = await self._store.open_jobs(self._keys[lane], 1)
        if not rows:
            return None
        row = rows[0]
        before = None if row.before is None else row.before["operation"]
        operation = None if row.operation_id is None else int(row.operation_id)
        return Row(row.params["user"], row.state, before, operation)

    async def write(self, lane: int, fence: int, row: Row, limiter: str) -> None:
        try:
            await self._store.update_job(
                self._leases[lane, fence],
                f"{lane}/{row.user}",
                limiter=limiter,
                state=row.state,
                before={"operation": row.before},
                operation_id=None if row.operation is None else str(row.operation),
                outcome={"state": "completed"} if row.state == "ended" else None,
            )
        except LeaseLost:
            raise Lost from None
