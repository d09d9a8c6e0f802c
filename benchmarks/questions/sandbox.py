"""How soon a test has a server: from nothing to the first answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import fresh, rounds
from benchmarks.report import Figure, Result, at_most
from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "The sandbox: start to first answer, in-process"


def measure(scale: Scale) -> Result:
    result = Result("sandbox", TITLE)
    number = scale.of(11, 1)
    cold = Figure("in a fresh interpreter, imports done", "ms", target=at_most(50))
    for _ in range(number):
        cold.samples.append(float(fresh.python("-m", __name__)) * 1e3)
    warm = Figure("once more in the same process", "ms", target=at_most(50))
    rounds.run(start_to_answer())
    warm.samples += [rounds.run(start_to_answer()) * 1e3 for _ in range(number)]
    result.figures += [cold, warm]
    result.notes.append("Wall time until get_profiles has answered; stopping is not part of it.")
    return result


async def start_to_answer() -> float:
    began = time.perf_counter()
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        answer = await client.get_profiles(user_id="user-1")
        taken = time.perf_counter() - began
        assert answer.success
        assert box.count("POST", "/api/get_profiles", 200) == 1
    return taken


if __name__ == "__main__":
    print(rounds.run(start_to_answer()))
