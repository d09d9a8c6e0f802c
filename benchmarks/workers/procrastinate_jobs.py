"""The CPU time of procrastinate for one job that does nothing: ``URL JOBS``. It prints seconds."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time

import procrastinate


async def run(url: str, jobs: int) -> float:
    logging.disable(logging.WARNING)  # that the app is in the main module
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))

    @app.task(name="nothing")
    async def nothing(user_id: str) -> None: ...

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        began = time.process_time()
        for number in range(jobs):
            await nothing.defer_async(user_id=f"u{number}")
        await app.run_worker_async(wait=False, concurrency=1, install_signal_handlers=False)
        return (time.process_time() - began) / jobs


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(sys.argv[1], int(sys.argv[2])))))
