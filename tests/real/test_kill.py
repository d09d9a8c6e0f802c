"""The server is killed as by ``kill -9``: everything ends in a typed outcome, and the rest can be completed.

What a killed server was generating stays "in progress" for ten minutes after its restart, so a slot that
was taken when the server died cannot be used again within a test.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from reflexio_async import APIConnectionError, JobState, JobTimeout, ReflexioError
from tests.hang import A_HANG
from tests.real.helpers import TURN, client_of, pending, pending_of_each, publish_each, starts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reflexio_async import BatchProgress
    from reflexio_async.testing import RealServer
    from tests.real_server import StartServer

pytestmark = pytest.mark.real


@pytest.fixture
def server(real_server_factory: StartServer) -> RealServer:
    return real_server_factory(rate_limits=False)


async def test_a_batch_whose_server_dies_between_two_operations_is_completed_by_a_retry(
    server: RealServer, names: list[str]
) -> None:
    async with client_of(server) as client:
        await publish_each(client, names)
    async with client_of(server) as client:
        four_are_done = asyncio.Event()

        def count(progress: BatchProgress) -> None:
            if progress.done == 4:
                four_are_done.set()

        async def users() -> AsyncIterator[str]:
            for user in names[:4]:
                yield user
            await four_are_done.wait()
            server.kill()
            for user in names[4:]:
                yield user

        began = time.monotonic()
        report = await client.rerun_profiles_many(
            users(), concurrency=8, wait_timeout=5, on_progress=count, outage_timeout=1.0
        )
        assert time.monotonic() - began < A_HANG
        assert sorted(row.key for row in report.completed) == names[:4]
        # The first start after the kill went out on a connection that had just died: nobody can know.
        assert not report.failed
        ended = {row.key for row in report}
        assert sorted(row.key for row in (*report.not_started, *report.lost)) == sorted(ended - {*names[:4]})
        assert all(isinstance(row.error, ReflexioError) for row in report if row.key in names[4:])
        await asyncio.to_thread(server.restart)
        rest = await report.retry_failed("not_started", "lost")
        assert rest.ok, rest.table()
        rest = await client.rerun_profiles_many(name for name in names if name not in ended)  # not read
        assert rest.ok, rest.table()
        assert await pending_of_each(client, names) == dict.fromkeys(names, 1)
        assert starts(server) == {200: 12}


async def test_publishes_and_reruns_outlast_a_restart_and_nothing_is_lost_or_done_twice(
    server: RealServer, names: list[str]
) -> None:
    restarts: list[asyncio.Task[None]] = []

    def die_and_come_back() -> None:
        server.kill()
        restarts.append(asyncio.create_task(asyncio.to_thread(server.restart)))

    def die_after_twelve(progress: BatchProgress) -> None:
        if progress.done >= 12 and not restarts:
            die_and_come_back()

    async with client_of(server) as client:
        items = [
            {
                "user_id": names[n % 12],
                "session_id": f"s{n}",
                "interactions": [{**TURN, "content": f"I like {n}"}],
            }
            for n in range(40)
        ]
        report = await client.publish_many(items, on_progress=die_after_twelve)
        await restarts.pop()
        assert report.counts() == {"completed": 40}, report.table()
        stored = await client.get_all_interactions(limit=-1)
        assert sorted(turn.content for turn in stored.interactions) == sorted(
            f"I like {n}" for n in range(40)
        )

        server.forget_leases()
        four_are_done = asyncio.Event()

        def count(progress: BatchProgress) -> None:
            if progress.done == 4:
                four_are_done.set()

        async def users() -> AsyncIterator[str]:
            for user in names[:4]:
                yield user
            await four_are_done.wait()
            die_and_come_back()
            for user in names[4:]:
                yield user

        reruns = await client.rerun_profiles_many(users(), concurrency=8, on_progress=count)
        await restarts.pop()
        assert reruns.counts() == {"completed": 12}, reruns.table()
        assert starts(server) == {200: 12}


async def test_a_batch_whose_server_dies_under_way_ends_in_typed_outcomes(
    server: RealServer, names: list[str]
) -> None:
    async with client_of(server) as client:
        await publish_each(client, names)
    began = time.monotonic()
    async with client_of(server, timeout=10.0) as client:
        ended: dict[str, BaseException | None] = {}
        async with client.rerun_profiles_many(names, wait_timeout=5, outage_timeout=1.0) as batch:
            async for outcome in batch:
                ended[outcome.key] = outcome.error
                if len(ended) == 3:
                    server.kill()
    assert time.monotonic() - began < A_HANG
    assert sorted(ended) == names
    finished = [key for key, error in ended.items() if error is None]
    assert len(finished) >= 3
    assert all(error is None or isinstance(error, ReflexioError) for error in ended.values())
    await asyncio.to_thread(server.restart)
    async with client_of(server) as client:
        assert await pending_of_each(client, finished) == dict.fromkeys(finished, 1)


async def test_a_job_whose_server_dies_times_out_and_stays_in_progress_after_the_restart(
    server: RealServer, names: list[str]
) -> None:
    async with client_of(server, timeout=5.0) as client:
        await publish_each(client, names)
        job = await client.rerun_profile_generation()
        server.kill()
        with pytest.raises(JobTimeout, match="cannot connect") as dead:
            await job.result(wait_timeout=2)
        assert isinstance(dead.value.last_poll_error, APIConnectionError)
        # Playbooks wait for whoever was worked on as it died, too, and much longer than a test.
        server.forget_leases()
        await asyncio.to_thread(server.restart)

    assert dead.value.token is not None
    async with client_of(server) as client:
        resumed = client.job(dead.value.token)
        assert (await resumed.refresh()).state is JobState.RUNNING
        queued = await client.rerun_profile_generation(user_id=names[0])
        with pytest.raises(JobTimeout, match="its start has not been sent"):
            await queued.result(wait_timeout=1)
        await queued.cancel()
        assert starts(server) == {200: 1}
        # The other service has a slot of its own, and the answers so far are kept.
        answer = await client.rerun_playbook_generation(wait_for_response=True, wait_timeout=30)
        assert answer.playbooks_generated == 12
        assert await pending(client, names[0]) <= 1
