"""``client.store``: what is in a client's store, and deleting what is old."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from reflexio_async._engine.jobs.status import JobState
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async._engine.option_checks import positive_count, positive_seconds
from reflexio_async.durable.database import Statement
from reflexio_async.durable.entries import (
    AccountEntry,
    BatchEntry,
    CallEntry,
    JobEntry,
    LaneEntry,
    StoreStats,
)
from reflexio_async.durable.opening import store_on
from reflexio_async.durable.store import HELD_NOW
from reflexio_async.errors import ConfigurationError, InvalidRequest

if TYPE_CHECKING:
    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.loops import LoopBinding
    from reflexio_async._engine.settings import Settings
    from reflexio_async.durable.database import Row, Value
    from reflexio_async.durable.store import Store


# Where a server cannot tell organisations, each account is one.
_ORGANISATION = "case when account.org <> account.id then account.org end"
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

    async def accounts(self) -> list[AccountEntry]:
        """Return the credentials that jobs or calls in the store belong to."""
        store = await self._open()
        open_jobs = "select count(*) from job where job.url = account.url and job.account = account.id"
        calls = (
            "select url, account as id, count(*) filter (where state = 'waiting') as waiting, "
            "sum(bytes) filter (where state = 'waiting') as bytes, "
            "count(*) filter (where state = 'set_aside') as set_aside, "
            "min(created_at) filter (where state = 'waiting') as oldest from outbox group by url, account"
        )
        found = [
            AccountEntry(
                account, url, organisation, jobs, waiting or 0, int(size or 0), set_aside or 0, oldest
            )
            for account, url, organisation, jobs, waiting, size, set_aside, oldest in await store.read(
                f"select account.id, account.url, {_ORGANISATION}, ({open_jobs} and state <> 'ended'), "
                f"waiting, bytes, set_aside, oldest from account left join ({calls}) as calls "
                "on calls.url = account.url and calls.id = account.id "
                "order by account.url, account.org, account.id"
            )
        ]
        return [entry for entry in found if entry.jobs or entry.waiting or entry.set_aside]

    async def refused(self, *, url: str | None = None, limit: int = 100) -> list[CallEntry]:
        """Return the calls of all organisations that were set aside, the oldest first.

        ``client.outbox.refused()`` returns those of the client's own organisation, with their requests.

        Args:
            url: Only those to this server.
            limit: At most so many.
        """
        positive_count("limit", limit, error=InvalidRequest)
        store = await self._open()
        rows = await store.read(
            f"select outbox.id, outbox.url, {_ORGANISATION}, call, session, created_at, reason from outbox "
            "left join account on account.url = outbox.url and account.id = outbox.account "
            "where state = 'set_aside' and (outbox.url = ? or ? = '') order by seq limit ?",
            url or "",
            url or "",
            limit,
        )
        return [CallEntry(*row) for row in rows]

    async def assign(self, account: str, organisation: str) -> None:
        """Say which organisation an account belongs to, because its credential was replaced.

        A client learns the organisation of its credential by itself, as soon as the server answers. If the
        credential is replaced before, what it has put into the store waits. After this call, the clients of
        ``organisation`` send it, with their credential.

        Args:
            account: The ``id`` of one of the ``accounts()`` whose ``organisation`` is None.
            organisation: The id of an organisation that has used this store with the same server.
                ``client.whoami()`` returns it as ``org_id``.

        Raises:
            InvalidRequest: There is no such account, its organisation is known, or the organisation has not
                used this store.
        """
        store = await self._open()
        url = await self._unassigned(store, account)
        known = await store.read(
            "select distinct org from account where url = ? and id <> ? and org is not null", url, account
        )
        organisations = sorted(org for (org,) in known)
        if organisation not in organisations:
            names = ", ".join(organisations) or "none"
            message = f"organisation {organisation!r:.100} has not used this store with {url}; known: {names}"
            raise InvalidRequest(message)
        await store.add_account(account, url, organisation)

    async def discard(self, account: str) -> int:
        """Delete what waits for an account whose credential was replaced. Return how many jobs and calls.

        Args:
            account: The ``id`` of one of the ``accounts()`` whose ``organisation`` is None.

        Raises:
            InvalidRequest: There is no such account, or its organisation is known.
        """
        store = await self._open()
        url = await self._unassigned(store, account)
        calls, jobs = await store.write(
            Statement("delete from outbox where url = ? and account = ?", (url, account)),
            Statement(
                "delete from job where url = ? and account = ? and state = 'queued'",
                (url, account),
            ),
        )
        return len(calls) + len(jobs)

    @staticmethod
    async def _unassigned(store: Store, account: str) -> str:
        """The server's address of an account whose organisation is not known."""
        rows = await store.read(f"select url, {_ORGANISATION} from account where id = ?", account)
        if not rows:
            message = (
                f"the store has no account {account!r:.100}; "
                "client.store.accounts() and reflexio-async outbox list those it has"
            )
            raise InvalidRequest(message)
        for url, organisation in rows:
            if organisation is None:
                return str(url)
        message = f"account {account!r:.100} belongs to the organisation {rows[0][1]!r}"
        raise InvalidRequest(message)

    async def prune(self, older_than: float | timedelta) -> int:
        """Delete the jobs that ended before that time, and return how many.

        A client deletes them by itself after ``store_retention``. The jobs of a batch are kept until the
        last of them has ended that long ago.

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
