"""What does a store cost one job: the CPU time of a batch with it, less that of the same batch without?"""

from __future__ import annotations

import asyncio
import sys
import time
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.report import Figure, Result, at_most
from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "The bookkeeping of a store"


def measure(scale: Scale) -> Result:
    result = Result("bookkeeping", TITLE)
    jobs, number = scale.of(300, 20), scale.of(5, 1)
    without = Figure("one rerun of a batch, without a store", "ms")
    stored = Figure("one rerun of a batch, with a store in a file", "ms")
    added = Figure("bookkeeping of one job", "ms", target=at_most(1.0))
    with Popen([sys.executable, "-m", __name__, str(jobs)], stdout=PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            for _ in range(number):
                without.samples.append(asyncio.run(_cpu(url, jobs)) * 1e3)
                with TemporaryDirectory() as folder:
                    stored.samples.append(asyncio.run(_cpu(url, jobs, store=f"{folder}/r.db")) * 1e3)
                added.samples.append(stored.samples[-1] - without.samples[-1])
        finally:
            server.kill()
    result.figures += [without, stored, added]
    result.notes.append(
        "CPU time of the client's process, its threads included. The server is a sandbox in another process, "
        "and a rerun takes it no time, so that the client waits 50 ms for its first status request."
    )
    return result


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


async def _serve(jobs: int) -> None:
    async with Sandbox() as box:
        for number in range(jobs):
            box.seed(f"u{number}")
        print(box.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
