"""How long do twelve reruns take on the real server, compared with what its limits allow?"""

from __future__ import annotations

import time

from benchmarks import rounds
from benchmarks.report import TIMES, Figure, at_most
from reflexio_async import AsyncReflexioClient, Status
from reflexio_async.testing import RealServer

USERS = 12
QUOTA, WINDOW = 5, 60.0  # starts in so many seconds


def measure() -> Figure:
    with RealServer() as server:
        seconds = rounds.run(_batch(server.url))
        starts = [entry for entry in server.access_log() if entry.path == "/api/rerun_profile_generation"]
    assert sum(entry.status == 200 for entry in starts) == USERS, starts
    # A window begins with its first start, so a batch must wait for all windows but the last. The reruns
    # themselves take milliseconds on this server, which has no model.
    bound = (USERS - 1) // QUOTA * WINDOW
    figure = Figure(f"real server, {USERS} users: time / bound", TIMES, target=at_most(1.02), exact=True)
    figure.samples.append(seconds / bound)
    return figure


async def _batch(url: str) -> float:
    users = [f"user-{number}" for number in range(USERS)]
    async with AsyncReflexioClient(url_endpoint=url, timeout=30.0) as client:
        turn = {"role": "user", "content": "I like sushi"}
        for user in users:
            await client.publish_interaction(user_id=user, session_id=f"s-{user}", interactions=[turn])
        began = time.monotonic()
        report = await client.rerun_profiles_many(users)
        taken = time.monotonic() - began
        assert report.ok, report.table()
        for user in users:
            response = await client.get_profiles(
                user_id=user, status_filter=[Status.PENDING], force_refresh=True
            )
            assert len(response.user_profiles) == 1, f"{user}: {len(response.user_profiles)} profiles"
    return taken
