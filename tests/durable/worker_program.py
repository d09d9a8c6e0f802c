"""A worker that tests kill and freeze: ``python -m tests.durable.worker_program STORE LEASE URL...``."""

from __future__ import annotations

import asyncio
import logging
import sys

from reflexio_async.worker import Organisation, Worker


async def main(store: str, lease: float, urls: list[str]) -> None:
    organisations = {url: Organisation(url) for url in urls}
    await Worker(store, organisations, lease_seconds=lease, lanes=4, connections=4).run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(name)s %(message)s")
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
