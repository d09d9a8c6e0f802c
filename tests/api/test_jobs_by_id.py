"""Aggregation operations and regenerations: jobs that have a status route of their own."""

from __future__ import annotations

import pytest

from reflexio_async import Conflict, InvalidRequest, JobCancelled, JobFailed, JobLost, JobState
from reflexio_async.sandbox import faults
from tests.scene import Scene, scene

AGGREGATION = "/api/playbook_aggregation_operations"
REGENERATION = "/api/evaluations/regenerate"


async def lessons(play: Scene, version: str = "v1", count: int = 2) -> None:
    lesson = {"agent_version": version, "content": "be kind", "request_id": "r"}
    await play.client.add_user_playbook([lesson] * count)


async def test_a_durable_aggregation_is_a_job() -> None:
    async with scene(aggregation_seconds=30.0) as play:
        await lessons(play)
        job = await play.client.submit_playbook_aggregation(agent_version="v1")
        assert (job.kind, job.status.state) == ("aggregation", JobState.RUNNING)
        done = await job
        assert (done.status, done.agent_version) == ("succeeded", "v1")
        assert done.result is not None
        assert done.result.playbooks_generated == 1
        assert len((await play.client.get_agent_playbooks(agent_version="v1")).agent_playbooks) == 1


async def test_waiting_inside_the_call() -> None:
    async with scene(aggregation_seconds=30.0) as play:
        await lessons(play)
        done = await play.client.submit_playbook_aggregation(agent_version="v1", wait_for_response=True)
        assert done.status == "succeeded"


async def test_it_is_polled_every_five_seconds_in_the_end() -> None:
    async with scene(aggregation_seconds=1000.0) as play:
        await lessons(play)
        job = await play.client.submit_playbook_aggregation(agent_version="v1")
        await job
        polls = [record.at for record in play.box.requests if record.method == "GET"]
        assert polls[-1] - polls[-2] == pytest.approx(5.0)
        assert len(polls) < 230


async def test_the_same_id_is_the_same_operation() -> None:
    async with scene() as play:
        await lessons(play)
        jobs = [
            await play.client.submit_playbook_aggregation(request_id="mine", agent_version="v1")
            for _ in range(2)
        ]
        assert jobs[0].id == jobs[1].id
        with pytest.raises(Conflict, match="request_id parameters changed"):
            await play.client.submit_playbook_aggregation(request_id="mine", agent_version="v2")


async def test_a_start_whose_response_is_lost_is_sent_again() -> None:
    async with scene() as play:
        await lessons(play)
        play.box.faults.add(faults.answer_lost(), path=AGGREGATION)
        done = await play.client.submit_playbook_aggregation(agent_version="v1", wait_for_response=True)
        assert done.status == "succeeded"
        sent = [record.body for record in play.box.requests if record.path == AGGREGATION]
        assert len(sent) == 2
        assert sent[0] == sent[1]


async def test_a_failed_aggregation() -> None:
    async with scene(failing_users=["v1"]) as play:
        await lessons(play)
        job = await play.client.submit_playbook_aggregation(agent_version="v1")
        with pytest.raises(JobFailed, match=r"aggregation .*: "):
            await job
        assert job.status.error


async def test_it_is_resumed_by_its_token() -> None:
    async with scene(aggregation_seconds=100.0) as play:
        await lessons(play)
        job = await play.client.submit_playbook_aggregation(agent_version="v1")
        assert job.token is not None
        resumed = play.client.job(job.token)
        assert (resumed.id, resumed.kind) == (job.id, "aggregation")
        assert (await resumed).operation_id == job.id


async def test_it_cannot_be_cancelled_and_says_so() -> None:
    async with scene(aggregation_seconds=100.0) as play:
        await lessons(play)
        job = await play.client.submit_playbook_aggregation(agent_version="v1")
        with pytest.raises(InvalidRequest, match="cannot be cancelled"):
            await job.cancel()


async def test_a_regeneration_has_progress() -> None:
    async with scene(evaluation_seconds=10.0) as play:
        for number in range(12):  # ten are judged at once
            await play.client.publish_interaction(
                user_id="u", session_id=f"s{number}", interactions=[{"content": "x"}]
            )
        job = await play.client.regenerate_evaluations(from_ts=0, to_ts=4_000_000_000)
        seen = [status.progress async for status in job.watch() if status.progress is not None]
        assert seen == sorted(seen)
        assert seen[-1] == 1.0
        assert 0.0 < seen[1] < 1.0
        assert (await job).status == "completed"


async def test_a_regeneration_is_cancelled_by_its_id() -> None:
    async with scene(4, evaluation_seconds=10.0) as play:
        job = await play.client.regenerate_evaluations(from_ts=0, to_ts=4_000_000_000)
        await job.cancel()
        assert play.box.count("DELETE", f"{REGENERATION}/{job.id}") == 1
        assert job.status.state is JobState.RUNNING  # asked for; the outcome comes by waiting
        with pytest.raises(JobCancelled):
            await job


async def test_one_regeneration_at_a_time() -> None:
    async with scene(4, evaluation_seconds=10.0) as play:
        job = await play.client.regenerate_evaluations(from_ts=0, to_ts=4_000_000_000)
        with pytest.raises(Conflict, match="already running"):
            await play.client.regenerate_evaluations(from_ts=0, to_ts=4_000_000_000)
        assert job.token is not None
        assert (await play.client.job(job.token)).status == "completed"


async def test_a_regeneration_that_the_server_has_forgotten() -> None:
    async with scene(1, evaluation_seconds=10.0) as play:
        job = await play.client.regenerate_evaluations(from_ts=0, to_ts=4_000_000_000)
        unknown = faults.status(404, {"detail": "Unknown job_id"})
        play.box.faults.add(unknown, path=f"{REGENERATION}/{job.id}", times=2)
        with pytest.raises(JobLost, match="Unknown job_id"):
            await job
        assert job.status.state is JobState.LOST


async def test_a_regeneration_is_not_sent_twice() -> None:
    async with scene(1) as play:
        play.box.faults.add(faults.answer_lost(), path=REGENERATION)
        with pytest.raises(Exception, match="broke") as lost:
            await play.client.regenerate_evaluations(from_ts=0, to_ts=4_000_000_000)
        assert lost.value.outcome_unknown is True  # type: ignore[attr-defined]
        assert play.box.count("POST", REGENERATION) == 1
