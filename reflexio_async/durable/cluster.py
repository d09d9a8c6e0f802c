"""The workers of a store in Postgres: how they are woken, and whether any is alive.

procrastinate carries the work: its task ``drain`` drives one lane for a while. That a lane is driven by one
worker only is seen to by the lane's lease, not by procrastinate. Its locks are not fenced.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Status
from procrastinate.schema import SchemaManager

from reflexio_async.durable.database import Statement
from reflexio_async.durable.rows import LaneKey
from reflexio_async.errors import StoreError

if TYPE_CHECKING:
    from procrastinate.jobs import Job

    from reflexio_async.durable.postgres import PostgresDatabase

NAMESPACE = "reflexio_async"
QUEUE = "reflexio_async"
"""procrastinate's queue of these tasks, for users who run its workers themselves."""
DRAIN = f"{NAMESPACE}:drain"

WORKER_SILENT = 60.0
"""Seconds without a sign of any worker, after which jobs that wait say so."""

_MIGRATION_LOCK = 0x5266_6C79

# An organisation's services, each found in the index by one step: ``distinct`` would read all open jobs.
_NEXT_SERVICE = "select min(service) from job where url = a.url and account = a.id and state <> 'ended'"
_LANES = f"""
    select a.url, a.org, s.service as name from account a, lateral (
        with recursive found(service) as (
            {_NEXT_SERVICE}
            union all
            select ({_NEXT_SERVICE} and service > found.service) from found where found.service is not null)
        select service from found where service is not null) s
    union
    select a.url, a.org, 'outbox' from account a where exists (
        select 1 from outbox o where o.url = a.url and o.account = a.id and o.state = 'waiting')"""
_WITHOUT_LEASE = f"""
    select w.url, w.org, w.name from ({_LANES}) w where w.org is not null and not exists (
        select 1 from lane l where l.url = w.url and l.org = w.org and l.name = w.name
        and l.holder is not null and l.lease_end > {{now}})"""
# A lane that was left without rows needs nobody, and its holder stays noted.
_EXPIRED = """
    select l.url, l.org, l.name from lane l
    where l.holder is not null and l.lease_end < {now} and exists (
        select 1 from account a where a.url = l.url and a.org = l.org and (
            exists (select 1 from job
                where url = a.url and account = a.id and service = l.name and state <> 'ended')
            or l.name = 'outbox' and exists (
                select 1 from outbox where url = a.url and account = a.id and state = 'waiting')))"""
_IS_QUEUED = "select 1 from procrastinate_jobs where queueing_lock = ? and status = 'todo'"
_UNKNOWN = f"select count(*) from ({_LANES}) w where w.org is null"


class ExpiredLeases(NamedTuple):
    """Lanes with rows whose holder has not renewed its lease, and the seconds until the next one can end."""

    lanes: list[LaneKey]
    next_end: float | None


