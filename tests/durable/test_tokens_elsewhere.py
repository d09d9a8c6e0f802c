"""A token whose row is not in the store: it was pruned, or the job was started with another file."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflexioClient, JobCancelled, JobLost, JobState, JobTimeout
from tests.scene import Scene, scene

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from reflexio_async import Job


@asynccontextmanager
async def elsewhere(play: Scene, folder: Path) -> AsyncGenerator[AsyncReflexioClient]:
    """A client with another file."""
    url, file = play.box.url, folder / "other.db"
    async with AsyncReflexioClient(url_endpoint=url, clock=play.clock, store=file) as client:
        yield client


async def started(play: Scene) -> Job[Any]:
    """A job that was admitted."""
    job = await play.client.rerun_profile_generation(user_id="user-0")
    assert job.status.state is JobState.RUNNING
    return job


def stored(folder: Path) -> dict[str, str]:
    return {"store": str(folder / "r.db")}


async def test_an_admitted_job_is_found_by_its_token_with_another_file(tmp_path: Path) -> None:
    async with scene(1, client=stored(tmp_path), rerun_seconds=20) as play:
        job = await started(play)
        async with elsewhere(play, tmp_path) as client:
            found = client.job(job.token or "")
            assert (await found).profiles_generated == 1
            assert found.status.state is JobState.COMPLETED


async def test_its_status_can_be_watched_and_refreshed_there(tmp_path: Path) -> None:
    async with scene(1, client=stored(tmp_path), rerun_seconds=20) as play:
        job = await started(play)
        async with elsewhere(play, tmp_path) as client:
            found = client.job(job.token or "")
            assert (await found.refresh()).state is JobState.RUNNING
            assert [status.state async for status in found.watch()][-1] is JobState.COMPLETED


async def test_a_wait_for_it_times_out_there_and_goes_on(tmp_path: Path) -> None:
    async with scene(1, client=stored(tmp_path), rerun_seconds=20) as play:
        job = await started(play)
        async with elsewhere(play, tmp_path) as client:
            found = client.job(job.token or "")
            with pytest.raises(JobTimeout):
                await found.result(wait_timeout=5)
            assert (await found).profiles_generated == 1


async def test_it_can_be_cancelled_there(tmp_path: Path) -> None:
    async with scene(3, client=stored(tmp_path), rerun_seconds=20) as play:
        job = await play.client.rerun_profile_generation()  # of all users
        async with elsewhere(play, tmp_path) as client:
            found = client.job(job.token or "")
            await found.cancel()
            with pytest.raises(JobCancelled):
                await found


async def test_an_outcome_whose_row_was_pruned_is_read_from_the_server(tmp_path: Path) -> None:
    async with scene(1, client=stored(tmp_path)) as play:
        job = await started(play)
        await job
        await play.clock.sleep(10)
        assert await play.client.store.prune(1) == 1
        async with AsyncReflexioClient(
            url_endpoint=play.box.url, clock=play.clock, store=tmp_path / "r.db"
        ) as client:
            assert (await client.job(job.token or "")).profiles_generated == 1


async def test_a_job_whose_slot_another_has_taken_since_is_lost(tmp_path: Path) -> None:
    async with scene(2, client=stored(tmp_path)) as play:
        job = await started(play)
        await job
        await (await play.client.rerun_profile_generation(user_id="user-1"))
        async with elsewhere(play, tmp_path) as client:
            with pytest.raises(JobLost, match="another operation took the slot"):
                await client.job(job.token or "")


async def test_a_job_that_was_queued_when_the_token_was_made_is_not_found_with_another_file(
    tmp_path: Path,
) -> None:
    async with scene(2, client=stored(tmp_path), rerun_seconds=20) as play:
        await started(play)
        queued = await play.client.rerun_profile_generation(user_id="user-1")
        async with elsewhere(play, tmp_path) as client:
            with pytest.raises(JobLost, match="does not have it"):
                await client.job(queued.token or "")
