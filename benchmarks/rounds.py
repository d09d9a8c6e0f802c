"""Measures several candidates in turns, so that a disturbance of the machine reaches all of them."""

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
"""Makes one call and returns how many items it brought, so that work that was not done is noticed."""
Round: TypeAlias = Callable[[], Awaitable["Cost"]]


@dataclass(frozen=True)
class Cost:
    """Seconds per call: wall time, and CPU time of this process."""

    wall: float
    cpu: float

    @property
    def occupancy(self) -> float:
        """The share of one core that this process had."""
        return self.cpu / self.wall


async def alternate(candidates: Mapping[str, Round], *, rounds: int) -> list[dict[str, Cost]]:
    """Return the costs of each round. A first round warms up and is not counted."""
    costs = [{name: await candidates[name]() for name in order} for order in turns(candidates, rounds + 1)]
    return costs[1:]


def turns(names: Iterable[str], rounds: int) -> Iterator[list[str]]:
    """Return the order of each round: each candidate is the first in turn."""
    order = list(names)
    for _ in range(rounds):
        yield order
        order = [*order[1:], order[0]]


async def timed(call: Call, *, calls: int, in_flight: int, items: int) -> Cost:
    """Make ``calls`` calls, ``in_flight`` at a time, and return the cost of one.

    Each call must bring ``items`` items.
    """
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
    if received != items * calls:
        message = f"{received} items arrived in {calls} calls, not {items} each"
        raise AssertionError(message)
    return cost


def run(main: Coroutine[Any, Any, T], *, uvloop: bool = False) -> T:
    """Run ``main`` on a new event loop: asyncio's, or uvloop's."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if uvloop:
        import uvloop as library  # noqa: PLC0415  # an extra

        factory = library.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def has_uvloop() -> bool:
    return find_spec("uvloop") is not None
