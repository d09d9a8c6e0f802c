"""What importing takes, against its libraries; and what a first call costs that later ones do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import fresh, rounds, static_server
from benchmarks.report import Figure, Ratio, Result, at_most

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "Import, and the first call"
OURS = "from reflexio_async import AsyncReflexioClient"  # the package itself loads on demand
LIBRARIES = "import aiohttp, anyio; from pydantic import BaseModel"  # pydantic itself loads lazily
# The first model of a process makes pydantic load plugins and more, which every program with a model pays.
ONE_MODEL = f"{LIBRARIES}\nclass Model(BaseModel):\n    name: str"

_IMPORT = "import time; began = time.process_time()\n%s\nprint(time.process_time() - began)"
_FIRST = """
import asyncio, time
from reflexio_async import AsyncReflexioClient

async def once():
    began = time.process_time()
    async with AsyncReflexioClient("key-1", {url!r}, cache_ttl=0) as client:
        await client.{call}
        return time.process_time() - began

async def main():
    first = await once()
    print(first - sorted([await once() for _ in range(5)])[2])

asyncio.run(main())
"""
_BY_HAND = """
import asyncio, json, time
import aiohttp
from pydantic import BaseModel

async def once(first):
    began = time.process_time()
    async with aiohttp.ClientSession() as session:
        if first:
            class Profile(BaseModel):
                profile_id: str
                content: str

            class Answer(BaseModel):
                user_profiles: list[Profile]

            once.answer = Answer
        async with session.post({url!r} + "/api/get_profiles", data=b"{{}}") as response:
            once.answer.model_validate_json(await response.read())
        return time.process_time() - began

async def main():
    first = await once(True)
    print(first - sorted([await once(False) for _ in range(5)])[2])

asyncio.run(main())
"""
CALLS = {
    "get_profiles": "get_profiles(user_id='user-1')",
    "publish_interaction": (
        "publish_interaction(user_id='u', session_id='s', interactions=[{'role': 'user', 'content': 'hi'}])"
    ),
    "a rerun, awaited": "rerun_profile_generation(user_id='user-1', wait_for_response=True)",
}


def measure(scale: Scale) -> Result:
    result = Result("imports", TITLE)
    number = scale.of(11, 1)
    result.figures += _imports(number)
    hands = Figure("first call by hand, two small models: extra CPU", "ms")
    with static_server.running() as server:
        for name, call in CALLS.items():
            url = f"{server.url}/{'20' if name == 'get_profiles' else 'synchronous'}"
            figure = Figure(f"first call, {name}: CPU beyond by hand", "ms", target=at_most(30))
            code = _FIRST.format(url=url, call=call)
            by_hand = _BY_HAND.format(url=f"{server.url}/20")
            for _ in range(number):
                hand = _seconds(by_hand)
                figure.samples.append((_seconds(code) - hand) * 1e3)
                hands.samples.append(hand * 1e3)
            result.figures.append(figure)
        result.figures.append(hands)
    result.notes.append(
        "Each in a fresh interpreter. The first call's extra: the first client, made and called once, less "
        "the same of a later client, which connects anew as well. What remains is code and models that load "
        "late. Those of aiohttp and pydantic are in the line by hand, measured in turn, and taken off."
    )
    return result


def _imports(number: int) -> list[Ratio]:
    libraries = Ratio(
        "import: CPU, against its libraries", "ms", target=at_most(1.25), scale=1e3, against="libraries"
    )
    with_model = Ratio(
        "import: CPU, against these and one model", "ms", scale=1e3, against="libraries and one model"
    )
    for order in rounds.turns((OURS, LIBRARIES, ONE_MODEL), number + 1):
        took = {statement: _seconds(_IMPORT % statement) for statement in order}
        libraries.add(took[OURS], took[LIBRARIES])
        with_model.add(took[OURS], took[ONE_MODEL])
    for ratio in (libraries, with_model):  # the first round writes bytecode
        del ratio.samples[0], ratio.ours[0], ratio.theirs[0]
    return [libraries, with_model]


def _seconds(code: str) -> float:
    return float(fresh.python("-c", code))
