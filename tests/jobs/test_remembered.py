"""A client remembers how the last jobs in slots ended, and finds that by their tokens."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from reflexio_async import AsyncReflexioClient, JobCancelled, JobFailed, JobLost, JobState
from tests.scene import RERUN, STATUS, Scene, scene


async def ended(play: Scene, user: str = "user-0") -> str:
    """Run a rerun to its end, and return its token."""
    job = await play.client.rerun_profile_generation(user_id=user)
    await job.settled()
    assert job.token is not None
    return job.token


async def test_an_outcome_that_the_client_has_read_is_found_by_token_when_the_slot_shows_another() -> None:
    async with scene(2) as play:
        token = await ended(play)
        await ended(play, "user-1")
        assert (await play.client.job(token)).profiles_generated == 1


async def test_the_outcome_of_a_handle_that_was_dropped_is_found_too() -> None:
    async with scene(2, rerun_seconds=0.2) as play:
        token = (await play.client.rerun_profile_generation(user_id="user-0")).token
        assert token is not None
        await (await play.client.rerun_profile_generation(user_id="user-1"))
        assert (await play.client.job(token)).profiles_generated == 1


async def test_a_remembered_outcome_costs_no_request() -> None:
    async with scene(1) as play:
        token = await ended(play)
        asked = play.status_requests()
        again = play.client.job(token)
        assert (again.status.state, (await again.refresh()).done) == (JobState.COMPLETED, True)
        await again
        assert play.status_requests() == asked


async def test_a_remembered_job_has_the_same_token() -> None:
    async with scene(2, dialect="uncorrelated") as play:
        await ended(play)
        token = await ended(play, "user-1")
        assert play.client.job(token).token == token


async def test_a_remembered_failure_is_raised_again_and_reported_once() -> None:
    events: list[Any] = []
    async with scene(1, client={"on_background_error": events.append}) as play:
        token = await ended(play, "nobody")
        play.client.job(token)
        gc.collect()
        await ended(play)
        with pytest.raises(JobFailed, match="No interactions found") as failed:
            await play.client.job(token)
        assert failed.value.token == token
        assert [event.error.token for event in events] == [token]


async def test_a_cancellation_at_the_server_is_remembered() -> None:
    async with scene(3, rerun_seconds=30.0) as play:
        job = await play.client.rerun_profile_generation()
        await job.cancel()
        with pytest.raises(JobCancelled):
            await job
        await ended(play)
        with pytest.raises(JobCancelled, match="cancelled at the server"):
            await play.client.job(job.token or "")


async def test_what_was_lost_is_asked_for_again() -> None:
    async with scene(1, rerun_seconds=1.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        await play.clock.sleep(2.0)
        play.box.start_foreign_operation(seconds=1.0)
        with pytest.raises(JobLost):
            await job
        asked = play.status_requests()
        with pytest.raises(JobLost):
            await play.client.job(job.token or "")
        assert play.status_requests() > asked


async def test_equal_jobs_of_a_server_without_ids_keep_outcomes_of_their_own() -> None:
    async with scene(1, dialect="uncorrelated") as play:
        first = await ended(play, "nobody")
        play.box.seed("nobody", "I like tea")
        second = await ended(play, "nobody")
        with pytest.raises(JobFailed):
            await play.client.job(first)
        assert (await play.client.job(second)).success


async def test_a_client_that_has_not_read_the_outcome_cannot_know_it() -> None:
    async with scene(2) as play:
        token = await ended(play)
        await ended(play, "user-1")
        async with AsyncReflexioClient(url_endpoint=play.box.url, clock=play.clock) as other:
            with pytest.raises(JobLost):
                await other.job(token)


async def test_the_last_thousand_outcomes_are_remembered() -> None:
    async with scene(1001, dialect="synchronous") as play:
        tokens = [await ended(play, user) for user in play.users]
        asked = play.box.count("GET", STATUS)
        for token in tokens[1:]:
            await play.client.job(token)
        assert (play.box.count("GET", STATUS), play.box.count("POST", RERUN, 200)) == (asked, 1001)
        with pytest.raises(JobLost):
            await play.client.job(tokens[0])
