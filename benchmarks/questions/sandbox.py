"""How soon a test has a server, from nothing to the first answer, and how it bears a crowd of users."""

from __future__ import annotations

import json
import sys
import time
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks import fresh, rounds
from benchmarks.questions.memory import resident
from benchmarks.report import Figure, Result, at_most
from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from benchmarks.scale import Scale

TITLE = "The sandbox: start to first answer, in-process, and a crowd of users"
TURNS = 10


def measure(scale: Scale) -> Result:
    result = Result("sandbox", TITLE)
    number = scale.of(11, 1)
    cold = Figure("in a fresh interpreter, imports done", "ms", target=at_most(50))
    for _ in range(number):
        cold.samples.append(float(fresh.python("-m", __name__)) * 1e3)
    warm = Figure("once more in the same process", "ms", target=at_most(50))
    rounds.run(start_to_answer())
    warm.samples += [rounds.run(start_to_answer()) * 1e3 for _ in range(number)]
    result.figures += [cold, warm, *_crowd(scale.of(10_000, 50), "")]
    with TemporaryDirectory() as folder:
        result.figures += _crowd(scale.of(10_000, 50), f"{folder}/data.sqlite")
    result.notes.append(
        "Wall time until get_profiles has answered; stopping is not part of it. The crowd was published over "
        "HTTP by a client in the same process, whose memory counts, as does the record of every request."
    )
    return result


def _crowd(users: int, data: str) -> Iterator[Figure]:
    said = json.loads(fresh.python("-m", __name__, str(users), data))
    name = f"{users:,} users, {users * TURNS:,} turns" + (", with a data file" if data else "")
    yield Figure(
        f"{name}: resident memory", "MiB", target=at_most(500), exact=True, samples=[said["resident"]]
    )
    for call in ("publish", "read", "search"):
        yield Figure(f"{name}: a {call} then", "ms", drawn=False, samples=said[call])


async def start_to_answer() -> float:
    began = time.perf_counter()
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        answer = await client.get_profiles(user_id="user-1")
        taken = time.perf_counter() - began
        assert answer.success
        assert box.count("POST", "/api/get_profiles", 200) == 1
    return taken


async def crowded(users: int, data: str) -> dict[str, float | list[float]]:
    """Resident MiB once so many have published, and ms of single calls then."""
    async with Sandbox(data=data or None) as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        async with client.publish_many(_publish(user) for user in range(users)) as batch:
            async for outcome in batch:
                assert outcome.error is None, outcome
        found: dict[str, float | list[float]] = {"resident": resident()}
        calls: dict[str, Callable[[str], Awaitable[object]]] = {
            "publish": lambda user: client.publish_interaction(**_publish(int(user.removeprefix("user-")))),
            "read": lambda user: client.get_profiles(user_id=user, force_refresh=True),
            "search": lambda user: client.search(query="a dish of rice", user_id=user),
        }
        for name, call in calls.items():
            found[name] = [await _milliseconds(call, f"user-{user % users}") for user in range(100)]
    return found


def _publish(user: int) -> dict[str, Any]:
    turns = [
        {"role": ("user", "assistant")[turn % 2], "content": f"I like dish {turn} of the place {user} most"}
        for turn in range(TURNS)
    ]
    return {"user_id": f"user-{user}", "session_id": f"session-{user}", "interactions": turns}


async def _milliseconds(call: Callable[[str], Awaitable[object]], user: str) -> float:
    began = time.perf_counter()
    await call(user)
    return (time.perf_counter() - began) * 1e3


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(rounds.run(start_to_answer()))
    else:
        print(json.dumps(rounds.run(crowded(int(sys.argv[1]), sys.argv[2]))))
