"""What do jobs and idle lanes cost in queries, CPU, connections and memory, with 10 to 1,000 organisations?

``python -m benchmarks.cluster.costs [--quick]``. It needs a Postgres server that can be started.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from benchmarks.fresh import ROOT
from reflexio_async import AsyncReflexioClient
from reflexio_async._engine.clock import SystemClock
from reflexio_async._engine.wire import EncodedRequest
from reflexio_async.durable.cluster import QUEUE, Cluster
from reflexio_async.durable.database import Statement
from reflexio_async.durable.postgres import PostgresDatabase
from reflexio_async.durable.rows import LaneKey, NewJob
from reflexio_async.durable.store import Store
from reflexio_async.testing import Sandbox
from reflexio_async.worker import Organisation, Worker
from tests.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

LANES = 200
CONNECTIONS = 8
SERVICE = "profile_generation"
RERUN = "/api/rerun_profile_generation"
_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """What was used up to now."""

    at: float
    queries: int
    wal_bytes: int
    worker_cpu: float
    database_cpu: float


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def cpu(self) -> float:
        return cpu_of(self.process.pid)

    def memory(self) -> int:
        """Resident bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def cpu_of_database(server: PostgresServer) -> float:
    """The CPU of the server, its ended connections included."""
    parent = server.pid
    fields = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()
    used = sum(map(int, fields[11:15])) / _TICKS
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                used += cpu_of(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return used


@asynccontextmanager
async def working(store: str, urls: list[str]) -> AsyncGenerator[WorkerProcess]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, "worker", store, cwd=ROOT, stdin=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(urls).encode())
    process.stdin.close()
    try:
        yield WorkerProcess(process)
    finally:
        process.terminate()
        await process.wait()


async def work(store: str, urls: list[str]) -> None:
    """The worker process."""
    organisations = {url: Organisation(url) for url in urls}
    await Worker(store, organisations, lanes=LANES, connections=CONNECTIONS).run()


class Measurement:
    """One database, and the sandboxes of some organisations."""

    def __init__(self, server: PostgresServer, boxes: list[Sandbox]) -> None:
        self._server = server
        self.urls = [box.url for box in boxes]
        self.boxes = boxes
        self.address = server.new_database()
        self.database = PostgresDatabase(self.address)
        self.store = Store(self.database, SystemClock())

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.address, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def usage(self, worker: WorkerProcess) -> Usage:
        ((queries,),) = self.ask(
            "select sum(calls) from pg_stat_statements where dbid = "
            "(select oid from pg_database where datname = current_database())"
        )
        ((wal,),) = self.ask("select wal_bytes from pg_stat_wal")
        return Usage(time.monotonic(), int(queries), int(wal), worker.cpu(), cpu_of_database(self._server))

    def milliseconds_of(self, text: str) -> float:
        """The mean time of the statements with ``text``."""
        sql = (
            "select coalesce(sum(total_exec_time) / sum(calls), 0) from pg_stat_statements where query like "
        )
        ((mean,),) = self.ask(f"{sql}'%{text}%'")
        return float(mean)

    async def add(self, org: str, users: list[str]) -> None:
        """Add a job for each of these users of every organisation, as a client would."""
        for box in self.boxes:
            account = f"account at {box.url}"
            await self.store.add_account(account, box.url, org)
            jobs: list[NewJob] = []
            for user in users:
                box.seed(user, "I like tea")
                body = json.dumps({"user_id": user}).encode()
                request = EncodedRequest("POST", RERUN, RERUN, body, "application/json")
                name = f"{user} at {box.url}"
                params = {"user_id": user}
                jobs.append(
                    NewJob(name, account, box.url, SERVICE, "profile_rerun", request, params, time.time())
                )
            await self.store.add_jobs(jobs)

    async def until_ended(self) -> None:
        while self.ask("select 1 from reflexio_async.job where state <> 'ended' limit 1"):  # noqa: ASYNC110  # the database tells
            await asyncio.sleep(0.2)


