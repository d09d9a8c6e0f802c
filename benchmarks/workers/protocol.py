"""The protocol of the workers: a line ``N`` asks for N calls, and a line of JSON says what they cost."""

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
    """Answer until the input ends. ``run(calls)`` returns how many items the calls brought in all."""
    print(json.dumps({"python": ".".join(map(str, sys.version_info[:3]))}), flush=True)
    for line in sys.stdin:
        calls = int(line)
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        items = run(calls)
        cost = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "items": items}
        print(json.dumps(cost), flush=True)
    # Exit without closing connections: the libraries would warn about them.
    os._exit(0)


async def concurrently(call: Callable[[], Awaitable[int]], calls: int, in_flight: int) -> int:
    """Make ``calls`` calls, ``in_flight`` at a time, and return how many items they brought."""
    left = iter(range(calls))
    items = 0

    async def worker() -> None:
        nonlocal items
        for _ in left:
            got = await call()
            items += got

    async with asyncio.TaskGroup() as group:
        for _ in range(min(in_flight, calls)):
            group.create_task(worker())
    return items


def on_one_loop(call: Callable[[], Awaitable[int]], in_flight: int) -> Callable[[int], int]:
    """Return the ``run`` of asynchronous calls. All runs use one event loop."""
    runner = asyncio.Runner()
    return lambda calls: runner.run(concurrently(call, calls, in_flight))


def in_threads(call: Callable[[], int], in_flight: int) -> Callable[[int], int]:
    """Return the ``run`` of blocking calls. All runs use the same threads."""
    pool = ThreadPoolExecutor(in_flight)
    return lambda calls: sum(future.result() for future in [pool.submit(call) for _ in range(calls)])
