"""What every worker speaks: a line ``N`` asks for N calls, a line of JSON answers what they cost."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def answer(run: Callable[[int], int]) -> None:
    """Serve until the input ends. ``run(calls)`` returns how many rows arrived in all."""
    print(json.dumps({"python": ".".join(map(str, sys.version_info[:3]))}), flush=True)
    for line in sys.stdin:
        calls = int(line)
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        rows = run(calls)
        cost = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "rows": rows}
        print(json.dumps(cost), flush=True)
    # Nothing is left to say: open connections need no farewell, and would complain about it.
    os._exit(0)


async def concurrently(call: Callable[[], Awaitable[int]], calls: int, in_flight: int) -> int:
    """The rows of ``calls`` calls, ``in_flight`` at a time."""
    left = iter(range(calls))
    rows = 0

    async def worker() -> None:
        nonlocal rows
        for _ in left:
            got = await call()
            rows += got

    async with asyncio.TaskGroup() as group:
        for _ in range(min(in_flight, calls)):
            group.create_task(worker())
    return rows


def on_one_loop(call: Callable[[], Awaitable[int]], in_flight: int) -> Callable[[int], int]:
    """``run`` for asynchronous calls, on a loop that stays, as in a server."""
    runner = asyncio.Runner()
    return lambda calls: runner.run(concurrently(call, calls, in_flight))


def in_threads(call: Callable[[], int], in_flight: int) -> Callable[[int], int]:
    """``run`` for blocking calls, on threads that stay."""
    pool = ThreadPoolExecutor(in_flight)
    return lambda calls: sum(future.result() for future in [pool.submit(call) for _ in range(calls)])
