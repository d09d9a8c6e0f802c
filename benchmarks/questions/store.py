"""How many writes does a store accept, each safe on the disk? And what do a hundred thousand rows cost?"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import fresh, rounds
from benchmarks.questions.memory import resident
from benchmarks.report import Figure, Ratio, Result, at_least, at_most
from reflexio_async._engine.clock import SystemClock
from reflexio_async._engine.wire import EncodedRequest
from reflexio_async.durable.rows import LaneKey, NewJob
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.durable.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.scale import Scale

TITLE = "A store in a file: accepted writes, each synchronised to the disk"
PEERS = {"persist-queue": "persistqueue", "huey": "huey"}
CALLERS = (1, 32, 256)
GROUP = 32
ROW = "x" * 500  # about as long as a row of the outbox
URL = "http://127.0.0.1:8061"
LANE = LaneKey(URL, "org", "profiles")


class Writes(NamedTuple):
    """What one process did, in seconds but for ``writes``, which are those of one second."""

    writes: float
    p99: float
    cpu: float


def measure(scale: Scale) -> Result:
    result = Result("store", TITLE)
    number, seconds = scale.of(7, 1), scale.of(2, 1) / 2
    peers = [name for name, module in PEERS.items() if find_spec(module) is not None]
    fsync = Figure("synchronising 4 KiB to the disk, alone", "µs", drawn=False)
    ceilings = [
        Figure("the disk alone: groups of 32 rows, each synchronised", "/s", drawn=False),
        Figure("SQLite alone: groups of 32 rows, each committed", "/s", drawn=False),
    ]
    rates = {
        (callers, processes): Figure(
            name_of(callers, processes),
            "/s",
            target=at_least(20_000) if (callers, processes) == (32, 1) else None,
        )
        for processes in (1, 2)
        for callers in CALLERS
    }
    slowest = {key: Figure(f"{rate.name}: 99th percentile", "ms", drawn=False) for key, rate in rates.items()}
    cpu = Figure("32 callers: CPU time of one write", "µs")
    ratios = {
        name: Ratio(
            f"32 callers, against {name} with 32 threads",
            "/s",
            target=at_least(5),
            against=name,
        )
        for name in peers
    }
    # Their queues do not gain from threads, and may lose.
    alone = {name: Figure(f"{name}, 1 thread", "/s", drawn=False) for name in peers}
    for _ in range(number):
        fsync.samples.append(synchronise() * 1e6)
        for ceiling, write_groups in zip(ceilings, (_append_groups, _commit_groups), strict=True):
            ceiling.samples.append(write_groups(seconds))
        for (callers, processes), rate in rates.items():
            found = at_once("ours", callers, seconds, processes=processes)
            rate.samples.append(min(one.writes for one in found))
            slowest[callers, processes].samples.append(max(one.p99 for one in found) * 1e3)
            if (callers, processes) == (32, 1):
                cpu.samples.append(found[0].cpu * 1e6)
                for name, ratio in ratios.items():
                    (theirs,) = at_once(name, 32, seconds)
                    ratio.add(found[0].writes, theirs.writes)
        for name, figure in alone.items():
            figure.samples.append(at_once(name, 1, seconds)[0].writes)
    result.figures += [
        fsync,
        *ceilings,
        *rates.values(),
        *slowest.values(),
        cpu,
        *ratios.values(),
        *alone.values(),
    ]
    result.figures += _many_rows(scale.of(100_000, 1000), number)
    result.notes.append(
        "Of two processes, the slower one is shown. Each caller writes its next row when the one before is "
        "safe. The disk limits it: all callers together are answered once in the time of a synchronisation. "
        "The disk and SQLite alone write the same rows from one loop in plain Python, without callers: more "
        "than that, 32 callers cannot get."
    )
    result.notes += [
        f"{name} was not measured, because it is not installed: pip install -e '.[benchmarks]'"
        for name in PEERS
        if name not in peers
    ]
    return result


def name_of(callers: int, processes: int) -> str:
    name = "1 caller" if callers == 1 else f"{callers} callers"
    return name if processes == 1 else f"{name} in each of {processes} processes"


def synchronise(times: int = 50) -> float:
    """Seconds that the disk takes to synchronise a small write."""
    with TemporaryDirectory() as folder:
        file = os.open(f"{folder}/file", os.O_RDWR | os.O_CREAT)
        began = time.perf_counter()
        for _ in range(times):
            os.write(file, bytes(4096))
            os.fsync(file)
        taken = (time.perf_counter() - began) / times
        os.close(file)
        return taken


def _append_groups(seconds: float) -> float:
    """Rows in a second, when 32 rows at a time are appended to a file and synchronised."""
    with TemporaryDirectory() as folder, Path(f"{folder}/file").open("wb", buffering=0) as file:
        group = ROW.encode() * GROUP

        def append() -> None:
            file.write(group)
            os.fsync(file.fileno())

        return _groups(append, seconds)


def _commit_groups(seconds: float) -> float:
    """Rows in a second, when SQLite commits 32 rows at a time to a table as simple as can be."""
    with TemporaryDirectory() as folder, closing(sqlite3.connect(f"{folder}/rows.db")) as connection:
        connection.isolation_level = None
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=full")
        connection.execute("create table row (id integer primary key, text)")

        def commit() -> None:
            connection.execute("begin immediate")
            for _ in range(GROUP):
                connection.execute("insert into row (text) values (?)", (ROW,))
            connection.execute("commit")

        return _groups(commit, seconds)


def _groups(write: Callable[[], None], seconds: float) -> float:
    began, groups = time.perf_counter(), 0
    while time.perf_counter() < began + seconds:
        write()
        groups += 1
    return GROUP * groups / (time.perf_counter() - began)


def at_once(who: str, callers: int, seconds: float, *, processes: int = 1) -> list[Writes]:
    """Let processes write into one new file at the same time."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.workers.store_writes", who]
        command += [f"{folder}/rows.db", str(callers), str(seconds)]
        workers = [
            Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=fresh.ROOT) for _ in range(processes)
        ]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n", f"{who} could not begin"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        return [Writes(**json.loads(worker.communicate()[0])) for worker in workers]


