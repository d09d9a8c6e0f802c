"""What do ten thousand waiting jobs cost in requests, memory and CPU?"""

from __future__ import annotations

import asyncio
import time
from itertools import count
from typing import TYPE_CHECKING, Any

from benchmarks import rounds, static_server
from benchmarks.allocated import bytes_per_item
from benchmarks.questions import traces
from benchmarks.quiet import no_logs
from benchmarks.report import Figure, Result, at_most
from reflexio_async import AsyncReflexioClient, JobCancelled, JobLost

if TYPE_CHECKING:
    from benchmarks.scale import Scale
    from benchmarks.static_server import Server
    from reflexio_async import Job

TITLE = "Waiting jobs"
INTERVAL = 1.0  # seconds between status requests; the default of reruns

_slots = count()


def measure(scale: Scale) -> Result:
    jobs, many = scale.of(10_000, 1000), scale.of(100_000, 5000)
    result = Result("waiting", TITLE)
    with no_logs(), static_server.running() as server:
        intervals = scale.of(9, 1)
        result.figures += rounds.run(_polling(server, jobs, intervals))
        result.figures.append(rounds.run(_memory(server, jobs)))
        result.figures.append(rounds.run(_resumed(server, jobs, intervals)))
        result.figures.append(rounds.run(_many(server, many)))
        result.figures += traces.measure(scale)
    result.notes.append(
        "The reruns wait in one slot, whose first rerun never ends. Memory is counted without the task that "
        f"awaits the job. An interval is {INTERVAL:g} s. The bound of the traces is a round trip and "
        f"max({traces.INTERVAL:g} s, traces / {traces.PER_SECOND:g} status requests a second)."
    )
    return result


class WaitingReruns:
    """Many reruns in one slot, each with a task that awaits it."""

    def __init__(self, server: Server, users: list[str]) -> None:
        self.slot = f"/admitting-{next(_slots)}"
        self._client = AsyncReflexioClient("key-1", f"{server.url}{self.slot}")
        self._users = users
        self.tasks: list[asyncio.Task[object]] = []

    async def take_slot(self) -> None:
        """Start a rerun that occupies the slot."""
        await self._client.rerun_profile_generation(user_id="the first")

    async def start(self) -> None:
        rerun = self._client.rerun_profile_generation
        for user in self._users:
            self.tasks.append(asyncio.create_task(_await(await rerun(user_id=user))))
        await asyncio.sleep(0)

    async def aclose(self) -> int:
        """Close the client and return how many of the tasks ended with its jobs' errors."""
        await self._client.aclose(drain=False)
        ends = await asyncio.gather(*self.tasks, return_exceptions=True)
        return sum(isinstance(end, JobCancelled | JobLost) for end in ends)


async def _await(job: Job[Any]) -> object:
    return await job


async def _polling(server: Server, jobs: int, intervals: int) -> list[Figure]:
    """Requests and CPU per interval, while all jobs wait."""
    requests = Figure(f"{jobs:,} reruns wait: requests per interval", "", target=at_most(1.0), exact=True)
    cpu = Figure(f"{jobs:,} reruns wait: CPU per job and interval", "µs", target=at_most(2.0))
    reruns = WaitingReruns(server, users_named(jobs))
    await reruns.start()
    await asyncio.sleep(3 * INTERVAL)  # the first intervals are shorter
    made = 0
    for _ in range(intervals):
        before, spent = await asyncio.to_thread(server.counts), time.process_time()
        await asyncio.sleep(INTERVAL)
        cpu.samples.append((time.process_time() - spent) / jobs * 1e6)
        polls = await asyncio.to_thread(server.counts) - before
        made += polls[f"GET {reruns.slot}{static_server.STATUS}"]
    assert made >= intervals - 1, "the client did not ask for the status"
    assert await reruns.aclose() == jobs, "some tasks did not end"
    requests.samples.append(made / intervals)
    return [requests, cpu]


async def _memory(server: Server, jobs: int) -> Figure:
    users = users_named(jobs)

    async def start() -> WaitingReruns:
        reruns = WaitingReruns(server, users)
        await reruns.start()
        return reruns

    figure = Figure(f"{jobs:,} reruns wait: memory per job", "B", target=at_most(2048), exact=True)
    figure.samples = await bytes_per_item(start, jobs)
    return figure


async def _resumed(server: Server, jobs: int, intervals: int) -> Figure:
    """Handles of one running operation, made from its token, as after a restart."""
    figure = Figure(f"{jobs:,} resumed handles: CPU per handle and interval", "µs", target=at_most(2.0))
    client = AsyncReflexioClient("key-1", f"{server.url}/admitting-{next(_slots)}")
    first = await client.rerun_profile_generation(user_id="user-1")
    assert first.token is not None
    handles = [client.job(first.token) for _ in range(jobs)]
    tasks = [asyncio.create_task(_await(handle)) for handle in handles]
    await asyncio.sleep(3 * INTERVAL)
    for _ in range(intervals):
        spent = time.process_time()
        await asyncio.sleep(INTERVAL)
        figure.samples.append((time.process_time() - spent) / jobs * 1e6)
    await client.aclose(drain=False)
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(end, JobLost) for end in ends) == jobs
    return figure


async def _many(server: Server, jobs: int) -> Figure:
    """CPU from the start of the jobs to the end of the client."""
    figure = Figure(f"{jobs:,} reruns: start, wait and end, CPU per job", "µs", exact=True)
    before = await asyncio.to_thread(server.counts)
    spent = time.process_time()
    reruns = WaitingReruns(server, users_named(jobs))
    await reruns.start()
    made = await asyncio.to_thread(server.counts) - before
    starts = made[f"POST {reruns.slot}{static_server.RERUN}"]
    assert starts == 1, f"{starts} starts were sent into one slot"
    assert not any(task.done() for task in reruns.tasks)
    assert await reruns.aclose() == jobs, "some tasks did not end"
    figure.samples.append((time.process_time() - spent) / jobs * 1e6)
    return figure


def users_named(size: int) -> list[str]:
    return [f"user-{number}" for number in range(size)]
