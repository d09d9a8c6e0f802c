"""Servers of three dialects, recognised by their first answer."""

from __future__ import annotations

import asyncio

import pytest

from reflexio_async import JobFailed, JobLost, JobState
from reflexio_async.sandbox import faults
from tests.scene import RERUN, STATUS, scene


async def test_a_synchronous_server_gets_as_many_starts_at_once_as_the_client_allows() -> None:
    async with scene(21, dialect="synchronous", rerun_seconds=10.0, client={"concurrency": 5}) as play:
        jobs = await asyncio.gather(
            *(play.client.rerun_profile_generation(user_id=user) for user in play.users)
        )
        results = await asyncio.gather(*jobs)
        assert [result.profiles_generated for result in results] == [1] * 21
        # The first is sent alone, the other twenty five at a time.
        assert play.clock.now() == 50.0


async def test_the_width_of_a_batch_ends_with_it() -> None:
    async with scene(24, dialect="synchronous", rerun_seconds=10.0, client={"concurrency": 2}) as play:
        await play.client.rerun_profile_generation(user_id=play.users[0])
        batch, single = play.users[:12], play.users[12:]
        began = play.clock.now()
        await play.client.rerun_profiles_many(batch, concurrency=6)
        assert play.clock.now() - began == 20.0
        began = play.clock.now()
        await asyncio.gather(*(play.client.rerun_profile_generation(user_id=user) for user in single))
        await play.client.aclose()
        assert play.clock.now() - began == 60.0


async def test_the_first_answer_of_an_unknown_server_is_waited_for_alone() -> None:
    async with scene(3, dialect="synchronous", rerun_seconds=10.0) as play:
        await asyncio.gather(*(play.client.rerun_profile_generation(user_id=user) for user in play.users))
        await play.clock.sleep(30.0)
        assert [record.at for record in play.box.requests if record.path == RERUN] == [0.0, 10.0, 10.0]


async def test_a_synchronous_job_has_run_when_its_start_returns() -> None:
    async with scene(1, dialect="synchronous", rerun_seconds=10.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        assert (job.status.state, play.clock.now()) == (JobState.COMPLETED, 10.0)


async def test_a_synchronous_job_runs_while_its_start_is_answered() -> None:
    async with scene(2, dialect="synchronous", rerun_seconds=10.0, client={"concurrency": 1}) as play:
        report = await play.client.rerun_profiles_many(play.users)
        assert [outcome.seconds_running for outcome in report] == [10.0, 10.0]


async def test_a_synchronous_start_without_an_answer_is_never_sent_again() -> None:
    async with scene(2, dialect="synchronous") as play:
        await play.client.rerun_profile_generation(user_id="user-1")
        play.box.faults.add(faults.answer_lost(), path=RERUN)
        with pytest.raises(Exception, match="broke") as ambiguous:
            await play.client.rerun_profile_generation(user_id="user-0")
        assert ambiguous.value.outcome_unknown is True  # type: ignore[attr-defined]
        assert play.starts() == 2


@pytest.mark.parametrize("dialect", ["synchronous", "correlated"])
async def test_a_start_that_a_busy_server_refuses_is_sent_again_when_it_asks_for_it(dialect: str) -> None:
    async with scene(2, dialect=dialect) as play:
        await (await play.client.rerun_profile_generation(user_id="user-1"))
        began = play.clock.now()
        play.box.faults.add(faults.crowded(retry_after=7), path=RERUN, times=2)
        await (await play.client.rerun_profile_generation(user_id="user-0"))
        sent = [record.at - began for record in play.box.requests if record.path == RERUN]
        assert sent[1:] == [0.0, 7.0, 14.0]


async def test_an_uncorrelated_operation_is_recognised_by_its_start_and_its_parameters() -> None:
    async with scene(5, dialect="uncorrelated", rerun_seconds=2.0) as play:
        jobs = await asyncio.gather(
            *(play.client.rerun_profile_generation(user_id=user) for user in play.users)
        )
        results = await asyncio.gather(*jobs)
        assert [result.success for result in results] == [True] * 5
        assert (play.starts(200), play.refused_for_being_busy()) == (5, 0)


async def test_the_same_user_twice_within_a_second_is_distinguished_on_an_uncorrelated_server() -> None:
    async with scene(1, dialect="uncorrelated") as play:
        for _ in range(3):
            assert (await (await play.client.rerun_profile_generation(user_id="user-0"))).success
        assert play.starts() == 3


async def test_an_uncorrelated_operation_that_was_overwritten_is_lost() -> None:
    async with scene(1, dialect="uncorrelated", rerun_seconds=1.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        await play.clock.sleep(5.0)
        play.box.start_foreign_operation(seconds=1.0, user_id="theirs")
        with pytest.raises(JobLost):
            await job


async def test_an_uncorrelated_operation_that_never_appears_is_lost_after_a_while() -> None:
    async with scene(1, dialect="uncorrelated") as play:
        await (await play.client.rerun_profile_generation(user_id="user-0"))
        stale = {
            "service_name": "profile_generation",
            "status": "completed",
            "started_at": 1,
            "request_params": {"user_id": "somebody"},
        }
        play.box.faults.add(
            faults.status(200, {"success": True, "operation_status": stale}), path=STATUS, times=None
        )
        await play.clock.sleep(5.0)
        job = await play.client.rerun_profile_generation(user_id="user-0")
        with pytest.raises(JobLost):
            await job
        assert play.clock.now() < 60.0


async def test_an_uncorrelated_failure_is_a_failure() -> None:
    async with scene(1, dialect="uncorrelated") as play:
        with pytest.raises(JobFailed, match="No interactions found"):
            await (await play.client.rerun_profile_generation(user_id="nobody"))


async def test_an_uncorrelated_job_is_resumed_by_its_token() -> None:
    async with scene(1, dialect="uncorrelated", rerun_seconds=10.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        assert job.token is not None
        assert (await play.client.job(job.token)).success
