"""A batch in a store: one row for every key."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async.durable.lane import patient
from reflexio_async.durable.leases import hold
from reflexio_async.durable.outcomes import WITHDRAWN
from reflexio_async.durable.rows import BatchRow, LaneKey, NewJob, RowState
from reflexio_async.errors import InvalidRequest, JobCancelled, LeaseLost, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reflexio_async._engine.jobs.kinds import SlotKind
    from reflexio_async._engine.jobs.slot_job import Start
    from reflexio_async._engine.settings import Settings
    from reflexio_async.durable.job import StoredJob
    from reflexio_async.durable.jobs import DurableJobs
    from reflexio_async.durable.rows import JobProgress

T = TypeVar("T")
R = TypeVar("R", bound=BaseModel)

PROMOTION = "promotion"
"""The name of an organisation's lane in which batches are promoted, one after another."""

_CHUNK = 500  # keys that are stored at once
_ELSEWHERE = 1.0  # seconds between two looks whether another process has promoted the batch
_WITHDRAW_AGAIN = 0.25  # seconds until a batch is withdrawn again that could not be
_READ_AHEAD = 50  # keys whose rows are read at once


class StoredBatch(Generic[T]):
    """The rows of one batch.

    Args:
        durable: The jobs of the client.
        batch_id: The id. A batch that has it already is continued.
        kind: The kind of its jobs.
        settings: The settings of the batch.
        start: Returns the start for a key, and the parameters that the status repeats.
    """

    def __init__(
        self,
        durable: DurableJobs,
        batch_id: str,
        kind: SlotKind[T],
        settings: Settings,
        start: Callable[[str], tuple[Start, dict[str, Any]]],
    ) -> None:
        self._id = batch_id
        self._durable = durable
        self._kind = kind
        self._settings = patient(settings)
        self._start = start
        self._is_new = False
        self._again = False
        self._keys: Sequence[str] = ()
        """All of them; none of an iterator."""
        self._adding: asyncio.Task[None] | None = None
        self._added = asyncio.Event()  # more of them are stored
        self._count_added = 0
        """How many of the keys are stored."""
        self._count_read = 0
        """For how many of them there was a job."""
        self._ready: dict[str, StoredJob[T]] = {}
        """The jobs of keys whose turn comes soon."""
        self._reading = asyncio.Lock()
        self._stopped = False

    @property
    def id(self) -> str:
        """The id with which it can be continued."""
        return self._id

    async def begin(self, keys: Sequence[str] | None, *, again: bool) -> None:
        """Store the batch, and begin to store its ``keys``; None: they are not known yet.

        ``again``: queue those once more that have not completed.

        Raises:
            InvalidRequest: The id is that of a batch of another kind, for another server, or of another
                organisation.
            ReflexioError: The batch was begun with another key, and the server cannot be asked whose this is.
            StoreError: Nothing was stored.
        """
        durable, self._again = self._durable, again
        account = await durable.account()
        row = BatchRow(self.id, account, durable.url, self._kind.name, durable.clock.time())
        here = await durable.open()
        stored = await here.store.add_batch(row)
        if (stored.url, stored.kind) != (row.url, row.kind):
            message = (
                f"batch_id: the store has {self.id!r:.100} as a batch of {stored.kind} at {stored.url}, "
                f"and this is one of {row.kind} at {row.url}; choose another batch_id"
            )
            raise InvalidRequest(message)
        if stored.account != account:
            # Its outcomes would be taken for those of this organisation, and nothing started.
            theirs = await here.store.organisation(stored.account, stored.url)
            if theirs != await durable.organisation():
                message = (
                    f"batch_id {self.id!r:.100} is that of a batch of another organisation, or of a key that "
                    "was replaced before its organisation was learned"
                )
                raise InvalidRequest(message)
        self._is_new = stored == row
        self._keys, self._count_added, self._count_read, self._stopped = keys or (), 0, 0, False
        if self._keys:
            await self._add_next()
            self._adding = durable.tasks.spawn(self._add_rest(), name=f"store the batch {self.id}")

    async def _add_rest(self) -> None:
        try:
            while self._count_added < len(self._keys):
                await self._add_next()
        finally:
            self._added.set()  # after an error, each key is stored when its turn comes

    async def _add_next(self) -> None:
        keys = self._keys[self._count_added : self._count_added + _CHUNK]
        await self._add(keys)
        self._count_added += len(keys)
        self._added.set()

    async def _add(self, keys: Sequence[str]) -> None:
        store, durable = (await self._durable.open()).store, self._durable
        account, now = await durable.account(), durable.clock.time()
        rows: list[NewJob] = []
        for key in keys:
            start, params = self._start(key)
            rows.append(
                NewJob(
                    id=self._row(key),
                    account=account,
                    url=durable.url,
                    service=self._kind.slot.service,
                    kind=self._kind.name,
                    request=start.request,
                    params=params,
                    created_at=now,
                    batch=self.id,
                    key=key,
                )
            )
        await store.add_jobs(rows)
        if self._again or not self._is_new:
            ended = await store.progress([row.id for row in rows], begun=True)
            await store.queue_again([row.id for row in ended if self._is_due(row)])
        await durable.wake(self._kind.slot)

    def _is_due(self, row: JobProgress) -> bool:
        """Whether a row that has ended is queued once more."""
        if row.state is not RowState.ENDED or row.outcome is None:
            return False
        return WITHDRAWN in row.outcome or (self._again and row.outcome["state"] != "completed")

    def _row(self, key: str) -> str:
        """The id of the row of ``key``. Every process makes the same."""
        return sha256(f"{self.id}\0{key}".encode()).hexdigest()[:32]

    async def job(self, key: str) -> StoredJob[T]:
        """The job of ``key``, when it is stored.

        Raises:
            JobCancelled: The batch was stopped before that.
        """
        if not self._keys:  # of an iterator
            await self._add([key])
            return self._record(key)
        while key not in self._ready and self._count_read < len(self._keys):
            async with self._reading:
                if key not in self._ready:
                    await self._read_next(key)
        return self._ready.pop(key, None) or self._record(key)

    async def _read_next(self, key: str) -> None:
        """Read the rows of the next keys together."""
        if self._count_added <= self._count_read and self._adding is not None:
            self._added.clear()
            if self._adding.done():
                await self._add_more(key)
            else:
                await self._added.wait()
            return
        keys = self._keys[self._count_read : min(self._count_read + _READ_AHEAD, self._count_added)]
        jobs = [self._record(key) for key in keys]
        await self._durable.rows.read(jobs)
        for job in jobs:
            job.is_read = True
        self._ready.update(zip(keys, jobs, strict=True))
        self._count_read += len(keys)

    async def _add_more(self, key: str) -> None:
        """Store keys although storing all of them has ended: it was stopped, or has failed."""
        if self._stopped:
            reason = "the batch was stopped"
            status = JobStatus(JobState.CANCELLED, error=reason)
            message = f"{key}: not started, {reason}"
            raise JobCancelled(message, status=status)
        await self._add_next()

    def _record(self, key: str) -> StoredJob[T]:
        start, params = self._start(key)
        return self._durable.record(self._kind, self._settings, self._row(key), params, start)

    async def stop(self) -> None:
        """Withdraw what is queued. It is queued again when the batch is continued.

        While the store cannot be used, this is tried again: as soon as it can, the rest would be started.
        """
        self._stopped = True
        if self._adding is not None:
            self._adding.cancel()
            await asyncio.wait([self._adding])
        durable, has_failed = self._durable, False
        while True:
            try:
                await durable.withdraw_batch(self.id)
            except StoreError as error:
                if not has_failed:
                    durable.tasks.report(f"withdrawing the batch {self.id}, which is tried again,", error)
                has_failed = True
                await durable.clock.sleep(_WITHDRAW_AGAIN)
            else:
                return

    async def promote_once(self, promote: Callable[[], Awaitable[R]], read: Callable[[bytes], R]) -> R:
        """Promote what the batch has made, in one of the processes that run it, and return the response.

        In the other processes, this returns the response that the first one got, read by ``read``. When jobs
        have ended since, because they were run again or added, the batch is promoted again.
        """
        durable = self._durable
        store = (await durable.open()).store
        lane = LaneKey(durable.url, await durable.organisation(), PROMOTION)
        while True:
            with suppress(LeaseLost):
                async with hold(
                    store, lane, durable.holder, durable.clock, seconds=durable.lease_seconds
                ) as held:
                    last_end = await store.last_end(self.id)
                    known = json.loads(await store.promotion(self.id) or "{}")
                    if known and known["last_end"] == last_end:
                        return read(json.dumps(known["response"]).encode())
                    if held is not None:
                        response = await promote()
                        made = {"last_end": last_end, "response": response.model_dump(mode="json")}
                        await store.promote(held.lease, self.id, json.dumps(made))
                        return response
            await durable.clock.sleep(_ELSEWHERE)

    async def incomplete(self) -> int:
        """How many of its keys have not completed, those that this process was not given included."""
        return await (await self._durable.open()).store.count_incomplete(self.id)
