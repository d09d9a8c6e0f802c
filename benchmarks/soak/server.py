"""A sandbox with faults, in a process of its own. It starts anew, without its data, every 45 seconds."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import fresh
from reflexio_async.testing import Faults, ReflectSettings, Sandbox

if TYPE_CHECKING:
    from collections.abc import Generator

EMAIL, PASSWORD = "soak@example.com", "password-of-the-soak"
RESTARTS_EVERY = 45.0  # seconds; it also bounds what the server keeps
_ACTIONS = """
internal_error = 0.01
internal_error after_effect = 0.005
lost_before = 0.01
answer_lost = 0.01
cut_off = 0.005
broken_json = 0.005
dropped_after = 0.02
html = 0.005
crowded = 0.002
freeze = 0.001
"""


class Address(NamedTuple):
    """Where the servers of the sandbox listen."""

    url: str
    reflect_url: str
    reflect_key: str


@contextmanager
def running() -> Generator[Address]:
    """Run the sandbox in a process of its own."""
    with fresh.server(__name__) as line:
        yield Address(*json.loads(line))


def script() -> str:
    """The faults: each strikes a share of all requests, always the same ones."""
    entries: list[str] = []
    for seed, line in enumerate(_ACTIONS.split("\n")[1:-1]):
        action, _, share = line.partition(" = ")
        name, _, effect = action.partition(" ")
        entries.append(f'[[fault]]\naction = "{name}"\ntimes = "always"\nchance = {share}\nseed = {seed}')
        if effect:
            entries[-1] += f"\n{effect} = true"
    return "\n".join(entries)


async def _serve() -> None:
    box = Sandbox(
        faults=Faults.from_toml(script()),
        logins={EMAIL: PASSWORD},
        rerun_seconds=0.02,
        learning_seconds=0.05,
        keep_requests=100,
        reflect=ReflectSettings(ingest_seconds=0.05),
    )
    async with box:
        print(json.dumps([box.url, box.reflect_url, box.reflect_key]), flush=True)
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        while not (await asyncio.wait([ended], timeout=RESTARTS_EVERY))[0]:
            await box.restart(keep_data=False)


if __name__ == "__main__":
    asyncio.run(_serve())
