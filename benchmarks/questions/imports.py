"""What does the import cost, compared with its libraries? What does a first call cost beyond a later one?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import fresh, rounds, static_server
from benchmarks.report import Figure, Ratio, Result, at_most

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "Import, and the first call"
OURS = "from reflexio_async import AsyncReflexioClient"  # ``import reflexio_async`` alone imports very little
LIBRARIES = "import aiohttp, anyio; from pydantic import BaseModel"  # ``import pydantic`` too

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
    ratio = Ratio("import: CPU", "ms", target=at_most(1.4), scale=1e3, against="its libraries")
    for order in rounds.turns((OURS, LIBRARIES), number + 1):
        seconds = {statement: _seconds(_IMPORT % statement) for statement in order}
        ratio.add(seconds[OURS], seconds[LIBRARIES])
    del ratio.samples[0], ratio.ours[0], ratio.theirs[0]  # the first round writes bytecode
    result.figures.append(ratio)
    with static_server.running() as server:
        for name, call in CALLS.items():
            url = f"{server.url}/{'20' if name == 'get_profiles' else 'synchronous'}"
            figure = Figure(f"first call, {name}: CPU beyond a later one", "ms")
            code = _FIRST_CALL.format(url=url, call=call)
            figure.samples = [_seconds(code) * 1e3 for _ in range(number)]
            result.figures.append(figure)
    result.notes.append(
        f"Each in a new interpreter. The libraries: {LIBRARIES}. A call makes a client, connects, and closes "
        "the client; the first one also builds the schemas of its models."
    )
    return result


def _seconds(code: str) -> float:
    return float(fresh.python("-c", code))
