"""Tests of deadlines: on the sandbox's virtual clock, or on the real server with shorter deadlines.

Names script what takes how long, and what fails, as ``tests/real/patched_app.py`` describes.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.behaviour.wire import Wire
from tests.real_server import ServerTimings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import aiohttp

    from reflexio_async.sandbox.http.context import RequestContext
    from reflexio_async.sandbox.http.responses import Response

SHORT = ServerTimings(stale=4, request=3.0, extended=8.0, search=1.5, publish=3.0, scheduler=0.2, retry=0)
"""Of the real server, so that its tests take seconds."""

AGGREGATION = 2.5
"""Seconds that aggregating a version takes; on the real server its name has to say so."""

LEARNING = 300.0
"""Seconds of virtual time that learning from a publish takes; on the real server its user has to say so."""

GRADING = 3.0
"""Seconds that grading a session takes; on the real server its user has to say so."""

_HELD_UP = ("/api/publish_interaction", "/api/search", "/api/search_profiles")


@dataclass(frozen=True)
class Bench:
    """A server, and its deadlines."""

    wire: Wire
    timings: ServerTimings

    @property
    def now(self) -> float:
        """On the server's clock, in epoch seconds."""
        return self.wire.clock.time() if self.wire.clock else time.time()

    async def sleep(self, seconds: float) -> None:
        """On the server's clock."""
        await (self.wire.clock.sleep(seconds) if self.wire.clock else asyncio.sleep(seconds))

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until it holds, or fail."""
        for _ in range(400):
            if await holds():
                return
            await self.sleep(0.05)
        message = "it never came to hold"
        raise AssertionError(message)


@asynccontextmanager
async def sandbox_bench(session: aiohttp.ClientSession) -> AsyncGenerator[Bench]:
    clock = VirtualClock()
    async with Sandbox(
        clock=clock,
        rerun_seconds=lambda user: _seconds("works", user),
        failing_users=_Failing(),
        aggregation_seconds=AGGREGATION,
        evaluation_seconds=GRADING,
        learning_seconds=LEARNING,
    ) as box:
        box.faults.add(_HeldUp(), times=None, where=lambda record: record.path in _HELD_UP)
        yield Bench(Wire(box.url, session, clock), ServerTimings())


def _seconds(kind: str, name: str) -> float:
    found = re.search(rf"{kind}(\d+(\.\d+)?)", name)
    return float(found[1]) if found else 0.0


class _Failing(frozenset[str]):
    """Every user whose name contains "fails"."""

    def __contains__(self, name: object) -> bool:
        return "fails" in str(name)


class _HeldUp:
    """Takes as many seconds as the user id or the query says."""

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:
        body: dict[str, Any] = context.record.body
        seconds = _seconds("waits", str(body.get("query", body.get("user_id"))))
        return await faults.overwork(seconds).play(context, serve)
