"""How long do batches take, compared with what the server allows, and with a gather written by hand?"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from yarl import URL

from benchmarks import by_hand, rounds, static_server
from benchmarks.report import TIMES, Figure, Ratio, Result, at_most
from benchmarks.rounds import Cost
from reflexio_async import AsyncReflexioClient
from reflexio_async.reflexio.models.interactions import PublishUserInteractionResponse
from reflexio_async.reflexio.models.operations import RerunProfileGenerationResponse
from reflexio_async.sandbox import Sandbox, VirtualClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp
    from pydantic import BaseModel

    from benchmarks.scale import Scale
    from benchmarks.static_server import Server
    from reflexio_async._engine.batch.batch import Batch

TITLE = "Batches"
CONCURRENCY = 32
RERUN_SECONDS = 2.0
QUOTA, WINDOW = 5, 60.0  # starts in so many seconds
BASE = "/synchronous"


def measure(scale: Scale) -> Result:
    result = Result("batches", TITLE)
    result.figures += rounds.run(_virtual(users=scale.of(100, 12)))
    if scale.real:
        from benchmarks.questions import real_server  # noqa: PLC0415  # needs the server's environment

        result.figures.append(real_server.measure())
    keys, number = scale.of(10_000, 200), scale.of(9, 1)
    with static_server.running() as server:
        result.figures += rounds.run(_against_gather(server, "reruns", static_server.RERUN, keys, number))
        result.figures += rounds.run(
            _against_gather(server, "publishes", static_server.PUBLISH, keys, number)
        )
    result.notes.append(
        f"The server allows {QUOTA} starts a minute (rate limit), and one rerun of {RERUN_SECONDS:g} s after "
        "the other (slot). The gather written by hand sends the same requests, as many at the same time "
        f"({CONCURRENCY}), and reads the same responses. Everything else that a batch does is its overhead."
    )
    return result


async def _virtual(users: int) -> list[Figure]:
    """On a virtual clock, in a sandbox with the limits of the server."""
    slot = users * RERUN_SECONDS
    windows, last = divmod(users - 1, QUOTA)
    rate_limit = windows * WINDOW + (last + 1) * RERUN_SECONDS
    figures: list[Figure] = []
    for name, limited, bound in (("rate limit and slot", True, rate_limit), ("slot alone", False, slot)):
        clock = VirtualClock()
        async with Sandbox(clock=clock, rate_limits=limited, rerun_seconds=RERUN_SECONDS) as box:
            names = [f"user-{number}" for number in range(users)]
            for user in names:
                box.seed(user, "I like sushi")
            async with AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
                began = clock.now()
                report = await client.rerun_profiles_many(names)
                taken = clock.now() - began
            assert report.ok, report.table()
            done = len(box.operations())
            assert done == users, f"the server ran {done} of {users}"
        # Without a rate limit the time between the end of a rerun and the next poll adds up: no target.
        target = at_most(1.02) if limited else None
        figure = Figure(f"{users} users, {name}: time / bound", TIMES, target=target, exact=True)
        figure.samples.append(taken / bound)
        figures.append(figure)
    return figures


async def _against_gather(server: Server, name: str, path: str, keys: int, number: int) -> list[Figure]:
    url = f"{server.url}{BASE}"
    publishes = path == static_server.PUBLISH
    users = [f"user-{number}" for number in range(keys)]
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncReflexioClient("key-1", url))
        http = await stack.enter_async_context(by_hand.session())

        async def ours() -> int:
            batch: Batch[str, Any]
            if publishes:
                batch = client.publish_many([_item(user) for user in users], concurrency=CONCURRENCY)
            else:
                batch = client.rerun_profiles_many(users, concurrency=CONCURRENCY)
            report = await batch
            return len(report.outcomes) if report.ok else 0

        async def by_gather() -> int:
            if publishes:
                bodies = [{**_item(user), "request_id": uuid4().hex} for user in users]
                return await _gathered(http, f"{url}{path}", bodies, PublishUserInteractionResponse)
            bodies = [{"user_id": user} for user in users]
            return await _gathered(http, f"{url}{path}", bodies, RerunProfileGenerationResponse)

        before = await asyncio.to_thread(server.counts)
        costs = await rounds.alternate(
            {"ours": lambda: _timed(ours, keys), "gather": lambda: _timed(by_gather, keys)}, rounds=number
        )
        made = await asyncio.to_thread(server.counts) - before
        wanted = 2 * (number + 1) * keys
        sent = made[f"POST {BASE}{path}"]
        assert sent == wanted, f"the server answered {sent} calls, not {wanted}"
    wall = Ratio(
        f"{keys:,} {name}: wall time per call", "µs", target=at_most(1.25), scale=1e6, against="gather"
    )
    cpu = Ratio(f"{keys:,} {name}: CPU per call", "µs", scale=1e6, against="gather")
    for cost in costs:
        wall.add(cost["ours"].wall, cost["gather"].wall, occupancy=cost["ours"].occupancy)
        cpu.add(cost["ours"].cpu, cost["gather"].cpu)
    return [wall, cpu]


def _item(user: str) -> dict[str, Any]:
    return {
        "user_id": user,
        "session_id": "session-1",
        "interaction_data_list": [
            {"role": "user", "content": "I like sushi, most of all at the usual place"},
            {"role": "assistant", "content": "Noted: the usual place, and sushi"},
        ],
    }


async def _timed(run: Callable[[], Awaitable[int]], keys: int) -> Cost:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    done = await run()
    cost = Cost((time.perf_counter() - wall) / keys, (time.process_time() - cpu) / keys)
    assert done == keys, f"{done} of {keys} completed"
    return cost


async def _gathered(
    http: aiohttp.ClientSession, url: str, bodies: list[dict[str, Any]], model: type[BaseModel]
) -> int:
    """A gather with a semaphore, as one writes it without a batch."""
    limit = asyncio.Semaphore(CONCURRENCY)
    address = URL(url)
    headers = {"Authorization": "Bearer key-1", "Content-Type": "application/json"}

    async def one(body: dict[str, Any]) -> BaseModel:
        async with limit, http.post(address, data=json.dumps(body).encode(), headers=headers) as response:
            response.raise_for_status()
            return model.model_validate_json(await response.read())

    return len(await asyncio.gather(*(one(body) for body in bodies)))
