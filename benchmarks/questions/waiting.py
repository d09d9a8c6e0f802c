"""What jobs cost while nothing happens: requests, memory and CPU of ten thousand that wait."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from benchmarks import rounds, static_server
from benchmarks.allocated import besides_tasks
from benchmarks.questions import traces
from benchmarks.report import Figure, Result, at_most
from reflexio_async import AsyncReflexioClient, JobCancelled, JobLost

if TYPE_CHECKING:
    from collections.abc import Generator

    from benchmarks.scale import Scale
    from benchmarks.static_server import Server
    from reflexio_async import Job

TITLE = "Jobs that wait"
INTERVAL = 1.0  # seconds; the default of reruns

_slots = count()


def measure(scale: Scale) -> Result:
    jobs, many = scale.of(10_000, 1000), scale.of(100_000, 5000)
    result = Result("waiting", TITLE)
    with quietly(), static_server.running() as server:
        intervals = scale.of(9, 1)
        result.figures += rounds.run(_polling(server, jobs, intervals))
        result.figures.append(rounds.run(_memory(server, jobs)))
        result.figures.append(rounds.run(_resumed(server, jobs, intervals)))
        result.figures.append(rounds.run(_many(server, many)))
        result.figures += traces.measure(scale)
    result.notes.append(
        "The jobs are reruns of one service whose first runs for ever. 'Besides its task': less what as many "
        f"tasks cost that await a future of their own. An interval is {INTERVAL:g} s. The bound of traces: "
        f"max({traces.INTERVAL:g} s, waiting ÷ {traces.PER_SECOND:g} polls a second) and a round trip."
    )
    return result


@contextmanager
def quietly() -> Generator[None]:
    """A client that closes logs what it leaves undone: here that is the point."""
    logger = logging.getLogger("reflexio_async")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


class Crowd:
    """Many jobs in one slot, each with a task that awaits it."""

    def __init__(self, server: Server, users: list[str]) -> None:
        self.slot = f"/admitting-{next(_slots)}"
        self._client = AsyncReflexioClient("key-1", f"{server.url}{self.slot}")
        self._users = users
        self.waits: list[asyncio.Task[object]] = []

    async def begin(self) -> None:
        """Take the slot: everyone after that waits."""
        await self._client.rerun_profile_generation(user_id="the first")

    async def gather(self) -> None:
        rerun = self._client.rerun_profile_generation
        for user in self._users:
            self.waits.append(asyncio.create_task(_await(await rerun(user_id=user))))
        await asyncio.sleep(0)

    async def disperse(self) -> int:
        """Close the client; returns how many of the waiters learned of it."""
        await self._client.aclose(drain=False)
        ends = await asyncio.gather(*self.waits, return_exceptions=True)
        return sum(isinstance(end, JobCancelled | JobLost) for end in ends)


async def _await(job: Job[Any]) -> object:
    return await job


async def _polling(server: Server, jobs: int, intervals: int) -> list[Figure]:
    """Requests and CPU, interval by interval, once the jobs are all there."""
    requests = Figure(f"{jobs:,} reruns wait: requests per interval", "", target=at_most(1.0), exact=True)
    cpu = Figure(f"{jobs:,} reruns wait: CPU per job and interval", "µs", target=at_most(2.0))
    crowd = Crowd(server, users_named(jobs))
    await crowd.gather()
    await asyncio.sleep(3 * INTERVAL)  # polling begins soon, and slows down to the interval
    made = 0
    for _ in range(intervals):
        before, spent = await asyncio.to_thread(server.counts), time.process_time()
        await asyncio.sleep(INTERVAL)
        cpu.samples.append((time.process_time() - spent) / jobs * 1e6)
        polls = await asyncio.to_thread(server.counts) - before
        made += polls[f"GET {crowd.slot}{static_server.STATUS}"]
    assert made >= intervals - 1, "nobody asked for the status"
    assert await crowd.disperse() == jobs, "some waiters were forgotten"
    requests.samples.append(made / intervals)
    return [requests, cpu]


async def _memory(server: Server, jobs: int) -> Figure:
    users = users_named(jobs)

    async def gather() -> Crowd:
        crowd = Crowd(server, users)
        await crowd.gather()
        return crowd

    figure = Figure(
        f"{jobs:,} reruns wait: memory per job besides its task", "B", target=at_most(2048), exact=True
    )
    figure.samples = await besides_tasks(gather, jobs)
    return figure


async def _resumed(server: Server, jobs: int, intervals: int) -> Figure:
    """As after a restart: handles of one running operation, made from its token."""
    figure = Figure(f"{jobs:,} resumed handles: CPU per handle and interval", "µs", target=at_most(2.0))
    client = AsyncReflexioClient("key-1", f"{server.url}/admitting-{next(_slots)}")
    first = await client.rerun_profile_generation(user_id="user-1")
    assert first.token is not None
    handles = [client.job(first.token) for _ in range(jobs)]
    waits = [asyncio.create_task(_await(handle)) for handle in handles]
    await asyncio.sleep(3 * INTERVAL)
    for _ in range(intervals):
        spent = time.process_time()
        await asyncio.sleep(INTERVAL)
        figure.samples.append((time.process_time() - spent) / jobs * 1e6)
    await client.aclose(drain=False)
    ends = await asyncio.gather(*waits, return_exceptions=True)
    assert sum(isinstance(end, JobLost) for end in ends) == jobs
    return figure


async def _many(server: Server, jobs: int) -> Figure:
    """They are all started, wait, and are ended."""
    figure = Figure(f"{jobs:,} reruns: start, wait and end, CPU per job", "µs", exact=True)
    before = await asyncio.to_thread(server.counts)
    spent = time.process_time()
    crowd = Crowd(server, users_named(jobs))
    await crowd.gather()
    made = await asyncio.to_thread(server.counts) - before
    starts = made[f"POST {crowd.slot}{static_server.RERUN}"]
    assert starts == 1, f"{starts} starts were sent into one slot"
    assert not any(wait.done() for wait in crowd.waits)
    assert await crowd.disperse() == jobs, "some waiters were forgotten"
    figure.samples.append((time.process_time() - spent) / jobs * 1e6)
    return figure


def users_named(size: int) -> list[str]:
    return [f"user-{number}" for number in range(size)]