async def measure(
    organisations: int, jobs: int, idle_seconds: float, rerun_seconds: float = 0.0
) -> dict[str, Any]:
    """``rerun_seconds``: how long each job runs at its server."""
    with PostgresServer(
        "shared_preload_libraries=pg_stat_statements", "pg_stat_statements.max=10000"
    ) as server:
        async with AsyncExitStack() as stack:
            boxes = [
                await stack.enter_async_context(Sandbox(rerun_seconds=rerun_seconds))
                for _ in range(organisations)
            ]
            here = Measurement(server, boxes)
            here.ask("create extension pg_stat_statements")
            await here.store.open()
            stack.push_async_callback(here.store.aclose)
            cluster = Cluster(here.database)
            await cluster.open()
            org = await _organisation(boxes[0].url)
            async with working(here.address, here.urls) as worker:
                await asyncio.sleep(3)
                started_with = worker.memory()
                # Jobs, as fast as the servers take them.
                users = [f"u{number}" for number in range(max(1, jobs // organisations))]
                await here.add(org, users)
                for url in here.urls:
                    await cluster.wake(LaneKey(url, org, SERVICE))
                before = here.usage(worker)
                await here.until_ended()
                after = here.usage(worker)
                done = len(users) * organisations
                ((connections,),) = here.ask(
                    "select count(*) from pg_stat_activity where datname = current_database() "
                    "and application_name = 'reflexio_async'"
                )
                memory = worker.memory()
                # Idle lanes: each has jobs, and waits for the end of its window.
                for url in here.urls:
                    await cluster.wake(LaneKey(url, org, SERVICE), 3600.0)
                await here.add(org, ["later"])
                here.ask("select pg_stat_statements_reset()")
                await asyncio.sleep(1)
                idle_before = here.usage(worker)
                await asyncio.sleep(idle_seconds)
                idle_after = here.usage(worker)
                fetch, look = (
                    here.milliseconds_of("procrastinate_fetch_job"),
                    here.milliseconds_of("recursive"),
                )
    seconds = idle_after.at - idle_before.at
    return {
        "organisations": organisations,
        "jobs": done,
        "seconds that each runs": rerun_seconds,
        "jobs per second": done / (after.at - before.at),
        "queries per job": (after.queries - before.queries) / done,
        "WAL bytes per job": (after.wal_bytes - before.wal_bytes) / done,
        "worker CPU ms per job": 1000 * (after.worker_cpu - before.worker_cpu) / done,
        "database CPU ms per job": 1000 * (after.database_cpu - before.database_cpu) / done,
        "connections": connections - 4,
        "worker memory MB": memory / 2**20,
        "of which per organisation KB": (memory - started_with) / 1024 / organisations,
        "idle: queries per second": (idle_after.queries - idle_before.queries) / seconds,
        "idle: database CPU ms per second": 1000
        * (idle_after.database_cpu - idle_before.database_cpu)
        / seconds,
        "idle: worker CPU ms per second": 1000 * (idle_after.worker_cpu - idle_before.worker_cpu) / seconds,
        "idle: fetching a drain, ms": fetch,
        "idle: looking for lanes, ms": look,
    }


async def measure_database(lanes: int, times: int = 20) -> dict[str, Any]:
    """The queries whose time grows with the number of lanes. Every lane has jobs and waits for a window."""
    with PostgresServer() as server:
        database = PostgresDatabase(server.new_database())
        store = Store(database, SystemClock())
        await store.open()
        cluster = Cluster(database)
        app = await cluster.open()
        request = EncodedRequest("POST", RERUN, RERUN, b"{}", "application/json")
        for number in range(lanes):
            url = "https://reflexio.example"
            lane = LaneKey(url, f"org{number}", SERVICE)
            await store.add_account(f"a{number}", url, lane.org)
            await store.add_jobs(
                [
                    NewJob(f"{number}/{n}", f"a{number}", url, SERVICE, "profile_rerun", request, {}, 0.0)
                    for n in range(3)
                ]
            )
            lease = await store.acquire(lane, "holder")
            if lease is not None and number % 2:
                await store.release(lease)
                await cluster.wake(lane, 3600.0)
        worker = await app.job_manager.register_worker()
        await database.write([Statement("analyze")])

        async def seconds(ask: Callable[[], Awaitable[object]]) -> float:
            await ask()
            began = time.perf_counter()
            for _ in range(times):
                await ask()
            return (time.perf_counter() - began) / times

        result = {
            "lanes": lanes,
            "fetching a drain, ms": 1000 * await seconds(lambda: app.job_manager.fetch_job([QUEUE], worker)),
            "looking for ended leases, ms": 1000 * await seconds(cluster.expired_leases),
            "looking for lanes without a lease, ms": 1000 * await seconds(cluster.lanes_without_lease),
            "the same, with waking them, ms": 1000 * await seconds(cluster.wake_lanes_without_lease),
        }
        await store.aclose()
        return result


async def _organisation(url: str) -> str:
    async with AsyncReflexioClient(url_endpoint=url) as client:
        return (await client.whoami()).org_id or ""


def main() -> None:
    if sys.argv[1:2] == ["worker"]:
        asyncio.run(work(sys.argv[2], json.loads(sys.stdin.read())))
        return
    is_quick = "--quick" in sys.argv
    rounds = [(10, 60, 5.0, 0.0), (30, 60, 5.0, 1.0)]
    if not is_quick:
        rounds = [
            (10, 3000, 30.0, 0.0),
            (100, 3000, 30.0, 0.0),
            (1000, 3000, 30.0, 0.0),
            (100, 300, 5.0, 8.0),
        ]
    for round_ in rounds:
        result = asyncio.run(measure(*round_))
        for name, value in result.items():
            print(f"{value:12,.3f}  {name}")
        print(flush=True)
    for lanes in (100,) if is_quick else (1000, 10_000):
        for name, value in asyncio.run(measure_database(lanes)).items():
            print(f"{value:12,.3f}  {name}")
        print(flush=True)


if __name__ == "__main__":
    main()
