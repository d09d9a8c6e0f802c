"""A slot has one owner at a time: foreign operations, and cancelling."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from reflexio_async import JobCancelled, JobLost, JobState
from tests.hang import A_HANG
from tests.real.helpers import PROFILES, pending, pending_of_each, publish, publish_each, soon_pending, starts

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient
    from reflexio_async.testing import RealServer

pytestmark = pytest.mark.real


async def test_an_outcome_overwritten_by_a_foreign_operation_is_lost_not_guessed(
    client: AsyncReflexioClient, other: AsyncReflexioClient, names: list[str]
) -> None:
    ours, theirs = names[:2]
    await publish_each(client, [ours, theirs])
    job = await client.rerun_profile_generation(user_id=ours)  # nobody waits, so nobody polls
    assert await soon_pending(client, [ours]) == {ours: 1}
    await other.rerun_profile_generation(user_id=theirs, wait_for_response=True)
    with pytest.raises(
        JobLost, match="another operation took the slot before its outcome was read"
    ) as caught:
        await job.result(wait_timeout=A_HANG)
    assert (caught.value.status.state, caught.value.token) == (JobState.LOST, job.token)


async def test_a_lost_job_does_not_close_the_lane(
    client: AsyncReflexioClient, other: AsyncReflexioClient, names: list[str]
) -> None:
    await publish_each(client, names[:3])
    lost = await client.rerun_profile_generation(user_id=names[0])
    assert await soon_pending(client, names[:1]) == {names[0]: 1}
    await other.rerun_profile_generation(user_id=names[1], wait_for_response=True)
    result = await client.rerun_profile_generation(user_id=names[2], wait_for_response=True)
    assert result.profiles_generated == await pending(client, names[2]) == 1
    with pytest.raises(JobLost):
        await lost


async def test_a_foreign_operation_is_waited_out_before_a_start(
    client: AsyncReflexioClient, other: AsyncReflexioClient, name: str, names: list[str]
) -> None:
    await publish_each(client, names, source=name)
    foreign = await other.rerun_profile_generation(
        source=name
    )  # of all twelve: the slot is taken for a while
    job = await client.rerun_profile_generation(user_id=names[0])
    assert job.status.state is JobState.QUEUED
    await job
    assert job.timing.attempts == 1  # it did not knock while the slot was taken
    assert await pending_of_each(client, names[1:]) == dict.fromkeys(names[1:], 1)
    with pytest.raises(
        JobLost
    ):  # the slot remembers only the latest operation, and nobody had asked for theirs
        await foreign


async def test_two_clients_at_once_are_never_refused_and_lose_no_work(
    client: AsyncReflexioClient, other: AsyncReflexioClient, names: list[str]
) -> None:
    await publish_each(client, names)
    reports = await asyncio.gather(
        client.rerun_profiles_many(names[:6], wait_timeout=30),
        other.rerun_profiles_many(names[6:], wait_timeout=30),
    )
    for report in reports:
        # Whoever reads too late does not know the outcome; that nobody claims to is the point.
        assert len(report.completed) + len(report.lost) == 6, report.table()
    assert await pending_of_each(client, names) == dict.fromkeys(names, 1)


async def test_cancelling_a_queued_job_withdraws_its_start(
    real_server: RealServer, client: AsyncReflexioClient, names: list[str]
) -> None:
    await publish_each(client, names[:3])
    before = starts(real_server, PROFILES)
    first, second, third = [await client.rerun_profile_generation(user_id=user) for user in names[:3]]
    assert second.status.state is JobState.QUEUED
    await second.cancel()
    with pytest.raises(JobCancelled, match="before its start was sent"):
        await second
    await asyncio.gather(first.result(), third.result())
    assert starts(real_server, PROFILES) - before == {200: 2}
    assert await pending_of_each(client, names[:3]) == {names[0]: 1, names[1]: 0, names[2]: 1}


async def test_cancelling_a_running_job_of_one_user_is_answered_by_its_completion(
    client: AsyncReflexioClient, name: str
) -> None:
    await publish(client, name)
    job = await client.rerun_profile_generation(user_id=name)
    await job.cancel()
    assert (await job).profiles_generated == await pending(client, name) == 1


async def test_cancelling_with_nothing_running_cancels_nothing(
    client: AsyncReflexioClient, name: str
) -> None:
    await publish(client, name, agent_version=name)
    await client.rerun_profile_generation(user_id=name, wait_for_response=True)
    await client.rerun_playbook_generation(agent_version=name, wait_for_response=True)
    answer = await client.cancel_operation()
    assert (answer.success, answer.cancelled_services) == (True, [])


async def test_the_status_names_the_latest_operation(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name)
    job = await client.rerun_profile_generation(user_id=name)
    await job
    info = (await client.get_operation_status(service_name="profile_generation")).operation_status
    assert info is not None
    assert (info.operation_id, info.status, info.request_params["user_id"]) == (job.id, "completed", name)


async def test_a_service_that_never_ran_has_no_status(client: AsyncReflexioClient, name: str) -> None:
    answer = await client.get_operation_status(service_name=name)
    assert (answer.success, answer.operation_status) == (False, None)
    assert answer.msg == f"No operation found for service: {name}"
