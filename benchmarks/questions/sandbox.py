"""How soon does a test have a server? And what do ten thousand users in it cost?"""

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

TITLE = "The sandbox: start to first response, and many users"
TURNS = 10


def measure(scale: Scale) -> Result:
    result = Result("sandbox", TITLE)
    number = scale.of(11, 1)
    cold = Figure("in a fresh interpreter, imports done", "ms", target=at_most(50))
    for _ in range(number):
        cold.samples.append(float(fresh.python("-m", __name__)) * 1e3)
    warm = Figure("once more in the same process", "ms", target=at_most(50))
    rounds.run(start_to_response())
    warm.samples += [rounds.run(start_to_response()) * 1e3 for _ in range(number)]
    result.figures += [cold, warm, *_many_users(scale.of(10_000, 50), "")]
    with TemporaryDirectory() as folder:
        result.figures += _many_users(scale.of(10_000, 50), f"{folder}/data.sqlite")
    result.notes.append(
        "Wall time until the response of get_profiles, without stopping. A client in the same process "
        "publishes for the users over HTTP. Its memory and the record of every request are included."
    )
    return result


def _many_users(users: int, data: str) -> Iterator[Figure]:
    found = json.loads(fresh.python("-m", __name__, str(users), data))
    name = f"{users:,} users, {users * TURNS:,} turns" + (", with a data file" if data else "")
    yield Figure(
        f"{name}: resident memory", "MiB", target=at_most(500), exact=True, samples=[found["resident"]]
    )
    for call in ("publish", "read", "search"):
        yield Figure(f"{name}: a {call} then", "ms", drawn=False, samples=found[call])


async def start_to_response() -> float:
    """Seconds from creating a sandbox to its first response."""
    began = time.perf_counter()
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        response = await client.get_profiles(user_id="user-1")
        taken = time.perf_counter() - began
        assert response.success
        assert box.count("POST", "/api/get_profiles", 200) == 1
    return taken


async def with_many_users(users: int, data: str) -> dict[str, float | list[float]]:
    """Return the MiB of memory when so many users have published, and the ms of single calls then."""
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
        print(rounds.run(start_to_response()))
    else:
        print(json.dumps(rounds.run(with_many_users(int(sys.argv[1]), sys.argv[2]))))