class Cluster:
    """What the processes of a store in Postgres ask and tell each other.

    Args:
        database: The store's database. It must be open.
        app: A procrastinate app of the user's, open; None: one on the store's own connections.

    Attributes:
        app: The app; None before ``open``.
    """

    def __init__(self, database: PostgresDatabase, app: App | None = None) -> None:
        self._database = database
        self.app = app
        self._has_own_tables = app is None
        self._idle_since: dict[int | None, float] = {}
        """The drains whose lanes had no lease when ``free_ended`` looked last, and since which look."""

    async def open(self) -> App:
        """Make procrastinate's tables, or bring them up to date. Return the app.

        Raises:
            StoreError: They could not be made or read.
        """
        if self.app is None:
            try:
                await self._migrate()
            except psycopg.Error as error:
                message = f"the tables of procrastinate in {self._database.name} could not be made: {error}"
                raise StoreError(message) from error
            app = App(connector=PsycopgConnector())
            await app.open_async(self._database.pool)
            self.app = app
        return self.app

    async def wake(self, lane: LaneKey, after: float = 0.0) -> None:
        """Have some worker drive ``lane``, in ``after`` seconds. It may be on its list already.

        Raises:
            StoreError: The database could not be asked.
        """
        text = lock_of(lane)
        app = await self.open()
        if self._has_own_tables and await self._database.read(_IS_QUEUED, text):
            return  # asking first keeps errors out of the server's log
        task = app.configure_task(
            DRAIN,
            queue=QUEUE,
            lock=text,
            queueing_lock=text,
            schedule_in={"milliseconds": int(after * 1000)} if after > 0 else None,
        )
        try:
            await task.defer_async(url=lane.url, org=lane.org, name=lane.name)
        except AlreadyEnqueued:
            pass
        except ConnectorException as error:
            message = f"no worker could be woken for {lane.name} of {lane.url}: {error.__cause__ or error}"
            raise StoreError(message) from error

    # Who is alive

    async def seen(self, worker: str) -> None:
        """Note that ``worker`` is alive."""
        sql = (
            "insert into worker (name, seen_at) values (?, {now}) "
            "on conflict (name) do update set seen_at = excluded.seen_at"
        )
        old = "delete from worker where seen_at < {now} - 3600"
        await self._database.write([Statement(sql, (worker,)), Statement(old)])

    async def forget(self, worker: str) -> None:
        """Note that ``worker`` has ended."""
        await self._database.write([Statement("delete from worker where name = ?", (worker,))])

    async def silent_for(self) -> float | None:
        """Seconds since any worker was seen; None: none ever was."""
        ((seconds,),) = await self._database.read("select {now} - max(seen_at) from worker")
        return None if seconds is None else float(seconds)

    # What nobody drives

    async def lanes_without_lease(self) -> list[LaneKey]:
        """The lanes that have something to do and that no process drives. Those with a known organisation."""
        return [LaneKey(*row) for row in await self._database.read(_WITHOUT_LEASE)]

    async def wake_lanes_without_lease(self) -> None:
        """Wake those lanes that procrastinate has no drain for."""
        app = await self.open()
        queued = await app.job_manager.list_jobs_async(queue=QUEUE, task=DRAIN, status=Status.TODO.value)
        locks = {job.lock for job in queued}
        for lane in await self.lanes_without_lease():
            if lock_of(lane) not in locks:
                await self.wake(lane)

    async def unknown_accounts(self) -> int:
        """How many lanes have something to do whose organisation is not known."""
        ((lanes,),) = await self._database.read(_UNKNOWN)
        return int(lanes)

    async def expired_leases(self) -> ExpiredLeases:
        """The lanes that have something to do, and whose holder is gone, or was frozen."""
        ended = await self._database.read(_EXPIRED)
        ((next_end,),) = await self._database.read(
            "select min(lease_end) - {now} from lane where holder is not null and lease_end >= {now}"
        )
        return ExpiredLeases(
            [LaneKey(*row) for row in ended], None if next_end is None else max(float(next_end), 0.0)
        )

    async def free(self, silent: float) -> None:
        """Delete the drains of workers that were silent for so many seconds: they hold locks."""
        app = await self.open()
        stalled = await app.job_manager.get_stalled_jobs(
            queue=QUEUE, task_name=DRAIN, seconds_since_heartbeat=silent
        )
        await self._delete(app, list(stalled))

    async def free_ended(self, after: float = 30.0) -> None:
        """Delete the drains whose lanes had no lease at any look for that many seconds.

        They have ended, and their workers could not say so, since the database was away. A drain takes the
        lease as the first thing, and gives it back as the last, but a worker may be busy.
        """
        app = await self.open()
        doing = await app.job_manager.list_jobs_async(queue=QUEUE, task=DRAIN, status=Status.DOING.value)
        held = {
            lock_of(LaneKey(*row))
            for row in await self._database.read(
                "select url, org, name from lane where holder is not null and lease_end > {now}"
            )
        }
        now = time.monotonic()
        idle = {job.id: job for job in doing if job.lock not in held}
        self._idle_since = {number: self._idle_since.get(number, now) for number in idle}
        ended = [job for number, job in idle.items() if now - self._idle_since[number] >= after]
        await self._delete(app, ended)

    @staticmethod
    async def _delete(app: App, jobs: list[Job]) -> None:
        for job in jobs:
            if job.id is not None:
                try:
                    await app.job_manager.finish_job_by_id_async(job.id, Status.FAILED, delete_job=True)
                except ConnectorException:
                    continue  # another worker has deleted it

    async def _migrate(self) -> None:
        """Make procrastinate's tables, in the schema of the store, or apply what its release has added."""
        schema, changes = await asyncio.to_thread(_procrastinate_sql)
        query = "select name from procrastinate_migration"
        if {name for (name,) in await self._database.read(query)}.issuperset(changes):
            return
        async with self._database.pool.connection() as connection:
            # A lock of the session: some changes cannot be made in a transaction.
            await connection.execute("select pg_advisory_lock(%s)", (_MIGRATION_LOCK,))
            try:
                done = {name for (name,) in await (await connection.execute(query)).fetchall()}
                if not done:  # the schema has all changes
                    async with connection.transaction():
                        await connection.execute(schema)
                        await _note(connection, *changes)
                    return
                for name in sorted(changes.keys() - done):
                    await connection.execute(changes[name])
                    await _note(connection, name)
            finally:
                await connection.execute("select pg_advisory_unlock(%s)", (_MIGRATION_LOCK,))


def _procrastinate_sql() -> tuple[bytes, dict[str, bytes]]:
    """Its tables, and the changes that its releases have made to them, by name."""
    files = Path(SchemaManager.get_migrations_path()).glob("*.sql")
    return SchemaManager.get_schema().encode(), {file.name: file.read_bytes() for file in files}


async def _note(connection: psycopg.AsyncConnection[tuple[object, ...]], *names: str) -> None:
    sql = "insert into procrastinate_migration select unnest(%s::text[])"
    await connection.execute(sql, (list(names),))


def lock_of(lane: LaneKey) -> str:
    """The name of procrastinate's lock for the drain of ``lane``."""
    return json.dumps(lane)


__all__ = ["DRAIN", "NAMESPACE", "QUEUE", "WORKER_SILENT", "Cluster", "ExpiredLeases", "lock_of"]
