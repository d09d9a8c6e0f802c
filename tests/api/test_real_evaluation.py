"""Evaluation and experiments, on the real server and on the sandbox."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from reflexio_async import Conflict, Job, JobState, NotFound, UnprocessableRequest
from tests.hang import A_HANG
from tests.real.helpers import publish

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient


async def test_a_regeneration_is_a_job(client: AsyncReflexioClient, name: str) -> None:
    """Of a session whose interactions are deleted: no model is asked, which may take minutes."""
    await asyncio.sleep(1.1)  # other tests published in seconds before this one
    begun = int(time.time())
    await publish(client, name, session_id=name)
    [interaction] = (await client.get_interactions(user_id=name)).interactions
    await client.delete_interaction(name, interaction.interaction_id, wait_for_response=True)
    job = await client.regenerate_evaluations(from_ts=begun, to_ts=begun + 60)
    assert isinstance(job, Job)
    assert job.token is not None
    assert job.id is not None
    done = await job.result(wait_timeout=A_HANG)
    assert (done.status, done.total, done.completed, done.failed) == ("completed", 1, 1, 0)
    assert job.status.progress == 1.0
    again = await client.job(job.token)
    assert again.job_id == job.id
    assert (await client.get_evaluation_regeneration_status(job.id)).status == "completed"
    assert await client.cancel_evaluation_regeneration(job.id) == {"status": "cancelled"}
    await job.cancel()  # ended: nothing to ask for
    assert job.status.state is JobState.COMPLETED


async def test_waiting_inside_the_call(client: AsyncReflexioClient) -> None:
    answer = await client.regenerate_evaluations(
        from_ts=0, to_ts=1, wait_for_response=True, wait_timeout=A_HANG
    )
    assert (answer.total, answer.status) == (0, "completed")


async def test_an_unknown_regeneration(client: AsyncReflexioClient) -> None:
    with pytest.raises(NotFound, match="Unknown job_id"):
        await client.get_evaluation_regeneration_status("nope")


async def test_grading_on_demand(client: AsyncReflexioClient, name: str) -> None:
    answer = await client.grade_on_demand(session_id=name, agent_version="v1")
    assert (answer.session_id, answer.cached, answer.skipped_reason) == (name, False, "NO_REQUESTS")


async def test_results(client: AsyncReflexioClient, name: str) -> None:
    graded = await client.get_agent_success_evaluation_results(agent_version=name)
    assert graded.agent_success_evaluation_results == []
    helped = await client.get_retrieved_learning_evaluation_results(user_id=name)
    assert (helped.success, helped.results) == (True, [])
    assert (await client.get_recent_shadow_comparisons(limit=5)).verdicts == []


async def test_the_overview(client: AsyncReflexioClient) -> None:
    overview = await client.get_evaluation_overview(
        from_ts=0,
        to_ts=int(time.time()),
        bucket="day",
        source_sets=[{"label": "web", "sources": ["web"]}],
    )
    assert overview.hero.state == "empty"
    assert overview.source_set_comparison is not None
    assert [one.label for one in overview.source_set_comparison.sets] == ["web"]


async def test_an_experiment(client: AsyncReflexioClient, name: str) -> None:
    try:
        started = await client.start_retrieval_experiment(name, 50.0)
        assert started.active_experiment is not None
        assert started.active_experiment.experiment_id == name
        with pytest.raises(Conflict):
            await client.start_retrieval_experiment(f"{name}-2", 50.0)
        with pytest.raises(UnprocessableRequest, match="user_id is required"):
            await client.search(query="tea")
        assigned = (await client.search(query="tea", user_id=name)).experiment
        assert assigned is not None
        assert assigned.experiment_id == name
        assert assigned.arm in {"treatment", "holdout"}
        results = await client.get_retrieval_experiment_results(name)
        assert (results.treatment.arm, results.holdout.arm) == ("treatment", "holdout")
        with pytest.raises(Conflict):
            await client.stop_retrieval_experiment(f"{name}-2")
    finally:
        stopped = await client.stop_retrieval_experiment(name)
    assert stopped.active_experiment is None
    listed = await client.list_retrieval_experiments()
    assert name in [experiment.experiment_id for experiment in listed.experiments]
    with pytest.raises(NotFound):
        await client.get_retrieval_experiment_results("nope")
