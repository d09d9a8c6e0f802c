"""What does the import cost, compared with its libraries? What does a first call cost beyond a later one?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import fresh, rounds, static_server
from benchmarks.report import Figure, Ratio, Result, Target, at_most

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "Import, and the first call"
OURS = "from reflexio_async import AsyncReflexioClient"  # ``import reflexio_async`` alone imports very little
MODELS = "import aiohttp, anyio, reflexio_async.reflexio.models"
LIBRARIES = "import aiohttp, anyio; from pydantic import BaseModel"  # ``import pydantic`` too
# The first class of a program makes pydantic import its types and look for plugins.
ONE_CLASS = LIBRARIES + "\nclass Model(BaseModel): number: int = 0"
NO_COLLECTOR = "import gc; gc.disable()\n"  # as timeit measures
STATEMENTS = (OURS, MODELS, LIBRARIES, ONE_CLASS, NO_COLLECTOR + OURS, NO_COLLECTOR + ONE_CLASS)

_IMPORT = "import time; began = time.process_time()\n%s\nprint(time.process_time() - began)"
_FIRST_CALL = """
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
    ratios = (
        (OURS, LIBRARIES, _ratio("import: CPU, against its libraries", at_most(1.4))),
        (MODELS, LIBRARIES, _ratio("its models alone, against its libraries")),
        (OURS, ONE_CLASS, _ratio("import: CPU, against its libraries and one model")),
        (NO_COLLECTOR + OURS, NO_COLLECTOR + ONE_CLASS, _ratio("the same without the garbage collector")),
    )
    for turn, order in enumerate(rounds.turns(STATEMENTS, number + 1)):
        seconds = {statement: _seconds(_IMPORT % statement) for statement in order}
        if turn:  # the first one writes bytecode
            for ours, theirs, ratio in ratios:
                ratio.add(seconds[ours], seconds[theirs])
    result.figures += [ratio for _, _, ratio in ratios]
    with static_server.running() as server:
        for name, call in CALLS.items():
            url = f"{server.url}/{'20' if name == 'get_profiles' else 'synchronous'}"
            figure = Figure(f"first call, {name}: CPU beyond a later one", "ms")
            code = _FIRST_CALL.format(url=url, call=call)
            figure.samples = [_seconds(code) * 1e3 for _ in range(number)]
            result.figures.append(figure)
    result.notes.append(
        f"Each in a new interpreter. The libraries: {LIBRARIES}. One model: a class, for which pydantic "
        "imports more. The first full pass of the garbage collector is in our import, and not yet in that "
        "of the libraries. A call makes a client, connects, and closes the client; the first one also builds "
        "the schemas of its models."
    )
    return result


def _ratio(name: str, target: Target | None = None) -> Ratio:
    return Ratio(name, "ms", target=target, scale=1e3, against="its libraries")


def _seconds(code: str) -> float:
    return float(fresh.python("-c", code))
