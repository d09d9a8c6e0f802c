"""A nightly rerun: the profiles of many users are generated anew, in as many nights as the quota needs.

    python examples/nightly_rerun
    python examples/nightly_rerun nights.db

The server admits five reruns a minute and works on one at a time, so a night is too short for all users. What
was done is in a store, a SQLite file. The first night is interrupted, as by a deployment. The second one ends
in the morning. Each night continues the batch of the night before it, by its ``batch_id``. In the end the
server's own list is counted: it has started each user exactly once. The client learns the quota from one
refused start, and is not refused again.

It runs on a sandbox in this process, on a virtual clock: its three nights take a second. For your server, one
line in cron does the same:

    timeout --signal TERM 6h reflexio-async rerun --users users.txt --store nights.db --batch-id 2026-11
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from reflexio_async import AsyncReflexioClient, BatchReport, RerunProfileGenerationResponse
from reflexio_async.testing import Sandbox, VirtualClock

USERS = [f"user-{number:03}" for number in range(120)]
WORK = 8.0  # seconds of the server for one user
NIGHT, DAY = 10 * 60.0, 20 * 3600.0  # seconds
RERUN = "/api/rerun_profile_generation"
Report = BatchReport[str, RerunProfileGenerationResponse]


async def night(client: AsyncReflexioClient, clock: VirtualClock, *, interrupted: bool) -> Report | None:
    """Rerun users until all are done, it is morning, or a deployment cancels the task. Then return None.

    With real time, it is ``loop.call_later(seconds, batch.stop)``.
    """
    batch = client.rerun_profiles_many(USERS, batch_id="2026-11")
    run = asyncio.create_task(batch.run())
    if interrupted:
        end = clock.call_at(clock.now() + NIGHT / 2, run.cancel)
    else:
        end = clock.call_at(clock.now() + NIGHT, batch.stop)  # waits for the user that the server works on
    await asyncio.wait([run])
    end.cancel()
    return None if run.cancelled() else run.result()


async def show(client: AsyncReflexioClient, box: Sandbox, name: str) -> None:
    """Print how far the batch is: what the store says, and what the server has done."""
    [batch] = await client.store.batches()
    states = ", ".join(f"{count} {state}" for state, count in sorted(batch.jobs.items()))
    print(f"{name} {states}; the server has run {len(box.operations())}")


async def main(path: str) -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, rate_limits=True, rerun_seconds=WORK) as box:
        for user in USERS:
            box.seed(user, f"I like tea, says {user}")

        nights, report = 0, None
        while report is None or not report.ok:
            nights += 1
            # Each night is a process of its own, with a client of its own.
            async with AsyncReflexioClient(url_endpoint=box.url, clock=clock, store=path) as client:
                report = await night(client, clock, interrupted=nights == 1)
                await show(client, box, f"Night {nights}:")
            await clock.sleep(DAY)
        started = [each.params["user_id"] for each in box.operations()]
        refused = box.count("POST", RERUN, 429)
        print(f"\n{len(set(started))} users, {len(started)} starts, {nights} nights, {refused} refused.")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(sys.argv[1]))
    else:
        with TemporaryDirectory() as folder:
            asyncio.run(main(str(Path(folder) / "nights.db")))
