"""Does a call, or a job, cost the same however many there are?"""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import rounds, static_server
from benchmarks.allocated import BareTasks
from benchmarks.questions.waiting import WaitingReruns, users_named
from benchmarks.quiet import no_logs
from benchmarks.report import TIMES, Figure, Result, Series
from reflexio_async import AsyncReflexioClient, UnexpectedResponse
from reflexio_async._engine.clock import SystemClock
from reflexio_async._engine.rate_limits import RateLimiter
from reflexio_async._engine.wire import EncodedRequest, RawResponse, decode, error_for
from reflexio_async.reflexio.api.operations import GET_OPERATION_STATUS
from reflexio_async.reflexio.service import REFLEXIO

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.scale import Scale
    from benchmarks.static_server import Server

TITLE = "Cost per call and per job, from 100 to 100,000; and of a byte of a bad response"
IN_FLIGHT = 32
_REQUEST = EncodedRequest("GET", "/api/get_operation_status", "/api/get_operation_status", None, None)


def measure(scale: Scale) -> Result:
    result = Result("growth", TITLE)
    sizes = (10, 20, 100) if scale.quick else (100, 1000, 10_000, 100_000)
    middle = len(sizes) // 2 if scale.quick else 1
    measured: dict[str, Callable[[Server, int], Awaitable[float]]] = {
        "a call": _calls,
        "a rerun of a batch": _batch,
        "a queued job, from start to end": _jobs,
        "a bare task": _bare,
    }
    with no_logs(), static_server.running() as server:
        for name, seconds in measured.items():
            rounds.run(_once(server, seconds, 100))  # warms up
            points = [
                (float(size), median(rounds.run(_once(server, seconds, size)) for _ in range(scale.of(3, 1))))
                for size in sizes
            ]
            points = [(size, total / size * 1e6) for size, total in points]
            result.series.append(Series(name, "µs CPU", tuple(points)))
            growth = Figure(f"{name}: at {sizes[-1]:,} / at {sizes[middle]:,}", TIMES, exact=True)
            growth.samples.append(points[-1][1] / points[middle][1])
            result.figures.append(growth)
    _add_refused_responses(result, scale)
    result.notes.append(
        "Medians of three, each with a new client. The queued jobs wait in a taken slot and end with the "
        "client. What grows with the number of live objects is the work of Python's garbage collector; the "
        "bare tasks show it alone."
    )
    return result


def _add_refused_responses(result: Result, scale: Scale) -> None:
    """What it costs to refuse a response whose unknown fields are a long list, the worst that was found.

    The cost is linear if each doubling of the size doubles it.
    """
    sizes = [2**17, 2**18] if scale.quick else [2**17, 2**18, 2**19, 2**20]
    for name, refuse in {"a bad response": _refuse, "a 429": _refuse_429}.items():
        refuse(1)  # builds the models
        seconds = [median(refuse(size) for _ in range(scale.of(7, 1))) for size in sizes]
        for size, took in zip(sizes, seconds, strict=True):
            cost = Figure(f"{name} of {size // 1024:,} KiB", "ms CPU", exact=True)
            cost.samples.append(took * 1e3)
            result.figures.append(cost)
        for (small, large), (less, more) in zip(pairwise(sizes), pairwise(seconds), strict=True):
            growth = Figure(f"{name}: {large // 1024:,} / {small // 1024:,} KiB", TIMES, exact=True)
            growth.samples.append(more / less)
            result.figures.append(growth)


def _refuse(size: int) -> float:
    """Seconds of CPU to refuse a response of about ``size`` bytes."""
    body = b'{"success":true,"operation_status":{"x":[' + b"{}," * (size // 3) + b"{}]}}"
    response = RawResponse(200, {}, body, "http://localhost")
    began = time.process_time()
    try:
        decode(GET_OPERATION_STATUS, REFLEXIO, response)
    except UnexpectedResponse:
        return time.process_time() - began
    raise AssertionError


def _refuse_429(size: int) -> float:
    """Seconds of CPU to read a 429 of about ``size`` bytes, of which only the beginning is read."""
    body = b'{"detail":[' + b'{"msg":"x"},' * (size // 12) + b"{}]}"
    response = RawResponse(429, {"Content-Type": "application/json"}, body, "http://localhost")
    limiter = RateLimiter(SystemClock())
    permit = limiter.try_acquire()
    assert permit is not None
    began = time.process_time()
    error_for(GET_OPERATION_STATUS, REFLEXIO, _REQUEST, response, now=0.0)
    limiter.refused(permit, response.headers, body)
    return time.process_time() - began


async def _once(server: Server, seconds: Callable[[Server, int], Awaitable[float]], size: int) -> float:
    return await seconds(server, size)


async def _calls(server: Server, size: int) -> float:
    async with AsyncReflexioClient("key-1", f"{server.url}/1", cache_ttl=0) as client:

        async def call() -> int:
            return len((await client.get_profiles(user_id="user-1")).user_profiles)

        await rounds.timed(call, calls=4 * IN_FLIGHT, in_flight=IN_FLIGHT, items=1)
        return (await rounds.timed(call, calls=size, in_flight=IN_FLIGHT, items=1)).cpu * size


async def _batch(server: Server, size: int) -> float:
    async with AsyncReflexioClient("key-1", f"{server.url}/synchronous") as client:
        await client.rerun_profiles_many(users_named(4 * IN_FLIGHT), concurrency=IN_FLIGHT)
        began = time.process_time()
        report = await client.rerun_profiles_many(users_named(size), concurrency=IN_FLIGHT)
        seconds = time.process_time() - began
    assert len(report.outcomes) == size, report.table()
    assert report.ok, report.table()
    return seconds


async def _jobs(server: Server, size: int) -> float:
    reruns = WaitingReruns(server, users_named(size))
    await reruns.take_slot()
    began = time.process_time()
    await reruns.start()
    seconds = time.process_time() - began
    await asyncio.sleep(0.1)
    began = time.process_time()
    assert await reruns.aclose() == size, "some tasks did not end"
    return seconds + time.process_time() - began


async def _bare(_: Server, size: int) -> float:
    began = time.process_time()
    tasks = BareTasks(size)
    await asyncio.sleep(0)
    await tasks.aclose()
    return time.process_time() - began
