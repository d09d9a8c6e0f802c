"""How far a reader has to go to follow one operation through the package.

    python -m benchmarks.hops             counts, and the limits
    python -m benchmarks.hops --functions  every function, in the order in which they are entered

Counted are the files and functions of the package that are entered, and the moves from one file to another.
A coroutine that goes on after a wait is entered again. There is no store and no tracing. The server is a
sandbox in another thread, which is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio.from_thread import start_blocking_portal

import reflexio_async
from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence
    from types import FrameType

PACKAGE = f"{Path(reflexio_async.__file__).parent}/"
RUNS = 3
USER = "ana"


@dataclass(frozen=True)
class Hops:
    """The way of one operation; files and functions in the order in which they are first entered."""

    files: tuple[str, ...]
    functions: tuple[tuple[str, str], ...]
    moves: int


class Recorder:
    """A profiler for ``sys.setprofile`` that notes every entry into a function of the package."""

    def __init__(self) -> None:
        self._entries: list[tuple[str, str]] = []

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            self._entries.append((code.co_filename.removeprefix(PACKAGE), code.co_qualname))

    def hops(self) -> Hops:
        files = [file for file, _ in self._entries]
        moves = sum(before != after for before, after in pairwise(files))
        return Hops(tuple(dict.fromkeys(files)), tuple(dict.fromkeys(self._entries)), moves)


async def typed_call(client: AsyncReflexioClient) -> None:
    await client.search_user_profiles(user_id=USER, query="sushi")


async def rerun(client: AsyncReflexioClient) -> None:
    await (await client.rerun_profile_generation(user_id=USER))


OPERATIONS: dict[str, Callable[[AsyncReflexioClient], Awaitable[None]]] = {
    "a typed call": typed_call,
    "a rerun": rerun,
}
LIMITS = {"a typed call": (9, 25), "a rerun": (20, 90)}
"""The most files and the most moves."""


def measure(operation: str) -> Hops:
    """The shortest of some runs: a turn of another task in between adds moves."""
    with _server() as url:
        return min(asyncio.run(_runs(url, OPERATIONS[operation])), key=lambda hops: hops.moves)


async def _runs(url: str, operation: Callable[[AsyncReflexioClient], Awaitable[None]]) -> list[Hops]:
    runs: list[Hops] = []
    async with AsyncReflexioClient(url_endpoint=url, tracing=False) as client:
        await operation(client)  # makes what is made once
        for _ in range(RUNS):
            await asyncio.sleep(0.1)  # until what follows an operation has been done
            recorder = Recorder()
            sys.setprofile(recorder)
            try:
                await operation(client)
            finally:
                sys.setprofile(None)
            runs.append(recorder.hops())
    return runs


@contextmanager
def _server() -> Generator[str]:
    """The address of a sandbox in a thread of its own."""
    box: Any = Sandbox(rerun_seconds=0.02)  # over before the first status request
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(box):
        portal.call(box.seed, USER)
        yield box.url


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts. The exit status is 1 if an operation is over its limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--functions", action="store_true", help="name every function")
    options = parser.parse_args(arguments)
    over = False
    for operation, (most_files, most_moves) in LIMITS.items():
        hops = measure(operation)
        over |= len(hops.files) > most_files or hops.moves > most_moves
        print(
            f"{operation}: {len(hops.files)} files (at most {most_files}), {len(hops.functions)} functions, "
            f"{hops.moves} moves between files (at most {most_moves})"
        )
        if options.functions:
            print(*(f"    {file}  {name}" for file, name in hops.functions), sep="\n")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
