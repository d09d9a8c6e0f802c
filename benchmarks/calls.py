"""One typed call of the client against the same call written by hand with aiohttp and pydantic.

The hand-written one sends, checks and decodes the same, with a timeout, but neither retries nor paces.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import aiohttp
from yarl import URL

from benchmarks.report import Pair
from benchmarks.static_server import SIZES
from reflexio_async import AsyncReflexioClient
from reflexio_async.models.profiles import GetProfilesViewResponse

IN_FLIGHT = 32

Call: TypeAlias = Callable[[], Awaitable[GetProfilesViewResponse]]


@dataclass(frozen=True)
class Cost:
    """Seconds per call."""

    wall: float
    cpu: float


async def measure(url: str, *, rounds: int, calls: int) -> list[Pair]:
    """CPU and wall time per call, for each size of answer."""
    expected = 0
    pairs: list[Pair] = []
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for size in SIZES:
            async with AsyncReflexioClient("key-1", f"{url}/{size}", cache_ttl=0) as client:

                async def ours(client: AsyncReflexioClient = client) -> GetProfilesViewResponse:
                    return await client.get_profiles(user_id="user-1", top_k=20)

                by_hand = written_by_hand(session, f"{url}/{size}/api/get_profiles")
                costs = await alternate(ours, by_hand, size, rounds=rounds, calls=calls)
            expected += 2 * (rounds + 1) * calls
            cpu = Pair(f"CPU per call, {size} profiles", "µs", 1e6)
            rate = Pair(f"calls per second, {size} profiles", "/s", 1.0)
            for our_cost, hand_cost in costs:
                cpu.add(our_cost.cpu, hand_cost.cpu)
                rate.add(1 / our_cost.wall, 1 / hand_cost.wall)
            pairs += [cpu, rate]
        async with session.get(f"{url}/count") as response:
            answered = int(await response.read())
    assert answered == expected, f"the server answered {answered} calls, not {expected}"
    return pairs


def written_by_hand(session: aiohttp.ClientSession, url: str) -> Call:
    """As fast as aiohttp and pydantic go: the URL parsed once, the body encoded without a payload lookup."""
    address = URL(url)
    headers = {"Authorization": "Bearer key-1", "Content-Type": "application/json"}

    async def call() -> GetProfilesViewResponse:
        body = json.dumps({"user_id": "user-1", "top_k": 20}).encode()
        async with session.post(address, data=body, headers=headers) as response:
            response.raise_for_status()
            return GetProfilesViewResponse.model_validate_json(await response.read())

    return call


async def alternate(
    ours: Call, by_hand: Call, size: int, *, rounds: int, calls: int
) -> list[tuple[Cost, Cost]]:
    """Pairs of rounds, each going first in turn; the first pair warms up and does not count."""
    pairs: list[tuple[Cost, Cost]] = []
    for number in range(rounds + 1):
        if number % 2:
            our_cost = await one_round(ours, size, calls)
            pairs.append((our_cost, await one_round(by_hand, size, calls)))
        else:
            hand_cost = await one_round(by_hand, size, calls)
            pairs.append((await one_round(ours, size, calls), hand_cost))
    return pairs[1:]


async def one_round(call: Call, size: int, calls: int) -> Cost:
    """What ``calls`` calls cost, ``IN_FLIGHT`` at a time."""
    left = iter(range(calls))
    received = 0

    async def worker() -> None:
        nonlocal received
        for _ in left:
            answer = await call()
            received += len(answer.user_profiles)

    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    cost = Cost((time.perf_counter() - wall) / calls, (time.process_time() - cpu) / calls)
    assert received == size * calls, f"{received} profiles arrived, not {size * calls}"
    return cost
