"""Cancelling a call that waits for a rate limit."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient, RateLimited
from reflexio_async._engine.models import Empty
from reflexio_async._engine.wire import encode
from reflexio_async.reflexio.api.identity import WHOAMI as WHOAMI_ENDPOINT
from reflexio_async.sandbox import VirtualClock
from tests.transport.servers import WHOAMI, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from reflexio_async._engine.events import RequestEvent

RATE_LIMITED = reply_with({"error": "Rate limit exceeded: 5 per 1 minute"}, 429)


@pytest.mark.parametrize("turns", range(12))
async def test_a_call_cancelled_when_the_limit_opens_gives_its_permit_back(turns: int) -> None:
    """It is cancelled ``turns`` turns of the loop after that moment: before or after it gets a permit."""
    tries: list[RequestEvent] = []
    clock = VirtualClock(auto_advance=False)
    async with (
        raw_server(sequence(RATE_LIMITED, then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, on_request=tries.append) as client,
    ):
        caller, settings = client._engine.caller, client._engine.settings
        rate_limiter = caller.rate_limiter(WHOAMI_ENDPOINT.path)
        with pytest.raises(RateLimited):
            await caller.send(WHOAMI_ENDPOINT, encode(WHOAMI_ENDPOINT, Empty()), settings, limit_wait=0.0)
        call = asyncio.ensure_future(
            caller.send(
                WHOAMI_ENDPOINT,
                encode(WHOAMI_ENDPOINT, Empty()),
                settings,
                limit_wait=math.inf,
                withdrawn=asyncio.Event(),
            )
        )
        await clock.settle()
        loop = asyncio.get_running_loop()
        opened = loop.create_future()
        clock.call_at(clock.now() + rate_limiter.opens_in(), lambda: opened.set_result(None))
        moving = asyncio.ensure_future(clock.advance(rate_limiter.opens_in()))
        await opened
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
        await moving
        free = 0
        while rate_limiter.try_acquire() is not None:
            free += 1
        assert free == 5 - (len(tries) - 1)