def _many_rows(jobs: int, number: int) -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        path = f"{folder}/rows.db"
        rounds.run(fill(path, jobs))
        samples = [json.loads(fresh.python("-m", __name__, path)) for _ in range(number)]
    name = f"{jobs:,} queued jobs"
    yield Figure(
        f"{name}: opening the file", "s", [sample["open"] for sample in samples], target=at_most(1.0)
    )
    yield Figure(f"{name}: reading the next two", "ms", [sample["next"] * 1e3 for sample in samples])
    memory = [sample["memory"] for sample in samples]
    yield Figure(f"{name}: memory for both", "MiB", memory, target=at_most(8))


async def fill(path: str, jobs: int) -> None:
    store = Store(SQLiteDatabase(path), SystemClock())
    await store.open()
    await store.add_account("a", URL, "org")
    request = EncodedRequest(
        "POST", "/api/rerun", "/api/rerun", b'{"user_id": "ana"}' * 10, "application/json"
    )
    made = NewJob("", "a", URL, "profiles", "profile_rerun", request, {"user_id": "ana"}, 0.0, "batch")
    for first in range(0, jobs, 500):
        numbers = range(first, min(first + 500, jobs))
        await store.add_jobs([made._replace(id=f"job-{number}", key=str(number)) for number in numbers])
    await store.aclose()


async def use(path: str) -> dict[str, float]:
    """Open a file with many rows and take the first ones."""
    before = resident()
    store = Store(SQLiteDatabase(path), SystemClock())
    began = time.perf_counter()
    await store.open()
    opened = time.perf_counter()
    assert len(await store.open_jobs(LANE, 2)) == 2
    read = time.perf_counter()
    memory = resident() - before
    await store.aclose()
    return {"open": opened - began, "next": read - opened, "memory": memory}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(use(sys.argv[1]))))
