"""A store: the rows of jobs and batches, and the lanes that processes share.

Every method is one transaction. A write with a lease changes nothing when the lease has passed to another
holder, and raises LeaseLost.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from reflexio_async.durable.database import Statement
from reflexio_async.durable.rows import (
    JOB_COLUMNS,
    PROGRESS_COLUMNS,
    BatchRow,
    LaneKey,
    Lease,
    RowState,
    job_progress,
    job_row,
    request_text,
)
from reflexio_async.errors import LeaseLost, StoreError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from reflexio_async._engine.clock import Clock
    from reflexio_async.durable.database import Database, Row, Value
    from reflexio_async.durable.rows import JobProgress, JobRow, NewJob

LEASE_SECONDS = 15.0
"""How long a lease lasts that is not renewed."""

# A lease that lasts longer was written by an earlier boot, or before the database's clock was set back.
_LONGEST_LEASE = 60.0
_LEASED_NOW = (
    f"holder is not null and boot = {{boot}} and lease_end between {{now}} and {{now}} + {_LONGEST_LEASE}"
)
HELD_NOW = f"{_LEASED_NOW} and not {{ended}}"
"""Whether a process holds a lane, in SQL."""

_PRUNE_EVERY = 60.0  # seconds
_CHUNK = 500  # values in one statement

_OF_LEASE = "where url = ? and org = ? and name = ? and fence = ?"
_IS_HELD = f"select 1 from lane {_OF_LEASE}"
HELD = f"exists ({_IS_HELD})"
"""Whether the lane is held with a lease, in SQL. Its values are those of the lane, and the fence."""
_BY_PROGRESS = (RowState.ADMITTED, RowState.STARTING, RowState.QUEUED)
_ACCOUNTS = 100  # in one statement
_ADMISSIONS = 100  # that are read when a lane is taken


class Store:
    """One client's view of a database of jobs and calls, on one event loop. ``OutboxRows`` has the calls.

    Args:
        database: The database. Clients of one process share it.
        clock: The client's clock. A virtual clock stands still while the database works.
        keep: Seconds after their end for which jobs are kept. The default is for ever.
    """

    def __init__(self, database: Database, clock: Clock, *, keep: float = math.inf) -> None:
        self.database = database
        self._clock = clock
        self._keep = keep
        self._next_prune = 0.0
        self._opening: asyncio.Task[None] | None = None

    async def read(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows of one SELECT."""
        with self._clock.busy():
            return await self.database.read(sql, *values)

    async def write(self, *statements: Statement) -> list[list[Row]]:
        """Run ``statements`` in one transaction. Return the rows of each."""
        with self._clock.busy():
            return await self.database.write(statements)

    def write_soon(self, *statements: Statement) -> None:
        """Run ``statements`` in one transaction. See ``Database.write_soon``."""
        self.database.write_soon(statements)

    async def open(self) -> None:
        """Open the database, if it is not open yet.

        Raises:
            StoreError: It cannot be used. The message says why and what to do.
        """
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(
                self.database.open(), name="open the store"
            )
        opening = self._opening
        try:
            with self._clock.busy():
                await asyncio.shield(opening)
        except StoreError:
            if self._opening is opening:
                self._opening = None
            raise

    async def aclose(self) -> None:
        """Finish the writes that were asked for, and close the database if no other client uses it."""
        opening, self._opening = self._opening, None
        if opening is None:
            return
        with self._clock.busy():
            with suppress(StoreError):
                await opening
            await self.database.aclose()

    # Accounts

    async def organisation(self, account: str, url: str) -> str | None:
        """The organisation of ``account`` at the server ``url``, or None when it is not known yet."""
        rows = await self.read("select org from account where id = ? and url = ?", account, url)
        return rows[0][0] if rows else None

    async def add_account(self, account: str, url: str, org: str | None) -> None:
        """Remember ``account``, and its organisation if it is known."""
        await self.write(
            Statement("insert into account (id, url) values (?, ?) on conflict do nothing", (account, url)),
            Statement(
                "update account set org = coalesce(?, org) where id = ? and url = ?", (org, account, url)
            ),
        )

    async def _accounts(self, url: str, org: str) -> list[str]:
        rows = await self.read("select id from account where url = ? and org = ?", url, org)
        return [account for (account,) in rows]

    # Lanes

    async def acquire(
        self, lane: LaneKey, holder: str, seconds: float = LEASE_SECONDS, *, at_once: bool = True
    ) -> Lease | None:
        """Take the lease of ``lane``. Return None when another holder has it.

        Args:
            lane: The lane.
            holder: A name for the new holder.
            seconds: How long the lease lasts that is not renewed.
            at_once: Do not wait for the end of a lease whose holder's process has ended. That is known in a
                file alone.
        """
        held = HELD_NOW if at_once else _LEASED_NOW
        asked_at = self._clock.now()
        taken = (
            await self.write(
                Statement("insert into lane (url, org, name) values (?, ?, ?) on conflict do nothing", lane),
                Statement(
                    "update lane set holder = ?, lease_end = {now} + ?, boot = {boot}, process = {process}, "
                    "waiting_for = null, fence = fence + 1 "
                    f"where url = ? and org = ? and name = ? and not ({held}) returning fence, limiter",
                    (holder, seconds, *lane),
                ),
            )
        )[1]
        if not taken:
            return None
        fence, limiter = taken[0]
        return Lease(lane, fence, asked_at + seconds, limiter)

    async def renew(
        self, lease: Lease, seconds: float = LEASE_SECONDS, waiting_for: str | None = None
    ) -> Lease:
        """Prolong ``lease``. ``waiting_for``: why nothing is sent now, as JSON, for those who look on."""
        asked_at = self._clock.now()
        (renewed,) = await self.write(
            Statement(
                f"update lane set lease_end = {{now}} + ?, waiting_for = ? {_OF_LEASE}",
                (seconds, waiting_for, *lease.lane, lease.fence),
            )
        )
        check_held(lease, renewed)
        return lease._replace(ends_at=asked_at + seconds)

    async def release(self, lease: Lease, limiter: str | None = None) -> None:
        """Give ``lease`` back, so that another process can take it at once.

        ``limiter``: what is known of the rate limit now, for that process; None: as it was.
        """
        await self.write(
            Statement(
                f"update lane set holder = null, lease_end = 0, limiter = coalesce(?, limiter) {_OF_LEASE}",
                (limiter, *lease.lane, lease.fence),
            )
        )

    async def lanes(self, url: str, org: str) -> list[LaneKey]:
        """The slots' lanes that have jobs which have not ended."""
        next_of = "select min(service) from job where url = ? and account = ? and state <> 'ended'"
        # It goes from one service to the next in the index. ``distinct`` would look at all jobs.
        sql = (
            f"with recursive found(service) as ({next_of} "
            f"union all select ({next_of} and service > found.service) from found where service is not null) "
            "select service from found where service is not null"
        )
        services: dict[str, None] = {}
        for account in await self._accounts(url, org):
            rows = await self.read(sql, url, account, url, account)
            services |= dict.fromkeys(service for (service,) in rows)
        return [LaneKey(url, org, service) for service in services]

    # Jobs

    async def add_batch(self, batch: BatchRow) -> BatchRow:
        """Add ``batch``, and return it. If there is one with this id already, that one is returned."""
        columns = ", ".join(BatchRow._fields)
        _, rows = await self.write(
            Statement(f"insert into batch ({columns}) values (?, ?, ?, ?, ?) on conflict do nothing", batch),
            Statement(f"select {columns} from batch where id = ?", (batch.id,)),
        )
        return BatchRow(*rows[0])

    async def count_open(self, url: str, account: str) -> int:
        """How many jobs of ``account`` have not ended."""
        rows = await self.read(
            "select count(*) from job where url = ? and account = ? and state <> 'ended'", url, account
        )
        return int(rows[0][0])

    async def add_jobs(self, jobs: Sequence[NewJob]) -> None:
        """Add ``jobs``. One whose batch and key are there already is left as it is."""
        for first in range(0, len(jobs), _CHUNK):
            chunk = jobs[first : first + _CHUNK]
            values = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(chunk))
            sql = (
                "insert into job (id, account, url, service, kind, request, params, created_at, batch, key) "
                f"values {values} on conflict do nothing"
            )
            await self.write(Statement(sql, tuple(value for job in chunk for value in _new_row(job))))

    async def jobs(self, ids: Collection[str]) -> list[JobRow]:
        """The jobs with these ids."""
        return [job_row(row) for row in await self._by(JOB_COLUMNS, "id", ids)]

    async def progress(self, ids: Collection[str], *, begun: bool = False) -> list[JobProgress]:
        """How far the jobs with these ids are; ``begun``: those alone that are not queued."""
        also = "state <> 'queued' and " if begun else ""
        return [job_progress(row) for row in await self._by(PROGRESS_COLUMNS, "id", ids, also)]

    async def jobs_of_batch(self, batch: str, keys: Collection[str]) -> list[JobRow]:
        """The jobs of ``batch`` with these keys."""
        return [job_row(row) for row in await self._by(JOB_COLUMNS, "key", keys, "batch = ? and ", batch)]

    async def _by(
        self, columns: str, column: str, wanted: Collection[str], also: str = "", *values: Value
    ) -> list[Row]:
        found: list[Row] = []
        for chunk in _chunks(wanted):
            marks = ", ".join("?" * len(chunk))
            sql = f"select {columns} from job where {also}{column} in ({marks})"
            found += await self.read(sql, *values, *chunk)
        return found

    async def open_jobs(self, lane: LaneKey, limit: int) -> list[JobRow]:
        """The first jobs of ``lane`` that have not ended: those that have begun before the queued ones."""
        of_state = [
            f"select {place} as place, {JOB_COLUMNS} from job "
            # SQLite uses the index only for what it says itself, "not ended".
            f"where url = ? and account = ? and service = ? and state = '{state}' and state <> 'ended'"
            for place, state in enumerate(_BY_PROGRESS)
        ]
        return [job_row(row) for row in await self.first_rows(of_state, lane, (lane.name,), limit)]

    async def admissions(self, lane: LaneKey, since: float) -> list[tuple[str, float]]:
        """The last starts of ``lane`` that were admitted since then: their kinds, and when."""
        of_lane = (
            "url = ? and service = ? and account in (select id from account where url = ? and org = ?) "
            "and admitted_at > ?"
        )
        values = (lane.url, lane.name, lane.url, lane.org, since)
        rows = await self.read(
            f"select kind, admitted_at from job where state <> 'ended' and {of_lane} union all "
            "select kind, admitted_at from (select kind, admitted_at from job where state = 'ended' "
            f"and ended_at > ? and {of_lane} order by ended_at desc limit {_ADMISSIONS}) as ended",
            *values,
            since,
            *values,
        )
        return [(kind, at) for kind, at in rows]

    async def first_rows(
        self, selects: Sequence[str], lane: LaneKey, values: tuple[Value, ...], limit: int
    ) -> list[Row]:
        """The first rows of an organisation, by the columns ``place`` and ``seq``. ``place`` is left out.

        Each account is read by itself, along an index: this organisation, or another one, may have a hundred
        thousand rows.
        """
        accounts = await self._accounts(lane.url, lane.org)
        found: list[Row] = []
        for first in range(0, len(accounts), _ACCOUNTS):
            pairs = [(sql, account) for account in accounts[first : first + _ACCOUNTS] for sql in selects]
            parts = " union all ".join(
                f"select * from ({sql} order by seq limit ?) as part{n}" for n, (sql, _) in enumerate(pairs)
            )
            of_parts = [value for _, account in pairs for value in (lane.url, account, *values, limit)]
            found += await self.read(
                f"select * from ({parts}) as parts order by place, seq limit ?", *of_parts, limit
            )
        return [row[1:] for row in sorted(found)[:limit]]

    async def update_job(
        self, lease: Lease, job_id: str, *, limiter: str | None = None, **values: Any
    ) -> bool:
        """Write columns of a job, as ``update_jobs`` does. Return whether it was written."""
        return (await self.update_jobs(lease, (job_id, values), limiter=limiter))[0]

    async def update_jobs(
        self, lease: Lease, *updates: tuple[str, Mapping[str, Any]], limiter: str | None = None
    ) -> list[bool]:
        """Write columns of jobs, by their ids, in one transaction. Columns of JSON take dictionaries.

        ``limiter``: what is known of the rate limit now, for the next holder of the lease.

        Returns:
            For each, whether it was written. A job that has ended, because it was withdrawn, is left as it
            is.
        """
        rows = await self.write(*_updates(lease, updates, limiter))
        if not all(rows):
            # A job has ended, or the lease was lost: the row of the lane tells.
            check_held(lease, await self.read(_IS_HELD, *lease.lane, lease.fence))
        return [bool(written) for written in rows[: len(updates)]]

    def update_job_soon(
        self, lease: Lease, job_id: str, *, limiter: str | None = None, **values: Any
    ) -> None:
        """Write columns of a job as ``update_job`` does, but soon. Nothing tells whether it was written."""
        self.write_soon(*_updates(lease, [(job_id, values)], limiter))

    async def withdraw(self, ids: Collection[str], outcome: dict[str, Any], ended_at: float) -> list[str]:
        """End those of these jobs that are still queued. Return their ids."""
        sql = (
            "update job set state = 'ended', outcome = ?, ended_as = ?, ended_at = ? "
            "where id = ? and state = 'queued'"
        )
        values = (_json(outcome), outcome["state"], ended_at)
        withdrawn: list[str] = []
        for chunk in _chunks(ids):
            done = await self.write(*(Statement(sql, (*values, job_id)) for job_id in chunk))
            withdrawn += [job_id for job_id, changed in zip(chunk, done, strict=True) if changed]
        return withdrawn

    async def withdraw_batch(self, batch: str, outcome: dict[str, Any], ended_at: float) -> None:
        """End the jobs of ``batch`` that are still queued."""
        await self.write(
            Statement(
                "update job set state = 'ended', outcome = ?, ended_as = ?, ended_at = ? "
                "where batch = ? and state = 'queued'",
                (_json(outcome), outcome["state"], ended_at, batch),
            )
        )

    async def count_incomplete(self, batch: str) -> int:
        """How many jobs of ``batch`` have not completed."""
        rows = await self.read(
            "select count(*) from job where batch = ? and coalesce(ended_as, '') <> 'completed'", batch
        )
        return int(rows[0][0])

    async def last_end(self, batch: str) -> float | None:
        """When the last job of ``batch`` ended, in epoch seconds."""
        ((last,),) = await self.read("select max(ended_at) from job where batch = ?", batch)
        return None if last is None else float(last)

    async def promotion(self, batch: str) -> str | None:
        """What ``promote`` wrote last."""
        rows = await self.read("select coalesce(promotion, '') from batch where id = ?", batch)
        return str(rows[0][0]) if rows and rows[0][0] else None

    async def promote(self, lease: Lease, batch: str, promotion: str) -> None:
        """Write that ``batch`` was promoted."""
        sql = f"update batch set promotion = ? where id = ? and {HELD}"
        (rows,) = await self.write(Statement(sql, (promotion, batch, *lease.lane, lease.fence)))
        check_held(lease, rows)

    async def queue_again(self, ids: Collection[str]) -> None:
        """Queue jobs that have ended once more."""
        sql = (
            "update job set state = 'queued', attempts = 0, outcome = null, ended_as = null, "
            "ended_at = null, intent_at = null, before = null, operation_id = null, "
            "not_before = null, admitted_at = null, waits = null where id = ? and state = 'ended'"
        )
        for chunk in _chunks(ids):
            await self.write(*(Statement(sql, (job_id,)) for job_id in chunk))

    # Looking after it

    async def prune(self, before: float) -> int:
        """Delete some of the jobs that ended before that time (epoch seconds). Return how many.

        The jobs of a batch are kept until the last of them has ended before that time, because the batch may
        be continued: a key that was forgotten would be started again.
        """
        # The batches are found first, and once: each is looked through as a whole.
        over = (
            "select batch from (select distinct batch from job where state = 'ended' and ended_at < ? "
            "and batch is not null) as old where not exists (select 1 from job as other "
            "where other.batch = old.batch and other.state in ('queued', 'starting', 'admitted')) "
            "and not exists (select 1 from job as other where other.batch = old.batch "
            "and other.state = 'ended' and other.ended_at >= ?)"
        )
        jobs, _ = await self.write(
            Statement(
                "delete from job where seq in (select seq from job where state = 'ended' and ended_at < ? "
                f"and (batch is null or batch in ({over})) order by ended_at limit ?)",
                (before, before, before, _CHUNK),
            ),
            Statement(
                "delete from batch where created_at < ? "
                "and not exists (select 1 from job where job.batch = batch.id)",
                (before,),
            ),
        )
        return len(jobs)

    async def prune_sometimes(self) -> None:
        """Delete some of the jobs whose time is over. Who holds a lane calls this now and then."""
        if self._keep == math.inf or self._clock.now() < self._next_prune:
            return
        self._next_prune = self._clock.now() + _PRUNE_EVERY
        if await self.prune(self._clock.time() - self._keep) == _CHUNK:
            self._next_prune = 0.0  # there are more


