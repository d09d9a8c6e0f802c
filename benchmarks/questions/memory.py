"""Does a streamed batch over a generator need the same memory however many ids there are?"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import fresh, static_server
from benchmarks.report import Figure, Result, Series, at_most
from reflexio_async import AsyncReflexioClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.scale import Scale

TITLE = "A batch over a generator, streamed"
CONCURRENCY = 32
MOST = 1.0  # MiB by which the memory may grow: five bytes per id


def measure(scale: Scale) -> Result:
    result = Result("memory", TITLE)
    ids = scale.of(200_000, 2000)
    with static_server.running() as server:
        before = server.counts()
        # In a process of its own: memory that other questions have freed would hide what this one needs.
        answer = fresh.python("-m", __name__, f"{server.url}/synchronous", str(ids))
        samples: list[tuple[int, float, int]] = [tuple(sample) for sample in json.loads(answer)]
        made = server.counts() - before
    sent = made[f"POST /synchronous{static_server.RERUN}"]
    assert sent == ids, f"the server answered {sent} reruns, not {ids}"
    start = samples[0]
    growth = Figure(f"{ids:,} ids: growth of memory, at most", "MiB", target=at_most(MOST), exact=True)
    growth.samples.append(max(0.0, max(mib for _, mib, _ in samples) - start[1]))
    objects = Figure(f"{ids:,} ids: growth of Python objects, at the end", "", exact=True)
    objects.samples.append(float(samples[-1][2] - start[2]))
    result.figures += [growth, objects]
    result.series.append(
        Series("resident memory", "MiB", tuple((float(done), mib) for done, mib, _ in samples), powers=False)
    )
    result.notes.append(
        f"The growth counts from outcome {start[0]:,} on, when pools and caches are full. Every outcome was "
        "read, counted and dropped."
    )
    return result


async def stream(url: str, ids: int) -> list[tuple[int, float, int]]:
    """Return outcomes read, MiB and Python objects at up to forty points, from a twentieth of the ids on."""
    step = max(1, ids // 40)
    samples: list[tuple[int, float, int]] = []
    done = 0

    def users() -> Iterator[str]:
        for number in range(ids):
            yield f"user-{number}"

    async with (
        AsyncReflexioClient("key-1", url) as client,
        client.rerun_profiles_many(users(), concurrency=CONCURRENCY) as batch,
    ):
        async for outcome in batch:
            assert outcome.error is None, outcome
            done += 1
            if done % step == 0 and done >= ids // 20:
                gc.collect()
                samples.append((done, resident(), len(gc.get_objects())))
    assert done == ids, f"{done} outcomes of {ids}"
    return samples


def resident() -> float:
    """Return the MiB of memory in use now; or, where the system does not tell, the maximum so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    print(json.dumps(asyncio.run(stream(sys.argv[1], int(sys.argv[2])))))
