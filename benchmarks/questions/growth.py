"""Whether a call and a job cost the same however many there are."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING

from benchmarks import rounds, static_server
from benchmarks.allocated import BareTasks
from benchmarks.questions.waiting import Crowd, quietly, users_named
from benchmarks.report import TIMES, Figure, Result, Series
from reflexio_async import AsyncReflexioClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.scale import Scale
    from benchmarks.static_server import Server

TITLE = "Cost per call and per job, from 10 to 100,000"
IN_FLIGHT = 32


def measure(scale: Scale) -> Result:
    result = Result("growth", TITLE)
    sizes = (10, 20, 100) if scale.quick else (10, 100, 1000, 10_000, 100_000)
    middle = len(sizes) // 2
    measured: dict[str, Callable[[Server, int], Awaitable[float]]] = {
        "a call": _calls,
        "a rerun of a batch": _batch,
        "a queued job, from start to end": _jobs,
        "the same, garbage collector off": _uncollected,
        "a bare task, garbage collector on": _bare,
    }
    with quietly(), static_server.running() as server:
        for name, cost in measured.items():
            rounds.run(_once(server, cost, 100))  # warms up
            repeats = scale.of(9, 1)
            points = [(float(size), _middle(server, cost, size, repeats)) for size in sizes]
            result.series.append(Series(name, "µs CPU", tuple(points)))
            flat = Figure(f"{name}: at {sizes[-1]:,} / at {sizes[middle]:,}", TIMES, exact=True)
            flat.samples.append(points[-1][1] / points[middle][1])
            result.figures.append(flat)
    result.notes.append(
        "Each with a new client whose connections are made before; the median of nine for the small sizes, "
        "of three from 10,000 on. The queued jobs are started into a taken slot, and hear of the closing. "
        "What grows with what is alive is the garbage collector's work: bare tasks show it alone."
    )
    return result


def _middle(
    server: Server, cost: Callable[[Server, int], Awaitable[float]], size: int, repeats: int
) -> float:
    repeats = repeats if size < 10_000 else 3
    costs = sorted(rounds.run(_once(server, cost, size)) for _ in range(repeats))
    return costs[repeats // 2] / size * 1e6


async def _once(server: Server, cost: Callable[[Server, int], Awaitable[float]], size: int) -> float:
    return await cost(server, size)


async def _calls(server: Server, size: int) -> float:
    async with AsyncReflexioClient("key-1", f"{server.url}/1", cache_ttl=0) as client:

        async def call() -> int:
            return len((await client.get_profiles(user_id="user-1")).user_profiles)

        await rounds.timed(call, calls=4 * IN_FLIGHT, in_flight=IN_FLIGHT, rows=1)
        return (await rounds.timed(call, calls=size, in_flight=IN_FLIGHT, rows=1)).cpu * size


async def _batch(server: Server, size: int) -> float:
    async with AsyncReflexioClient("key-1", f"{server.url}/synchronous") as client:
        await client.rerun_profiles_many(users_named(4 * IN_FLIGHT), concurrency=IN_FLIGHT)
        began = time.process_time()
        report = await client.rerun_profiles_many(users_named(size), concurrency=IN_FLIGHT)
        taken = time.process_time() - began
    assert len(report.outcomes) == size, report.table()
    assert report.ok, report.table()
    return taken


async def _jobs(server: Server, size: int) -> float:
    crowd = Crowd(server, users_named(size))
    await crowd.begin()
    began = time.process_time()
    await crowd.gather()
    taken = time.process_time() - began
    await asyncio.sleep(0.1)
    began = time.process_time()
    assert await crowd.disperse() == size, "some waiters were forgotten"
    return taken + time.process_time() - began


async def _uncollected(server: Server, size: int) -> float:
    gc.collect()
    gc.disable()
    try:
        return await _jobs(server, size)
    finally:
        gc.enable()


async def _bare(_: Server, size: int) -> float:
    began = time.process_time()
    tasks = BareTasks(size)
    await asyncio.sleep(0)
    await tasks.disperse()
    return time.process_time() - began
