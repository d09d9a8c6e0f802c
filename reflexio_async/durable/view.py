"""``client.store``: what is in a client's store, and deleting what is old."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from reflexio_async._engine.jobs.status import JobState
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async._engine.settings import positive_count, positive_seconds
from reflexio_async.durable.opening import store_on
from reflexio_async.durable.store import HELD_NOW
from reflexio_async.errors import ConfigurationError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.loops import LoopBinding
    from reflexio_async._engine.settings import Settings
    from reflexio_async.durable.database import Row, Value
    from reflexio_async.durable.store import Store


class JobEntry(NamedTuple):
    """A job in a store. Times are epoch seconds by the clock of the process that wrote them.

    Attributes:
        token: The text for ``client.job(token)``.
        kind: The name of its kind, such as ``profile_rerun``.
        params: What it was started with, as far as the server repeats it, such as the ``user_id``.
        state: Its state. ``running`` begins just before its start is sent.
        batch: The id of its batch; None for a job of its own.
        key: Its key in the batch.
        created_at: When it was put into the store.
        started_at: When the server accepted its start.
        ended_at: When its end was seen.
        error: Why it has no result.
    """

    token: str
    kind: str
    params: dict[str, Any]
    state: JobState
    batch: str | None
    key: str | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    error: str | None


class BatchEntry(NamedTuple):
    """A batch in a store.

    Attributes:
        id: Its id, with which it can be continued.
        kind: The name of the kind of its jobs.
        created_at: When it was put into the store, in epoch seconds.
        jobs: How many of its jobs are in each state.
    """

    id: str
    kind: str
    created_at: float
    jobs: Mapping[JobState, int]


class LaneEntry(NamedTuple):
    """A lane in a store: the queue in front of one of the server's slots, or the outbox.

    Attributes:
        url: The server's address.
        organisation: The organisation's id at the server.
        name: The name of the slot's service, or ``outbox``.
        holder: The process that sends what is in it; None: none does at present.
        lease: Seconds for which that process may do so, if it does not renew its lease.
    """

    url: str
    organisation: str
    name: str
    holder: str | None
    lease: float | None


class StoreStats(NamedTuple):
    """What is in a store.

    Attributes:
        jobs: How many jobs are in each state.
        lanes: The lanes.
        outbox_waiting: Calls in the outbox that wait to be delivered.
        outbox_set_aside: Calls that the server has refused.
        without_organisation: Jobs and calls that wait until a client that has their key is opened with this
            store. Only the server can say which organisation they belong to.
        bytes: The size of the file or database.
    """

    jobs: Mapping[JobState, int]
    lanes: tuple[LaneEntry, ...]
    outbox_waiting: int
    outbox_set_aside: int
    without_organisation: int
    bytes: int


_STATE = "case state when 'queued' then 'queued' when 'ended' then ended_as else 'running' end"


class StoreView:
    """What is in the store of a client: the jobs, batches and calls of all processes that use it.

    Each method raises ConfigurationError when the client was made without ``store=``, and StoreError when the
    store cannot be used.
    """

    def __init__(self, settings: Settings, loops: LoopBinding, clock: Clock) -> None:
        self._settings = settings
        self._loops = loops
        self._clock = clock

    async def jobs(
        self, *, state: JobState | str | None = None, batch: str | None = None, limit: int = 100
    ) -> list[JobEntry]:
        """Return jobs, the newest first.

        Args:
            state: Only those in this state, such as ``failed``.
            batch: Only those of the batch with this id.
            limit: At most so many.
        """
        positive_count("limit", limit, error=InvalidRequest)
        conditions = ["true"]
        values: list[Value] = []
        if state is not None:
            conditions.append(f"{_STATE} = ?")
            values.append(_checked(state))
        if batch is not None:
            conditions.append("batch = ?")
            values.append(batch)
        store = await self._open()
        rows = await store.read(
            f"select id, url, kind, params, {_STATE}, operation_id, not_before, batch, key, created_at, "
            f"admitted_at, ended_at, outcome from job where {' and '.join(conditions)} "
            "order by seq desc limit ?",
            *values,
            limit,
        )
        return [_job_entry(row) for row in rows]

    async def batches(self, *, batch: str | None = None, limit: int = 100) -> list[BatchEntry]:
        """Return batches, the newest first.

        Args:
            batch: Only the batch with this id.
            limit: At most so many.
        """
        positive_count("limit", limit, error=InvalidRequest)
        store = await self._open()
        condition = "" if batch is None else "where id = ? "
        wanted = f"select id, kind, created_at from batch {condition}order by created_at desc, id limit ?"
        values: list[Value] = [limit] if batch is None else [batch, limit]
        counts: dict[str, dict[JobState, int]] = {}
        for found, state, count in await store.read(
            f"select batch, {_STATE}, count(*) from job "
            f"where batch in (select id from ({wanted}) as wanted) group by 1, 2",
            *values,
        ):
            counts.setdefault(found, {})[JobState(state)] = count
        rows = await store.read(wanted, *values)
        return [BatchEntry(found, kind, at, counts.get(found, {})) for found, kind, at in rows]

    async def stats(self) -> StoreStats:
        """Count what is in the store."""
        store = await self._open()
        # The counts of each part come from an index of its own.
        counted = await store.read(
            "select case state when 'queued' then state else 'running' end, count(*) from job "
            "where state <> 'ended' group by 1 union all "
            "select ended_as, count(*) from job where state = 'ended' group by ended_as"
        )
        lanes = await store.read(
            f"select url, org, name, case when {HELD_NOW} then holder end, "
            f"case when {HELD_NOW} then lease_end - {{now}} end from lane order by url, org, name"
        )
        calls = await store.read("select state, count(*) from outbox group by state")
        outbox: dict[str, int] = {state: count for state, count in calls}  # noqa: C416  # rows are tuples of Any
        unknown = "join account on account.url = w.url and account.id = w.account where account.org is null"
        ((unknown_jobs, unknown_calls, size),) = await store.read(
            f"select (select count(*) from job as w {unknown} and w.state <> 'ended'), "
            f"(select count(*) from outbox as w {unknown} and w.state = 'waiting'), {{size}}"
        )
        return StoreStats(
            jobs={JobState(state): count for state, count in counted if count},
            lanes=tuple(LaneEntry(*row) for row in lanes),
            outbox_waiting=outbox.get("waiting", 0),
            outbox_set_aside=outbox.get("set_aside", 0),
            without_organisation=unknown_jobs + unknown_calls,
            bytes=size,
        )

    async def prune(self, older_than: float | timedelta) -> int:
        """Delete the jobs that ended before that time, and return how many.

        A client deletes them by itself after ``store_retention``. The jobs of a batch are kept until all of
        them have ended.

        Args:
            older_than: How long ago, in seconds or as a timedelta.
        """
        seconds = older_than.total_seconds() if isinstance(older_than, timedelta) else older_than
        before = self._clock.time() - positive_seconds("older_than", seconds, zero=True)
        store = await self._open()
        pruned = 0
        while deleted := await store.prune(before):
            pruned += deleted
        return pruned

    async def _open(self) -> Store:
        scope = self._loops.enter()
        if self._settings.store is None:
            message = "this client has no store; make it with store='a path' or store='postgresql://…'"
            raise ConfigurationError(message)
        return await store_on(scope, self._settings)


def _checked(state: JobState | str) -> str:
    try:
        return JobState(state).value
    except ValueError:
        message = f"state must be one of {', '.join(JobState)}, not {state!r:.40}"
        raise InvalidRequest(message) from None


def _job_entry(row: Row) -> JobEntry:
    job_id, url, kind, params_text, state, operation_id, not_before, *_, outcome_text = row
    batch, key, created_at, admitted_at, ended_at = row[7:12]
    params = json.loads(params_text)
    outcome: dict[str, Any] = json.loads(outcome_text or "{}")
    error = outcome.get("failure", {}).get("message") or outcome.get("error")
    token = Token(kind, url, operation_id or "", params, not_before, row=job_id)
    return JobEntry(
        token.to_text(), kind, params, JobState(state), batch, key, created_at, admitted_at, ended_at, error
    )


__all__ = ["BatchEntry", "JobEntry", "LaneEntry", "StoreStats", "StoreView"]
