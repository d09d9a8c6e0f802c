"""A program that tests kill: it publishes through the outbox of a store, and says what was accepted.

``python -m tests.durable.publisher URL STORE FIRST COUNT`` prints the number of each publish that was
accepted, and ``delivered`` at the end.
"""

from __future__ import annotations

import asyncio
import sys

from reflexio_async import AsyncReflexioClient

CALLERS = 32
SESSIONS = 50


async def main(url: str, store: str, first: int, count: int) -> None:
    numbers = iter(range(first, count))
    async with AsyncReflexioClient(url_endpoint=url, store=store, drain_timeout=600) as client:

        async def accept() -> None:
            for number in numbers:
                turn = {"role": "user", "content": f"text {number}"}
                session = f"s{number % SESSIONS}"
                await client.publish_later("u", [turn], session_id=session, request_id=f"p{number}")
                print(number, flush=True)  # noqa: T201

        await asyncio.gather(*(accept() for _ in range(CALLERS)))
        # The lease of a process that was killed must end.
        while (await client.outbox.stats()).waiting:  # noqa: ASYNC110  # another process may deliver
            await asyncio.sleep(0.1)
        print("delivered", flush=True)  # noqa: T201


if __name__ == "__main__":
    url, store, first, count = sys.argv[1:]
    asyncio.run(main(url, store, int(first), int(count)))
