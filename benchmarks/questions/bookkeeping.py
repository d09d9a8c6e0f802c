"""What does a store cost one job: the CPU time of a batch with it, less that of the same batch without?"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import ExitStack, contextmanager
from importlib import import_module
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks import fresh
from benchmarks.report import Figure, Result, at_most
from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from benchmarks.scale import Scale
    from tests.postgres import PostgresServer

TITLE = "The bookkeeping of a store"
FOREVER = 1e6  # seconds that a rerun takes


def measure(scale: Scale) -> Result:
    result = Result("bookkeeping", TITLE)
    jobs, number = scale.of(200, 20), scale.of(7, 1)
    without = Figure("one rerun of a batch, without a store", "ms")
    stored = Figure("one rerun of a batch, with a store in a file", "ms")
    added = Figure("bookkeeping of one job", "ms", target=at_most(1.0))
    theirs = Figure("procrastinate alone: one job that does nothing", "ms")
    with serving(jobs) as url, _postgres(result) as postgres:
        for _ in range(number):
            without.samples.append(asyncio.run(_cpu(url, jobs)) * 1e3)
            with TemporaryDirectory() as folder:
                stored.samples.append(asyncio.run(_cpu(url, jobs, store=f"{folder}/r.db")) * 1e3)
            added.samples.append(stored.samples[-1] - without.samples[-1])
            if postgres is not None:
                database = postgres.new_database()
                answer = fresh.python("-m", "benchmarks.workers.procrastinate_jobs", database, str(jobs))
                theirs.samples.append(json.loads(answer) * 1e3)
    result.figures += [without, stored, added]
    if theirs.samples:
        result.figures.append(theirs)
    result.figures += _many_keys(scale.of(100_000, 2000), number)
    result.notes.append(
        "CPU time of the client's process, its threads included. The server is a sandbox in another process, "
        "and a rerun takes it no time, so that the client waits 50 ms for its first status request. "
        "procrastinate's jobs are queued, taken and ended by one process; the time of its database is not "
        "counted."
    )
    result.notes.append(
        "The time of the many keys begins with the call, which checks every key. Their memory is counted "
        "when all of them are stored, and without the list of keys."
    )
    return result


@contextmanager
def serving(jobs: int, seconds: float = 0.0) -> Generator[str]:
    """Run a server in another process, with that many users, and reruns of so many seconds."""
    with Popen([sys.executable, "-m", __name__, str(jobs), str(seconds)], stdout=PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.kill()


@contextmanager
def _postgres(result: Result) -> Generator[PostgresServer | None]:
    """A database server; None where it, or procrastinate, is missing."""
    server: PostgresServer | None = None
    with ExitStack() as stack:
        try:
            from tests.postgres import PostgresServer  # noqa: PLC0415

            import_module("procrastinate")
            server = stack.enter_context(PostgresServer())
        except (ImportError, RuntimeError) as error:
            result.notes.append(f"procrastinate was not measured: {error}")
        yield server


async def _cpu(url: str, jobs: int, **options: Any) -> float:
    """Seconds of CPU time for each job of a batch."""
    users = [f"u{number}" for number in range(jobs)]
    async with AsyncReflexioClient(url_endpoint=url, **options) as client:
        await client.rerun_profile_generation(user_id=users[0], wait_for_response=True)
        began = time.process_time()
        report = await client.rerun_profiles_many(users, concurrency=100)
        seconds = time.process_time() - began
    assert report.ok
    return seconds / jobs


def _many_keys(keys: int, number: int) -> Iterator[Figure]:
    """A batch of which only the first job can be started."""
    samples: list[dict[str, float]] = []
    for _ in range(number):
        with serving(1, FOREVER) as url, TemporaryDirectory() as folder:
            answer = fresh.python("-m", "benchmarks.workers.stored_batch", url, f"{folder}/r.db", str(keys))
            samples.append(json.loads(answer))
    name = f"a batch of {keys:,} keys with a store"
    yield Figure(f"{name}: its first start", "s", [one["first"] for one in samples], target=at_most(1.0))
    yield Figure(f"{name}: storing all", "s", [one["stored"] for one in samples])
    yield Figure(f"{name}: memory", "MiB", [one["memory"] for one in samples], target=at_most(16))
    yield Figure(f"{name}: tasks", "", [one["tasks"] for one in samples], target=at_most(150), exact=True)


async def _serve(users: int, seconds: float) -> None:
    async with Sandbox(rerun_seconds=seconds) as box:
        for number in range(users):
            box.seed(f"u{number}")
        print(box.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