def _chunks(ids: Collection[str]) -> Iterator[list[str]]:
    """Parts of ``ids``, each for one transaction: other processes wait for its end."""
    left = list(ids)
    for first in range(0, len(left), _CHUNK):
        yield left[first : first + _CHUNK]


def _new_row(job: NewJob) -> tuple[Value, ...]:
    return (
        job.id,
        job.account,
        job.url,
        job.service,
        job.kind,
        request_text(job.request),
        _json(job.params),
        job.created_at,
        job.batch,
        job.key,
    )


def _updates(
    lease: Lease, updates: Sequence[tuple[str, Mapping[str, Any]]], limiter: str | None
) -> list[Statement]:
    held = (*lease.lane, lease.fence)
    statements = [_update(job_id, values, held) for job_id, values in updates]
    if limiter is not None:
        sql = f"update lane set limiter = ? {_OF_LEASE}"
        statements.append(Statement(sql, (limiter, *held)))
    return statements


def _update(job_id: str, values: Mapping[str, Any], held: tuple[Value, ...]) -> Statement:
    """Write columns of a job that has not ended, with a lease."""
    texts = {**values}
    if (state := values.get("state")) is not None:
        texts["state"] = str(state)  # sqlite3 looks for an adapter of each type that is not its own
    if (outcome := values.get("outcome")) is not None:
        texts["outcome"], texts["ended_as"] = _json(outcome), outcome["state"]
    if (before := values.get("before")) is not None:
        texts["before"] = _json(before)
    return Statement(_update_sql(tuple(texts)), (*texts.values(), job_id, *held))


@lru_cache(maxsize=16)
def _update_sql(names: tuple[str, ...]) -> str:
    columns = ", ".join(f"{name} = ?" for name in names)
    return f"update job set {columns} where id = ? and state <> 'ended' and {HELD}"


def _json(value: Any) -> str:
    return to_json(value).decode()


def check_held(lease: Lease, rows: list[Row]) -> None:
    """Raise LeaseLost if a write with ``lease`` has changed no row."""
    if not rows:
        message = f"another process has taken the lane {lease.lane.name} of {lease.lane.url}"
        raise LeaseLost(message)


__all__ = ["LEASE_SECONDS", "LaneKey", "Lease", "RowState", "Store"]
