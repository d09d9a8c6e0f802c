"""The client and the server are killed at random moments: what was accepted is stored once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

COUNT = int(os.environ.get("OUTBOX_PUBLISHES", "1500"))
KILLS = 8


async def publisher(url: str, store: Path, first: int) -> asyncio.subprocess.Process:
    program = (sys.executable, "-m", "tests.durable.publisher", url, str(store), str(first), str(COUNT))
    return await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)


def first_missing(accepted: set[int]) -> int:
    return min(set(range(COUNT)) - accepted, default=COUNT)


async def read(process: asyncio.subprocess.Process, accepted: set[int], count: int = COUNT) -> bool:
    """Note what ``process`` has accepted, until it ends or has accepted ``count`` more.

    Returns whether it has delivered everything.
    """
    assert process.stdout is not None
    before = len(accepted)
    async for line in process.stdout:
        if line == b"delivered\n":
            return True
        accepted.add(int(line))
        if len(accepted) - before >= count:
            return False
    return False


async def test_what_was_accepted_is_stored_once(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311  # the same moments in every run
    accepted: set[int] = set()
    store = tmp_path / "r.db"
    async with Sandbox() as box:
        for _ in range(KILLS):
            process = await publisher(box.url, store, first_missing(accepted))
            await read(process, accepted, chance.randrange(COUNT // KILLS))
            await asyncio.sleep(chance.uniform(0, 0.2))
            if chance.random() < 0.5:
                await box.restart()
            with suppress(ProcessLookupError):  # it may have delivered everything
                process.send_signal(signal.SIGKILL)
            await read(process, accepted)
            await process.wait()
        process = await publisher(box.url, store, first_missing(accepted))
        assert await read(process, accepted)
        assert await process.wait() == 0
        texts = [stored.interactions[0].content for stored in box.stored_requests.values()]
        assert Counter(texts) == Counter(f"text {number}" for number in range(COUNT))
