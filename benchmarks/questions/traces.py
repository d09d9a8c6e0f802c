"""Ten thousand Reflect traces that wait: memory, CPU per poll, and how soon their ends are seen.

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
from benchmarks.allocated import besides_tasks
from benchmarks.report import TIMES, Figure, Ratio, at_most
from benchmarks.rounds import Cost
from reflexio_async import AsyncReflectClient
from reflexio_async.reflect.models import Trace

if TYPE_CHECKING:
    import aiohttp

    from benchmarks.scale import Scale
    from benchmarks.static_server import Server
    from reflexio_async import Job

INTERVAL = 0.25  # seconds; the default of traces
PER_SECOND = 200.0  # polls for all traces together; the default
UNBOUNDED = 1e6  # polls per second: then only the number at once, eight, holds them back
MANY = 5000  # traces: more fall due than can be asked for, so that the polls go as fast as the bare GETs do
AT_ONCE = 8
TASK = "Rename a column without downtime"
TURNS = [{"role": "user", "content": "Rename the column, please"}, {"role": "assistant", "content": "Done"}]
POLL = "GET /traces/"


def measure(scale: Scale) -> list[Figure]:
    traces = scale.of(10_000, 200)
    with static_server.running() as server:
        figures: list[Figure] = [rounds.run(_memory(server, traces))]
        figures.append(rounds.run(_polls(server, scale)))
        figures.append(rounds.run(_ends(server, traces)))
    return figures


class Traces:
    """Many traces under review, each with a task that awaits it."""

    def __init__(self, server: Server, *, per_second: float = PER_SECOND) -> None:
        self._client = AsyncReflectClient(
            base_url=f"{server.url}/traces", api_key="key-1", polls_per_second=per_second, wait_timeout=3600
        )
        self.waits: list[asyncio.Task[float]] = []

    async def gather(self, count: int) -> None:
        left = iter(range(count))

        async def submit() -> None:
            for _ in left:
                job = await self._client.create_trace(task=TASK, trajectory=TURNS, review_result="pass")
                self.waits.append(asyncio.create_task(_ended(job)))

        async with asyncio.TaskGroup() as group:
            for _ in range(32):
                group.create_task(submit())
        assert len(self.waits) == count

    async def disperse(self) -> None:
        await self._client.aclose(drain=False)
        await asyncio.gather(*self.waits, return_exceptions=True)


async def _ended(job: Job[Trace]) -> float:
    """When it was seen to have ended."""
    trace = await job
    assert trace.created_memory_id is not None
    return time.perf_counter()


async def _memory(server: Server, traces: int) -> Figure:
    async def gather() -> Traces:
        crowd = Traces(server)
        await crowd.gather(traces)
        return crowd

    name = f"{traces:,} traces wait: memory per trace besides its task"
    figure = Figure(name, "B", target=at_most(2048), exact=True)
    figure.samples = await besides_tasks(gather, traces)
    return figure


async def _polls(server: Server, scale: Scale) -> Ratio:
    """As fast as they go, in turns with the same number of bare GETs, as many at once."""
    traces, seconds = scale.of(MANY, 50), 1.0 if not scale.quick else 0.2
    ratio = Ratio(
        "a poll of a trace, CPU", "µs", target=at_most(1.3), scale=1e6, against="bare GET and decode"
    )
    async with by_hand.session() as http:
        polls = 1000

        async def ours() -> Cost:
            nonlocal polls
            crowd = Traces(server, per_second=UNBOUNDED)
            await crowd.gather(traces)
            await asyncio.sleep(3 * INTERVAL)
            gc.collect()
            before = (await asyncio.to_thread(server.counts))[POLL]
            wall, cpu = time.perf_counter(), time.process_time()
            await asyncio.sleep(seconds)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            polls = (await asyncio.to_thread(server.counts))[POLL] - before
            await crowd.disperse()
            return Cost(wall / polls, cpu / polls)

        async def bare() -> Cost:
            return await rounds.timed(_bare(http, server), calls=polls, in_flight=AT_ONCE, rows=1)

        for cost in await rounds.alternate({"ours": ours, "bare": bare}, rounds=scale.of(9, 1)):
            ratio.add(cost["ours"].cpu, cost["bare"].cpu)
    return ratio


def _bare(http: aiohttp.ClientSession, server: Server) -> rounds.Call:
    headers = {"Authorization": "Bearer key-1"}
    numbers = itertools.count()

    async def call() -> int:
        # Every trace has an address of its own.
        address = URL(f"{server.url}/traces/v1/projects/default/traces/trace-{next(numbers)}", encoded=True)
        async with http.get(address, headers=headers) as response:
            response.raise_for_status()
            return len([Trace.model_validate_json(await response.read())])

    return call


async def _ends(server: Server, traces: int) -> Figure:
    """All end at one moment: how much later the last of 99 % hear of it, against what the limits allow."""
    async with by_hand.session() as http:
        trips: list[float] = []
        for _ in range(50):
            began = time.perf_counter()
            await _bare(http, server)()
            trips.append(time.perf_counter() - began)
    crowd = Traces(server)
    await crowd.gather(traces)
    await asyncio.sleep(3 * INTERVAL)
    assert not any(wait.done() for wait in crowd.waits)
    began = time.perf_counter()
    await asyncio.to_thread(server.release)
    seen = [ended - began for ended in await asyncio.gather(*crowd.waits)]
    await crowd.disperse()
    bound = max(INTERVAL, traces / PER_SECOND) + median(trips)
    figure = Figure(
        f"{traces:,} traces end: 99 % seen within / bound", TIMES, target=at_most(1.0), exact=True
    )
    figure.samples.append(quantiles(seen, n=100)[-1] / bound)
    return figure
