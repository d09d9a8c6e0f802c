"""A batch of many keys with a store: ``URL PATH KEYS``. Only its first job is started: that one never ends.

It prints how long the first start took, and what memory the keys take that wait.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.questions.memory import resident
from reflexio_async import AsyncReflexioClient

if TYPE_CHECKING:
    from reflexio_async import RequestEvent

RERUN = "/api/rerun_profile_generation"


async def run(url: str, path: str, size: int) -> dict[str, float]:
    keys = [f"u{number}" for number in range(size)]
    started_at: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def note(event: RequestEvent) -> None:
        if event.path == RERUN and not started_at.done():
            started_at.set_result(time.perf_counter())

    async with AsyncReflexioClient("key-1", url, store=path, on_request=note, drain_timeout=0.1) as client:
        await client.whoami()  # the connection and the first use of the code are not counted
        gc.collect()
        before, tasks = resident(), len(asyncio.all_tasks())
        began = time.perf_counter()
        batch = asyncio.ensure_future(client.rerun_profiles_many(keys, batch_id="many").run())
        first = await started_at - began
        while sum((await client.store.batches())[0].jobs.values()) < size:  # noqa: ASYNC110  # nothing tells it
            await asyncio.sleep(0.1)
        stored = time.perf_counter() - began
        gc.collect()
        found = {
            "first": first,
            "stored": stored,
            "memory": resident() - before,
            "tasks": len(asyncio.all_tasks()) - tasks,
        }
        batch.cancel()
        await asyncio.wait([batch])
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
