"""Waiting for a job: closed clients, failures that are reported or not, and memory."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    AsyncReflexioClient,
    ClientClosed,
    Job,
    JobFailed,
    JobTimeout,
    as_completed,
    gather_jobs,
)
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.scene import scene

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from reflexio_async._engine.events import BackgroundErrorEvent

LEARNING = "/api/learning_status"


@pytest.fixture
def without_collector() -> Generator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def left_running() -> list[Job[Any]]:
    """A rerun and the learning of a publish, whose client was closed under them."""
    async with scene(1, rerun_seconds=60.0, learning_seconds=60.0) as play:
        rerun = await play.client.rerun_profile_generation(user_id=play.users[0])
        return [rerun, play.client.learning("request-1")]


async def test_a_job_awaited_after_its_client_was_closed_says_so_at_once() -> None:
    for job in await left_running():
        for wait in (job, job.result(), job.settled(), gather_jobs([job])):
            with pytest.raises(ClientClosed, match=f"{job.kind}.* resume it by its token"):
                await wait


async def test_a_watch_whose_client_was_closed_between_two_statuses_raises() -> None:
    async with scene(1, rerun_seconds=60.0) as play:
        job = await play.client.rerun_profile_generation(user_id=play.users[0])
        watch = job.watch()
        assert (await anext(watch)) is job.status
        await play.client.aclose()
        with pytest.raises(ClientClosed):
            await anext(watch)


async def test_as_completed_yields_the_jobs_of_a_closed_client() -> None:
    jobs = await left_running()
    assert {job.kind async for job in as_completed(jobs)} == {job.kind for job in jobs}


async def failing() -> AsyncGenerator[tuple[AsyncReflexioClient, VirtualClock, list[str]]]:
    clock = VirtualClock()
    reports: list[str] = []

    def report(event: BackgroundErrorEvent) -> None:
        reports.append(str(event.error))

    async with (
        Sandbox(clock=clock, rerun_seconds=500.0) as box,
        AsyncReflexioClient(
            url_endpoint=box.url, clock=clock, drain_timeout=1.0, on_background_error=report
        ) as client,
    ):
        box.seed("user-0", "I like tea")
        box.faults.add(faults.status(200, {"status": "failed"}), path=LEARNING, times=None)
        yield client, clock, reports


async def test_a_failure_that_one_caller_saw_is_not_reported_for_another_that_was_cancelled() -> None:
    async for client, clock, reports in failing():
        job: Job[Any] | None = client.learning("request-1")
        slow = await client.rerun_profile_generation(user_id="user-0")
        assert job is not None
        both = asyncio.create_task(gather_jobs([job, slow], return_exceptions=True))
        with pytest.raises(JobFailed):
            await job
        await clock.sleep(20.0)
        both.cancel()
        await asyncio.wait([both])
        del both, job
        gc.collect()
        assert reports == []


async def test_a_failure_that_only_a_cancelled_caller_could_have_seen_is_reported() -> None:
    async for client, clock, reports in failing():
        job: Job[Any] | None = client.learning("request-1")
        slow = await client.rerun_profile_generation(user_id="user-0")
        assert job is not None
        both = asyncio.create_task(gather_jobs([job, slow], return_exceptions=True))
        await clock.sleep(20.0)
        assert job.status.done
        both.cancel()
        await asyncio.wait([both])
        del both, job
        gc.collect()
        assert len(reports) == 1


@pytest.mark.usefixtures("without_collector")
async def test_a_job_that_failed_is_freed_with_its_last_handle() -> None:
    async for client, _, _ in failing():
        job: Job[Any] | None = client.learning("request-1")
        held = weakref.ref(job)
        try:
            assert job is not None
            await job
        except JobFailed:
            pass
        job = None
        await asyncio.sleep(0)
        assert held() is None


async def test_what_a_poll_met_holds_no_frames_and_is_forgotten_with_the_next_answer() -> None:
    async with scene(1, learning_seconds=600.0) as play:
        turns = [{"role": "user", "content": "tea"}]
        receipt = await play.client.publish_interaction(user_id="u", session_id="s", interactions=turns)
        assert receipt.request_id is not None
        job = play.client.learning(receipt.request_id)
        play.box.faults.add(faults.status(500, {}), path=LEARNING, times=1)
        with pytest.raises(JobTimeout) as early:
            await job.result(wait_timeout=0.06)
        met = early.value.last_poll_error
        while met is not None:
            assert met.__traceback__ is None
            met = met.__cause__ or met.__context__  # type: ignore[assignment]
        with pytest.raises(JobTimeout) as late:
            await job.result(wait_timeout=30.0)
        assert (early.value.last_poll_error is None, late.value.last_poll_error) == (False, None)
