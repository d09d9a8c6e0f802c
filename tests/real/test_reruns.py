"""One rerun after another, without rate limits: handles, results, and what they left at the server."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from reflexio_async import JobFailed, JobState, JobTimeout, Status, as_completed, gather_jobs
from tests.hang import A_HANG
from tests.real.helpers import (
    PLAYBOOKS,
    PROFILES,
    client_of,
    current,
    pending,
    pending_of_each,
    publish,
    publish_each,
    soon_pending,
    starts,
)

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient, Job
    from reflexio_async.reflexio.models.operations import RerunProfileGenerationResponse
    from reflexio_async.testing import RealServer

pytestmark = pytest.mark.real


async def test_a_result_counts_the_pending_profiles_that_exist(
    client: AsyncReflexioClient, name: str
) -> None:
    await publish(client, name)
    job = await client.rerun_profile_generation(user_id=name)
    result = await job
    found = (
        await client.get_profiles(user_id=name, status_filter=[Status.PENDING], force_refresh=True)
    ).user_profiles
    assert result.profiles_generated == len(found) == 1
    assert (found[0].user_id, found[0].status) == (name, Status.PENDING)
    assert "sushi" in found[0].content
    assert result.operation_id == job.id


async def test_waiting_inside_the_call_returns_the_response(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name)
    result = await client.rerun_profile_generation(
        user_id=name, wait_for_response=True, poll_interval=0.1, wait_timeout=A_HANG
    )
    assert (result.success, result.profiles_generated) == (True, 1)
    assert await pending(client, name) == 1


async def test_an_upgrade_promotes_what_is_pending(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name)
    await client.rerun_profile_generation(user_id=name, wait_for_response=True)
    assert (await pending(client, name), await current(client, name)) == (1, 0)
    answer = await client.upgrade_profiles()
    assert answer.success
    assert answer.profiles_promoted >= 1
    assert (await pending(client, name), await current(client, name)) == (0, 1)


async def test_an_upgrade_with_nothing_pending_says_so_without_raising(client: AsyncReflexioClient) -> None:
    await client.upgrade_profiles()
    again = await client.upgrade_profiles()
    assert (again.success, again.message) == (False, "No pending items found to upgrade")


async def test_playbooks_are_rerun_and_promoted_by_agent_version(
    client: AsyncReflexioClient, name: str
) -> None:
    await publish(client, name, agent_version=name)
    result = await client.rerun_playbook_generation(agent_version=name, wait_for_response=True)
    assert result.playbooks_generated == 1
    made = await client.get_user_playbooks(agent_version=name, status_filter=[Status.PENDING])
    assert [(row.user_id, row.status) for row in made.user_playbooks] == [(name, Status.PENDING)]
    answer = await client.upgrade_user_playbooks(agent_version=name)
    assert answer.user_playbooks_promoted == 1
    promoted = await client.get_user_playbooks(agent_version=name, status_filter=[None])
    assert [row.status for row in promoted.user_playbooks] == [None]


async def test_an_unknown_user_fails_with_the_words_of_the_server(
    client: AsyncReflexioClient, name: str
) -> None:
    job = await client.rerun_profile_generation(user_id=name)
    with pytest.raises(JobFailed, match="No interactions found matching the specified filters") as caught:
        await job
    assert caught.value.status.state is job.status.state is JobState.FAILED
    assert caught.value.status.error == "No interactions found matching the specified filters"
    assert re.search(f'"id":"{job.id}"', caught.value.token or "")


async def test_a_failure_does_not_hold_up_the_lane(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name)
    bad, good = await asyncio.gather(
        client.rerun_profile_generation(user_id=f"{name}-unknown"),
        client.rerun_profile_generation(user_id=name),
    )
    failure, result = await gather_jobs([bad, good], return_exceptions=True)
    assert isinstance(failure, JobFailed)
    assert not isinstance(result, BaseException)
    assert result.profiles_generated == await pending(client, name) == 1


async def test_watching_ends_with_completed(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name)
    job = await client.rerun_profile_generation(user_id=name)
    seen = [status async for status in job.watch()]
    assert (seen[0].state, seen[-1].state) == (JobState.RUNNING, JobState.COMPLETED)
    last = seen[-1]
    assert (last.progress, last.processed_users, last.total_users) == (1.0, 1, 1)
    assert last.started_at is not None
    assert last.finished_at is not None
    assert last.raw["request_params"]["operation_id"] == job.id
    assert await pending(client, name) == 1


async def test_refreshing_learns_the_end_without_waiting(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name)
    job = await client.rerun_profile_generation(user_id=name)
    async with asyncio.timeout(A_HANG):
        while not (await job.refresh()).done:  # noqa: ASYNC110  # the server does not call
            await asyncio.sleep(0.02)
    assert (job.status.state, (await job).profiles_generated) == (JobState.COMPLETED, 1)


async def test_many_waiters_get_the_one_result(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name)
    job = await client.rerun_profile_generation(user_id=name)

    async def wait() -> RerunProfileGenerationResponse:
        return await job

    results = await asyncio.gather(*(wait() for _ in range(50)))
    assert all(result is results[0] for result in results)
    assert await job is results[0]
    assert await pending(client, name) == 1


async def test_a_wait_that_runs_out_leaves_the_job_to_a_later_one(
    client: AsyncReflexioClient, name: str
) -> None:
    await publish(client, name)
    job = await client.rerun_profile_generation(user_id=name)
    with pytest.raises(JobTimeout, match="it goes on at the server") as caught:
        await job.result(wait_timeout=0.001)
    assert caught.value.token == job.token is not None
    assert (await job).profiles_generated == await pending(client, name) == 1


async def test_twelve_gathered_reruns_are_started_once_each(
    real_server: RealServer, client: AsyncReflexioClient, names: list[str]
) -> None:
    await publish_each(client, names)
    before = starts(real_server)
    jobs = await asyncio.gather(*(client.rerun_profile_generation(user_id=user) for user in names))
    results = await gather_jobs(jobs)
    assert [result.profiles_generated for result in results] == [1] * 12
    assert starts(real_server) - before == {200: 12}
    assert await pending_of_each(client, names) == dict.fromkeys(names, 1)


async def test_jobs_are_yielded_as_they_end_in_the_order_of_their_starts(
    client: AsyncReflexioClient, names: list[str]
) -> None:
    await publish_each(client, names[:4])
    jobs = [await client.rerun_profile_generation(user_id=user) for user in names[:4]]
    ended: list[Job[RerunProfileGenerationResponse]] = [job async for job in as_completed(jobs)]
    assert ended == jobs
    assert [job.status.state for job in ended] == [JobState.COMPLETED] * 4
    assert await pending_of_each(client, names[:4]) == dict.fromkeys(names[:4], 1)


async def test_leaving_the_client_sends_the_starts_that_were_forgotten(
    real_server: RealServer, client: AsyncReflexioClient, names: list[str]
) -> None:
    await publish_each(client, names)
    before = starts(real_server)
    async with client_of(real_server, drain_timeout=30) as forgetful:
        for user in names:
            await forgetful.rerun_profile_generation(user_id=user)
    assert starts(real_server) - before == {200: 12}
    assert await soon_pending(client, names) == dict.fromkeys(names, 1)


async def test_leaving_by_an_exception_starts_nothing_more(
    real_server: RealServer, client: AsyncReflexioClient, names: list[str]
) -> None:
    await publish_each(client, names)
    before = starts(real_server)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  # the block is what is left by it
        async with client_of(real_server) as failing:
            for user in names:
                await failing.rerun_profile_generation(user_id=user)
            raise ZeroDivisionError
    assert (starts(real_server) - before)[200] == 1
    assert await pending_of_each(client, names[1:]) == dict.fromkeys(names[1:], 0)


async def test_a_batch_streams_its_outcomes(client: AsyncReflexioClient, names: list[str]) -> None:
    await publish_each(client, names)
    async with client.rerun_profiles_many(names, upgrade=True) as batch:
        outcomes = [outcome async for outcome in batch]
    assert sorted(outcome.key for outcome in outcomes) == names
    assert {outcome.state.value for outcome in outcomes} == {"completed"}
    assert [await current(client, user) for user in names] == [1] * 12


async def test_one_unknown_user_fails_alone_in_a_batch(client: AsyncReflexioClient, names: list[str]) -> None:
    await publish_each(client, names[1:4])
    report = await client.rerun_profiles_many(names[:4])
    assert [row.key for row in report.failed] == [names[0]]
    assert isinstance(report.failed[0].error, JobFailed)
    assert await pending_of_each(client, names[1:4]) == dict.fromkeys(names[1:4], 1)


async def test_playbooks_of_many_agents_are_rerun_as_a_batch(
    real_server: RealServer, client: AsyncReflexioClient, names: list[str]
) -> None:
    for agent in names[:4]:
        await publish(client, agent, agent_version=agent)
    before = starts(real_server, PLAYBOOKS)
    report = await client.rerun_playbooks_many(names[:4])
    assert {row.key: row.result.playbooks_generated for row in report.completed if row.result} == (
        dict.fromkeys(names[:4], 1)
    )
    assert starts(real_server, PLAYBOOKS) - before == {200: 4}


async def test_a_job_is_resumed_by_its_token_from_another_client(
    client: AsyncReflexioClient, other: AsyncReflexioClient, name: str
) -> None:
    await publish(client, name)
    job = await client.rerun_profile_generation(user_id=name)
    assert job.token is not None
    resumed = other.job(job.token)
    result = await resumed.result(wait_timeout=A_HANG)
    assert (resumed.id, result.profiles_generated) == (job.id, 1)
    assert result == await job


async def test_no_start_is_sent_for_a_resumed_job(
    real_server: RealServer, client: AsyncReflexioClient, other: AsyncReflexioClient, name: str
) -> None:
    await publish(client, name)
    job = await client.rerun_profile_generation(user_id=name)
    await job
    before = starts(real_server, PROFILES)
    assert job.token is not None
    assert (await other.job(job.token)).profiles_generated == 1
    assert starts(real_server, PROFILES) == before
