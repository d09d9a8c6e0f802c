"""Jobs of a store: handles, tokens, cancelling and closing, as a user sees them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

import tests.scene
from reflexio_async import (
    AsyncReflexioClient,
    AuthenticationError,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    JobState,
    JobTimeout,
    RequestRefused,
)
from reflexio_async.durable import watch as watch_module
from reflexio_async.sandbox import Sandbox
from reflexio_async.testing import faults
from tests.hang import until
from tests.scene import RERUN, STATUS, Scene

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path


def scene(
    store: Path, users: int = 2, *, client: dict[str, Any] | None = None, **sandbox: Any
) -> AbstractAsyncContextManager[Scene]:
    return tests.scene.scene(users, client={"store": store, **(client or {})}, **sandbox)


@asynccontextmanager
async def other(play: Scene, store: Path, **options: Any) -> AsyncGenerator[AsyncReflexioClient]:
    """Another client with the same store, as another process has it."""
    async with AsyncReflexioClient(
        url_endpoint=play.box.url, store=store, clock=play.clock, **options
    ) as client:
        yield client


async def started(play: Scene, *users: str) -> list[Any]:
    return [await play.client.rerun_profile_generation(user_id=user) for user in users]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "r.db"


async def test_a_start_returns_when_it_is_answered_and_the_next_at_once(store: Path) -> None:
    async with scene(store, rerun_seconds=10) as play:
        first, second = await started(play, *play.users)
        assert (first.status.state, second.status.state) == (JobState.RUNNING, JobState.QUEUED)
        assert [job.profiles_generated for job in (await first, await second)] == [1, 1]


async def test_a_queued_job_has_a_token_which_another_client_resolves(store: Path) -> None:
    async with scene(store, rerun_seconds=10) as play:
        _, second = await started(play, *play.users)
        assert second.id is None
        assert second.token is not None
        async with other(play, store) as client:
            assert await client.job(second.token) == await second


async def test_another_client_of_the_store_waits_for_the_admission_of_a_job(store: Path) -> None:
    async with scene(store, rerun_seconds=10) as play:
        first, second = await started(play, *play.users)
        async with other(play, store) as client:
            job = client.job(second.token)
            await job.admitted()
            assert (job.status.state, job.id) == (JobState.RUNNING, second.id)
        assert first.status.done


async def test_a_job_of_an_earlier_client_has_its_outcome_in_the_store(store: Path) -> None:
    async with scene(store) as play:
        (job,) = await started(play, "user-0")
        response, token = await job, job.token
        failing = await play.client.rerun_profile_generation(user_id="nobody")
        with pytest.raises(JobFailed) as failure:
            await failing
        polls = play.status_requests()
        async with other(play, store) as client:
            assert await client.job(token) == response
            with pytest.raises(JobFailed, match="No interactions found") as again:
                await client.job(failing.token or "")
        assert play.status_requests() == polls
        assert again.value.status.state is JobState.FAILED
        assert again.value.failed_users == failure.value.failed_users
        assert again.value.token == failing.token


async def test_a_token_of_a_store_needs_the_store_before_its_admission(store: Path) -> None:
    async with scene(store, rerun_seconds=10) as play:
        first, second = await started(play, *play.users)
        async with AsyncReflexioClient(url_endpoint=play.box.url, clock=play.clock) as client:
            with pytest.raises(InvalidRequest, match="store="):
                client.job(second.token)
            assert (await client.job(first.token)).success


async def test_a_client_goes_on_with_what_an_earlier_one_has_left(store: Path) -> None:
    async with scene(store, users=4, rerun_seconds=10) as play:
        async with other(play, store) as client:
            tokens = [
                (await client.rerun_profile_generation(user_id=user)).token or "" for user in play.users
            ]
            summary = await client.aclose()
        assert summary.stored_jobs == 4
        assert summary.complete
        jobs = [play.client.job(token) for token in tokens]
        assert all([(await job).success for job in jobs])
    assert len(play.box.operations()) == 4


async def test_a_refused_start_reaches_its_caller(store: Path) -> None:
    async with scene(store) as play:
        play.box.faults.add(faults.refused("no model", field_name="msg"), path=RERUN)
        with pytest.raises(RequestRefused, match="no model"):
            await play.client.rerun_profile_generation(user_id="user-0")


async def test_a_wrong_key_reaches_the_caller_of_a_start(store: Path) -> None:
    async with scene(store, api_key="right", client={"api_key": "wrong"}) as play:
        with pytest.raises(AuthenticationError):
            await play.client.rerun_profile_generation(user_id="user-0")


async def test_wait_for_response_returns_the_response(store: Path) -> None:
    async with scene(store, rerun_seconds=3) as play:
        answer = await play.client.rerun_profile_generation(user_id="user-0", wait_for_response=True)
        assert answer.profiles_generated == 1


async def test_a_manual_generation_goes_through_the_store(store: Path) -> None:
    async with scene(store, rerun_seconds=3) as play:
        call = await play.client.manual_profile_generation(user_id="user-0")
        assert (await call).profiles_generated == 1
        assert (await play.client.store.stats()).jobs == {JobState.COMPLETED: 1}


async def test_both_slots_run_at_once(store: Path) -> None:
    async with scene(store, users=1, rerun_seconds=10) as play:
        profiles = await play.client.rerun_profile_generation(user_id="user-0")
        playbooks = await play.client.rerun_playbook_generation(agent_version="agent-v0")
        await profiles
        await playbooks
        assert play.clock.now() < 15


async def test_a_cancelled_queued_job_is_never_sent(store: Path) -> None:
    async with scene(store, rerun_seconds=10) as play:
        first, second = await started(play, *play.users)
        await second.cancel()
        with pytest.raises(JobCancelled):
            await second
        await first
        assert play.starts() == 1


async def test_another_client_withdraws_a_queued_job(store: Path) -> None:
    async with scene(store, users=3, rerun_seconds=10) as play:
        *_, third = await started(play, *play.users)
        async with other(play, store) as client:
            await client.job(third.token).cancel()
        with pytest.raises(JobCancelled):
            await third
        assert third.status.state is JobState.CANCELLED


@pytest.mark.parametrize("here", [True, False])
async def test_a_running_job_is_cancelled_at_the_server(store: Path, *, here: bool) -> None:
    async with scene(store, users=3, rerun_seconds=10) as play:
        job = await play.client.rerun_profile_generation()  # of all three users
        if here:
            await job.cancel()
        else:
            async with other(play, store) as client:
                same = client.job(job.token or "")
                await same.refresh()
                await same.cancel()
        with pytest.raises(JobCancelled):
            await job


async def test_refresh_of_a_job_that_another_client_drives_asks_the_server(store: Path) -> None:
    async with scene(store, users=4, rerun_seconds=10) as play:
        job = await play.client.rerun_profile_generation()
        async with other(play, store) as client:
            await play.box.advance(25)
            status = await client.job(job.token or "").refresh()
        assert status.processed_users == 2


async def test_watch_shows_the_states_of_a_queued_job(store: Path) -> None:
    async with scene(store, rerun_seconds=10) as play:
        _, second = await started(play, *play.users)
        states = [status.state async for status in second.watch()]
        assert states[0] is JobState.QUEUED
        assert JobState.RUNNING in states
        assert states[-1] is JobState.COMPLETED


async def test_a_timeout_of_a_queued_job_says_that_it_waits_in_the_store(store: Path) -> None:
    async with scene(store, rerun_seconds=100) as play:
        _, second = await started(play, *play.users)
        with pytest.raises(JobTimeout, match="waits in the store"):
            await second.result(wait_timeout=5)
        assert (await second).success


async def test_the_poll_interval_of_a_waiter_counts(store: Path) -> None:
    async with scene(store, rerun_seconds=20) as play:
        (job,) = await started(play, "user-0")
        await play.box.advance(10)
        before = play.status_requests()
        with pytest.raises(JobTimeout):
            await job.result(poll_interval=0.1, wait_timeout=2)
        assert play.status_requests() - before >= 18


async def test_a_server_that_is_away_ends_no_job(store: Path) -> None:
    async with scene(store, rerun_seconds=1) as play:
        await play.client.whoami()
        play.box.faults.add(faults.lost_before(), path=STATUS, times=60)
        (job,) = await started(play, "user-0")
        assert (await job).success
        assert len(play.box.operations()) == 1


async def test_a_job_that_the_server_has_lost_with_its_data_is_started_again(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene(store, rerun_seconds=30) as play:
        (job,) = await started(play, "user-0")
        await play.box.restart(keep_data=False)
        play.box.seed("user-0")
        assert (await job).success
        assert job.timing.attempts == 2
    assert "may run twice" in caplog.text


async def test_januarys_reruns_wait_in_the_store_too(store: Path) -> None:
    async with scene(store, users=3, legacy=True, dialect="synchronous", rerun_seconds=2) as play:
        jobs: list[Any] = [await play.client.legacy.rerun_feedback_generation(agent_version="agent-v0")]
        jobs += [await play.client.legacy.rerun_profile_generation(user_id=user) for user in play.users]
        assert all([(await job).success for job in jobs])


async def test_an_uncorrelated_server_starts_each_job_once(store: Path) -> None:
    async with scene(store, users=3, dialect="uncorrelated", rerun_seconds=2) as play:
        jobs = await started(play, *play.users)
        await asyncio.gather(*jobs)
        assert [operation.params["user_id"] for operation in play.box.operations()] == play.users


async def test_a_cancelled_call_withdraws_its_start(store: Path) -> None:
    async with scene(store, rerun_seconds=50) as play:
        await started(play, "user-0")
        call = asyncio.create_task(
            play.client.rerun_profile_generation(user_id="user-1", wait_for_response=True)
        )
        await play.box.advance(5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        counts = (await play.client.store.stats()).jobs
        assert counts == {JobState.RUNNING: 1, JobState.CANCELLED: 1}


async def test_a_client_that_has_nothing_to_start_goes_on_with_what_another_one_leaves(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_LOOK", 0.05)
    async with Sandbox(rerun_seconds=0.2) as box, AsyncReflexioClient(url_endpoint=box.url, store=store):
        users = ("a", "b")
        for user in users:
            box.seed(user)
        left = AsyncReflexioClient(url_endpoint=box.url, store=store)
        for user in users:
            await left.rerun_profile_generation(user_id=user)
        await left.aclose(drain=False)
        await until(lambda: len(box.operations()) == 2)
