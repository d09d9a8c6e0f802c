"""What do waiting Reflect traces cost in memory and CPU, and how soon are their ends seen?

A part of the question ``waiting``.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING

from yarl import URL

from benchmarks import by_hand, rounds, static_server
from benchmarks.allocated import bytes_per_item
from benchmarks.report import TIMES, Figure, Ratio, at_most
from benchmarks.rounds import Cost
from reflexio_async import AsyncReflectClient
from reflexio_async.reflect.models import Trace

if TYPE_CHECKING:
    import aiohttp

    from benchmarks.scale import Scale
    from benchmarks.static_server import Server
    from reflexio_async import Job

INTERVAL = 0.25  # seconds between status requests; the default of traces
PER_SECOND = 200.0  # status requests for all traces together; the default
UNLIMITED = 1e6  # status requests per second: then the only limit is eight at the same time
MANY = 5000  # traces: more than can be asked for in time, so that status requests go as fast as bare GETs
AT_ONCE = 8
TASK = "Rename a column without downtime"
TURNS = [{"role": "user", "content": "Rename the column, please"}, {"role": "assistant", "content": "Done"}]
POLL = "GET /traces/"


def measure(scale: Scale) -> list[Figure]:
    traces = scale.of(10_000, 200)
    with static_server.running() as server:
        figures: list[Figure] = [rounds.run(_memory(server, traces))]
        figures.append(rounds.run(_polls(server, scale)))
        figures.append(rounds.run(_ends(server, scale.of(2000, 200))))
    return figures


class WaitingTraces:
    """Many traces that are not reviewed yet, each with a task that awaits it."""

    def __init__(self, server: Server, *, per_second: float = PER_SECOND) -> None:
        self._client = AsyncReflectClient(
            base_url=f"{server.url}/traces", api_key="key-1", polls_per_second=per_second, wait_timeout=3600
        )
        self.tasks: list[asyncio.Task[float]] = []

    async def start(self, count: int) -> None:
        left = iter(range(count))

        async def submit() -> None:
            for _ in left:
                job = await self._client.create_trace(task=TASK, trajectory=TURNS, review_result="pass")
                self.tasks.append(asyncio.create_task(_ended(job)))

        async with asyncio.TaskGroup() as group:
            for _ in range(32):
                group.create_task(submit())
        assert len(self.tasks) == count

    async def aclose(self) -> None:
        await self._client.aclose(drain=False)
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def _ended(job: Job[Trace]) -> float:
    """Return when its end was seen."""
    trace = await job
    assert trace.created_memory_id is not None
    return time.perf_counter()


async def _memory(server: Server, traces: int) -> Figure:
    async def start() -> WaitingTraces:
        waiting = WaitingTraces(server)
        await waiting.start(traces)
        return waiting

    name = f"{traces:,} traces wait: memory per trace"
    figure = Figure(name, "B", target=at_most(2048), exact=True)
    figure.samples = await bytes_per_item(start, traces)
    return figure


async def _polls(server: Server, scale: Scale) -> Ratio:
    """Status requests, as fast as they go, in turns with as many bare GETs, as many at once."""
    traces, seconds = scale.of(MANY, 50), 1.0 if not scale.quick else 0.2
    ratio = Ratio(
        "a status request of a trace, CPU",
        "µs",
        target=at_most(1.3),
        scale=1e6,
        against="bare GET and decode",
    )
    async with by_hand.session() as http:
        polls = 1000

        async def ours() -> Cost:
            nonlocal polls
            waiting = WaitingTraces(server, per_second=UNLIMITED)
            await waiting.start(traces)
            await asyncio.sleep(3 * INTERVAL)
            gc.collect()
            before = (await asyncio.to_thread(server.counts))[POLL]
            wall, cpu = time.perf_counter(), time.process_time()
            await asyncio.sleep(seconds)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            polls = (await asyncio.to_thread(server.counts))[POLL] - before
            await waiting.aclose()
            return Cost(wall / polls, cpu / polls)

        async def bare() -> Cost:
            return await rounds.timed(_bare(http, server), calls=polls, in_flight=AT_ONCE, items=1)

        for cost in await rounds.alternate({"ours": ours, "bare": bare}, rounds=scale.of(9, 1)):
            ratio.add(cost["ours"].cpu, cost["bare"].cpu)
    return ratio


def _bare(http: aiohttp.ClientSession, server: Server) -> rounds.Call:
    headers = {"Authorization": "Bearer key-1"}
    numbers = itertools.count()

    async def call() -> int:
        # Every trace has a URL of its own.
        address = URL(f"{server.url}/traces/v1/projects/default/traces/trace-{next(numbers)}", encoded=True)
        async with http.get(address, headers=headers) as response:
            response.raise_for_status()
            return len([Trace.model_validate_json(await response.read())])

    return call


async def _ends(server: Server, traces: int) -> Figure:
    """All traces end at once: the time until 99 % of the ends are seen, compared with the least possible."""
    async with by_hand.session() as http:
        trips: list[float] = []
        for _ in range(50):
            began = time.perf_counter()
            await _bare(http, server)()
            trips.append(time.perf_counter() - began)
    waiting = WaitingTraces(server)
    await waiting.start(traces)
    await asyncio.sleep(3 * INTERVAL)
    assert not any(task.done() for task in waiting.tasks)
    began = time.perf_counter()
    await asyncio.to_thread(server.release)
    seen = [ended - began for ended in await asyncio.gather(*waiting.tasks)]
    await waiting.aclose()
    bound = max(INTERVAL, traces / PER_SECOND) + median(trips)
    figure = Figure(
        f"{traces:,} traces end: time until 99 % are seen / bound", TIMES, target=at_most(1.0), exact=True
    )
    figure.samples.append(quantiles(seen, n=100)[-1] / bound)
    return figure
