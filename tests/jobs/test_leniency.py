"""Waiting as callers of the official clients do it: zeros, refusals as results, the documents' names."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from reflexio_async import InvalidRequest, JobFailed, JobState, JobTimeout
from reflexio_async.sandbox import faults
from tests.scene import STATUS, scene

REGENERATE = {"from_ts": 0, "to_ts": 2_000_000_000}


# --- poll_interval=0: every 0.05 seconds


async def test_poll_interval_zero_asks_every_twentieth_of_a_second() -> None:
    async with scene(1, rerun_seconds=1.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        before = play.status_requests()
        assert (await job.result(poll_interval=0)).success
        asked = [record.at for record in play.box.requests if record.path == STATUS][before:]
        assert {round(later - sooner, 3) for sooner, later in pairwise(asked)} == {0.05}
        assert len(asked) in range(18, 23)


async def test_poll_interval_zero_in_the_call_is_the_same() -> None:
    async with scene(1, rerun_seconds=1.0) as play:
        response = await play.client.rerun_profile_generation(
            user_id="user-0", wait_for_response=True, poll_interval=0
        )
        assert response.success
        assert play.status_requests() in range(18, 24)


async def test_poll_interval_zero_overrides_the_interval_of_the_client() -> None:
    async with scene(1, rerun_seconds=1.0, client={"poll_interval": 30.0}) as play:
        began = play.clock.now()
        await (await play.client.rerun_profile_generation(user_id="user-0")).result(poll_interval=0)
        assert play.clock.now() - began < 1.2


# --- wait_timeout=0: one look


async def test_wait_timeout_zero_asks_once_and_raises() -> None:
    async with scene(1, rerun_seconds=60.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        before, began = play.status_requests(), play.clock.now()
        with pytest.raises(
            JobTimeout, match="was still running after 0 s; it goes on at the server"
        ) as caught:
            await job.result(wait_timeout=0)
        assert play.status_requests() == before + 1
        assert play.clock.now() - began < 0.1
        assert caught.value.token == job.token


async def test_wait_timeout_zero_returns_the_result_of_a_job_that_has_ended() -> None:
    async with scene(1, rerun_seconds=1.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        await play.clock.sleep(5.0)
        assert (await job.result(wait_timeout=0)).success


async def test_wait_timeout_zero_of_a_queued_job_asks_nothing() -> None:
    async with scene(2, rerun_seconds=60.0) as play:
        await play.client.rerun_profile_generation(user_id="user-0")
        queued = await play.client.rerun_profile_generation(user_id="user-1")
        with pytest.raises(JobTimeout, match="was still queued after 0 s; its start has not been sent"):
            await queued.result(wait_timeout=0)
        await queued.cancel()


async def test_a_look_that_fails_is_told_with_the_timeout() -> None:
    async with scene(1, rerun_seconds=60.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        play.box.faults.add(faults.status(503, {"detail": "not now"}), path=STATUS, times=None)
        with pytest.raises(JobTimeout, match="not now") as caught:
            await job.result(wait_timeout=0)
        assert caught.value.last_poll_error is not None
        play.box.faults.clear()
        await job


@pytest.mark.parametrize("option", ["poll_interval", "wait_timeout"])
async def test_less_than_zero_seconds_is_refused(option: str) -> None:
    async with scene(1) as play:
        job: Any = await play.client.rerun_profile_generation(user_id="user-0")
        with pytest.raises(InvalidRequest, match=f"{option} must be zero or more seconds"):
            await job.result(**{option: -0.1})
        await job


# --- a rerun that fails, with raise_on_refusal=False


@pytest.mark.parametrize("service", ["profile", "playbook"])
async def test_a_rerun_that_fails_is_a_response_that_says_so(service: str) -> None:
    async with scene(client={"raise_on_refusal": False}) as play:
        response = await getattr(play.client, f"rerun_{service}_generation")(wait_for_response=True)
        [failed] = play.box.operations(f"{service}_generation")
        assert (response.success, response.operation_id) == (False, failed.operation_id)
        assert response.msg


async def test_a_rerun_that_is_cancelled_is_a_response_that_says_so() -> None:
    async with scene(2, rerun_seconds=60.0, client={"raise_on_refusal": False}) as play:
        waiting = asyncio.ensure_future(play.client.rerun_profile_generation(wait_for_response=True))
        await play.clock.sleep(5.0)
        await play.client.cancel_operation(service_name="profile_generation")
        response = await waiting
        assert response.success is False


async def test_awaiting_the_job_raises_in_any_case() -> None:
    async with scene(client={"raise_on_refusal": False}) as play:
        job = await play.client.rerun_profile_generation()
        with pytest.raises(JobFailed):
            await job


async def test_a_rerun_that_fails_raises_by_default() -> None:
    async with scene() as play:
        with pytest.raises(JobFailed):
            await play.client.rerun_profile_generation(wait_for_response=True)


async def test_a_wait_that_runs_out_raises_in_any_case() -> None:
    async with scene(1, rerun_seconds=60.0, client={"raise_on_refusal": False}) as play:
        with pytest.raises(JobTimeout):
            await play.client.rerun_profile_generation(
                user_id="user-0", wait_for_response=True, wait_timeout=0
            )


# --- names of the documents


async def test_a_rerun_has_the_operation_id_of_the_server() -> None:
    async with scene(1) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        assert job.operation_id == job.id == play.box.operations()[0].operation_id
        await job


async def test_a_job_that_is_not_admitted_has_no_operation_id() -> None:
    async with scene(2, rerun_seconds=60.0) as play:
        await play.client.rerun_profile_generation(user_id="user-0")
        queued = await play.client.rerun_profile_generation(user_id="user-1")
        assert (queued.operation_id, queued.total) == (None, None)
        await queued.cancel()


async def test_a_rerun_of_all_users_says_how_many_there_are() -> None:
    async with scene(3, rerun_seconds=60.0) as play:
        job = await play.client.rerun_profile_generation()
        await job.refresh()
        assert job.total == 3


async def test_a_regeneration_has_the_job_id_and_the_total_of_the_answer() -> None:
    async with scene(2) as play:
        job = await play.client.regenerate_evaluations(REGENERATE)
        started = await play.client.get_evaluation_regeneration_status(job.job_id or "")
        assert (job.job_id, job.total) == (started.job_id, started.total)
        assert job.status.state is JobState.RUNNING
        await job


async def test_an_aggregation_has_the_operation_id_of_the_answer() -> None:
    async with scene() as play:
        job = await play.client.submit_playbook_aggregation(agent_version="v1")
        assert job.operation_id == job.id
        assert (await job).operation_id == job.operation_id
