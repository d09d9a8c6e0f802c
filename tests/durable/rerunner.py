"""A program that tests kill: it reruns users as a batch of a store, and says how each ended.

``python -m tests.durable.rerunner URL STORE BATCH LEASE USERS`` prints a line of key and state for each
outcome, and ``finished`` at the end. LEASE is the lifetime of leases in seconds.
"""

from __future__ import annotations

import asyncio
import sys

from reflexio_async import AsyncReflexioClient


async def main(url: str, store: str, batch_id: str, lease: float, users: list[str]) -> None:
    client = AsyncReflexioClient(url_endpoint=url, store=store)
    assert client._engine.durable is not None
    client._engine.durable.lease_seconds = lease
    async with client:
        batch = client.rerun_profiles_many(users, batch_id=batch_id)
        async with batch:
            async for outcome in batch:
                print(outcome.key, outcome.state, outcome.attempts, outcome.error or "", flush=True)  # noqa: T201
        print("finished", flush=True)  # noqa: T201


if __name__ == "__main__":
    url, store, batch_id, lease, users = sys.argv[1:]
    asyncio.run(main(url, store, batch_id, float(lease), users.split(",")))
