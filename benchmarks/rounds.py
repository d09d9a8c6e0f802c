"""Rounds in which the contestants take turns, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Call: TypeAlias = Callable[[], Awaitable[int]]
"""One call; says how many rows arrived, so that work that was not done is noticed."""
Round: TypeAlias = Callable[[], Awaitable["Cost"]]


@dataclass(frozen=True)
class Cost:
    """Seconds per call: of the clock, and of this process's CPU."""

    wall: float
    cpu: float

    @property
    def occupancy(self) -> float:
        """Which share of one core it had."""
        return self.cpu / self.wall


async def alternate(contestants: Mapping[str, Round], *, rounds: int) -> list[dict[str, Cost]]:
    """Each round's costs; a first round warms up and does not count."""
    costs = [{name: await contestants[name]() for name in order} for order in turns(contestants, rounds + 1)]
    return costs[1:]


def turns(names: Iterable[str], rounds: int) -> Iterator[list[str]]:
    """The order of each round: everyone goes first in turn."""
    order = list(names)
    for _ in range(rounds):
        yield order
        order = [*order[1:], order[0]]


async def timed(call: Call, *, calls: int, in_flight: int, rows: int) -> Cost:
    """What ``calls`` calls cost, ``in_flight`` at a time, each of which must bring ``rows`` rows."""
    left = iter(range(calls))
    received = 0

    async def worker() -> None:
        nonlocal received
        for _ in left:
            got = await call()
            received += got

    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(min(in_flight, calls)):
            group.create_task(worker())
    cost = Cost((time.perf_counter() - wall) / calls, (time.process_time() - cpu) / calls)
    if received != rows * calls:
        message = f"{received} rows arrived in {calls} calls, not {rows} each"
        raise AssertionError(message)
    return cost


def run(main: Coroutine[Any, Any, T], *, uvloop: bool = False) -> T:
    """Run on a loop of its own: asyncio's, or uvloop's."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if uvloop:
        import uvloop as fast  # noqa: PLC0415  # an extra

        factory = fast.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def has_uvloop() -> bool:
    return find_spec("uvloop") is not None
