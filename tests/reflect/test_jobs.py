"""Traces as jobs: results, errors, polling and tokens."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from reflexio_async import (
    AsyncReflectClient,
    AuthenticationError,
    InvalidRequest,
    JobFailed,
    JobLost,
    JobState,
    JobTimeout,
    NotFound,
    PermissionDenied,
    TraceJob,
    UnexpectedResponse,
    gather_jobs,
)
from reflexio_async.sandbox import faults
from tests.reflect.scene import MESSAGES, TRACES, scene
from tests.transport.servers import raw_server, reply_with, sequence

SHOWN: dict[str, Any] = {"id": "t1", "task": "t", "review_status": "pending", "ingest_status": "processing"}


# --- results and errors


async def test_failed_ingest_raises_with_the_servers_reason() -> None:
    async with scene(failing_tasks={"bad"}, ingest_error="no model", ingest_seconds=1) as s:
        for review in (None, "pass"):
            job = await s.client.create_trace(task="bad", trajectory=MESSAGES, review_result=review)
            with pytest.raises(JobFailed, match="no model") as caught:
                await job
            assert isinstance(caught.value, RuntimeError)
            assert job.status.state is JobState.FAILED
            assert job.ingest_status == "failed"


async def test_a_trace_that_is_stored_after_failed_attempts_is_completed() -> None:
    def fails(_: str, attempt: int) -> bool:
        return attempt < 3

    async with scene(fails=fails, ingest_seconds=1) as s:
        trace = await s.client.create_trace_and_wait(task="t", trajectory=[], review_result="pass")
        assert (trace.ingest_attempts, trace.last_ingest_error) == (3, None)


async def test_with_a_review_the_wait_goes_on_after_the_trace_is_stored() -> None:
    async with scene(ingest_seconds=1, review_seconds=20) as s:
        job = await s.client.create_trace(task="t", trajectory=MESSAGES, review_result="pass")
        trace = await job
        assert s.clock.now() >= 21
        assert trace.created_memory_id is not None


async def test_without_a_review_the_wait_ends_when_the_trace_is_stored() -> None:
    async with scene(ingest_seconds=1) as s:
        await s.client.create_trace_and_wait(task="t", trajectory=MESSAGES)
        assert s.clock.now() < 2


async def test_after_the_timeout_the_trace_goes_on() -> None:
    async with scene(ingest_seconds=100) as s:
        with pytest.raises(JobTimeout) as caught:
            await s.client.create_trace_and_wait(task="t", trajectory=[], wait_timeout=5)
        assert isinstance(caught.value, TimeoutError)
        assert 5 <= s.clock.now() < 6
        assert caught.value.token is not None
        trace = await s.client.job(caught.value.token).result(wait_timeout=200)
        assert trace.task == "t"
        assert s.sent() == 1


async def test_the_default_timeout_is_a_minute() -> None:
    async with scene(ingest_seconds=1000) as s:
        with pytest.raises(JobTimeout):
            await s.client.create_trace_and_wait(task="t", trajectory=[])
        assert 60 <= s.clock.now() < 61


async def test_an_unknown_trace_is_waited_for() -> None:
    async with scene() as s:
        with pytest.raises(JobTimeout):
            await s.client.wait_for_trace("unknown", wait_timeout=3)


async def test_a_trace_deleted_during_the_wait_is_lost() -> None:
    async with scene(review_seconds=1000) as s:
        job = await s.client.create_trace(task="t", trajectory=[], review_result="pass")
        waiting = asyncio.create_task(job.result(wait_timeout=500))
        await s.clock.sleep(5)
        assert job.ingest_status == "processing"
        await s.client.delete_traces([job.id])
        with pytest.raises(JobLost) as lost:
            await waiting
        assert isinstance(lost.value.__cause__, NotFound)
        assert s.clock.now() < 10


async def test_a_revoked_key_ends_the_wait_at_once() -> None:
    async with scene(ingest_seconds=100) as s:
        created = await s.client.create_api_key(label="l", scopes=["trace:write"])
        options: dict[str, Any] = {"base_url": s.box.reflect_url, "project_id": "default"}
        async with AsyncReflectClient(api_key=created.api_key, clock=s.clock, **options) as other:
            job = await other.create_trace(task="t", trajectory=[])
            waiting = asyncio.create_task(job.result())
            await s.clock.sleep(1)
            await s.client.revoke_api_key(created.key.id)
            with pytest.raises(AuthenticationError):
                await waiting
            assert s.clock.now() < 3


@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (403, PermissionDenied)])
async def test_two_forbidden_status_requests_end_the_wait(status: int, kind: type[Exception]) -> None:
    async with scene(ingest_seconds=10) as s:
        job = await s.client.create_trace(task="t", trajectory=[])
        s.box.faults.add(faults.status(status), method="GET", path=f"{TRACES}/{job.id}", times=2)
        with pytest.raises(kind):
            await job
        assert s.asked() == 2


async def test_status_requests_that_fail_for_a_while_are_repeated() -> None:
    async with scene(ingest_seconds=2) as s:
        job = await s.client.create_trace(task="t", trajectory=[])
        for fault in (faults.internal_error(), faults.lost_before(), faults.status(429), faults.status(503)):
            s.box.faults.add(fault, method="GET")
        assert (await job).id == job.id


async def test_a_timeout_has_the_last_error_of_polling() -> None:
    async with scene() as s:
        job = await s.client.create_trace(task="t", trajectory=[])
        s.box.faults.add(faults.internal_error(), method="GET", times=None)
        with pytest.raises(JobTimeout, match="Internal Server Error") as caught:
            await job.result(wait_timeout=5)
        assert caught.value.last_poll_error is not None


async def test_a_status_of_another_shape_ends_the_wait() -> None:
    replies = [reply_with({"trace_id": "t1", "ingest_status": "queued"}), reply_with({"id": "t1"})]
    async with (
        raw_server(sequence(replies[0], then=replies[1])) as server,
        AsyncReflectClient(base_url=server.url) as client,
    ):
        with pytest.raises(UnexpectedResponse, match="review_status"):
            await client.create_trace_and_wait(task="t", trajectory=[])


# --- handles


async def test_a_trace_that_is_not_awaited_is_not_polled() -> None:
    async with scene(ingest_seconds=1) as s:
        await s.client.create_trace(task="t", trajectory=[])
        await s.clock.sleep(100)
        assert s.asked() == 0


async def test_the_waiters_of_a_trace_share_its_status_requests() -> None:
    async with scene(ingest_seconds=2) as s:
        job = await s.client.create_trace(task="t", trajectory=[])
        traces = await asyncio.gather(*(job.result() for _ in range(50)))
        assert all(trace is traces[0] for trace in traces)
        assert s.asked() < 20


async def test_the_poll_interval_grows_to_a_quarter_of_a_second() -> None:
    async with scene(ingest_seconds=50) as s:
        job = await s.client.create_trace(task="t", trajectory=[])
        await job
        assert 50 / 0.25 <= s.asked() <= 50 / 0.25 + 10


async def test_a_given_poll_interval_is_used() -> None:
    async with scene(ingest_seconds=50) as s:
        await s.client.create_trace_and_wait(task="t", trajectory=[], poll_interval=10)
        assert s.asked() == 5


async def test_the_options_of_the_client_are_the_defaults_of_a_wait() -> None:
    async with scene(client={"poll_interval": 10, "wait_timeout": 25}, ingest_seconds=50) as s:
        with pytest.raises(JobTimeout):
            await s.client.create_trace_and_wait(task="t", trajectory=[])
        assert s.asked() == 2


async def test_a_cancelled_waiter_does_not_disturb_the_others() -> None:
    async with scene(ingest_seconds=5) as s:
        job = await s.client.create_trace(task="t", trajectory=[])
        impatient, patient = (asyncio.create_task(job.result()) for _ in range(2))
        await s.clock.sleep(1)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        assert (await patient).id == job.id


async def test_a_cancelled_call_ends_its_polling() -> None:
    async with scene(ingest_seconds=1000) as s:
        waiting = asyncio.create_task(
            s.client.create_trace_and_wait(task="t", trajectory=[], wait_timeout=900)
        )
        await s.clock.sleep(3)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        asked = s.asked()
        await s.clock.sleep(100)
        assert s.asked() == asked


async def test_every_state_of_a_trace_can_be_watched() -> None:
    async with scene(ingest_seconds=1, review_seconds=5) as s:
        job = await s.client.create_trace(task="t", trajectory=[], review_result="pass")
        seen = [(status.state, job.ingest_status) async for status in job.watch()]
        assert seen == [("running", "queued"), ("running", "processing"), ("completed", "completed")]


async def test_a_trace_cannot_be_cancelled() -> None:
    async with scene(ingest_seconds=1) as s:
        job = await s.client.create_trace(task="t", trajectory=[])
        with pytest.raises(InvalidRequest, match="cannot be cancelled"):
            await job.cancel()


async def test_refresh_asks_once() -> None:
    async with scene(ingest_seconds=1) as s:
        job = await s.client.create_trace(task="t", trajectory=[])
        assert (await job.refresh()).state is JobState.RUNNING
        await s.clock.sleep(2)
        assert (await job.refresh()).state is JobState.COMPLETED


# --- tokens


async def test_a_token_works_in_a_client_of_another_project() -> None:
    replies = [reply_with({"trace_id": "t/1", "ingest_status": "queued"}), reply_with(SHOWN | {"id": "t/1"})]
    async with raw_server(sequence(*replies)) as server:
        async with AsyncReflectClient(base_url=server.url, project_id="a b/c") as first:
            job = await first.create_trace(task="t", trajectory=[])
            token = job.token
        assert token is not None
        async with AsyncReflectClient(base_url=server.url, project_id="other") as second:
            resumed = second.job(token)
            assert isinstance(resumed, TraceJob)
            assert (resumed.id, resumed.kind) == ("t/1", "trace")
            assert (await resumed).id == "t/1"
    assert server.arrived[1].target == "/v1/projects/a%20b%2Fc/traces/t%2F1"


async def test_other_tokens_are_refused() -> None:
    async with scene() as s:
        job = await s.client.create_trace(task="t", trajectory=[])
        assert job.token is not None
        good = json.loads(job.token)
        for wrong, said in (
            ("{}", "not a job token"),
            (json.dumps(good | {"url": "http://elsewhere"}), "belongs to http://elsewhere"),
            (json.dumps(good | {"kind": "learning"}), "not known"),
            (json.dumps(good | {"kind": "profile_rerun"}), "not known"),
            (json.dumps(good | {"id": "no-project"}), "names no trace"),
        ):
            with pytest.raises(InvalidRequest, match=said):
                s.client.job(wrong)


# --- many traces


@pytest.mark.slow
async def test_five_thousand_traces_all_end() -> None:
    number = 5000

    def seconds_of(task: str) -> float:
        return float(task) % 7

    async with scene(ingest_seconds=seconds_of) as s:
        jobs = await asyncio.gather(
            *(
                s.client.create_trace(task=str(one), trajectory=[], review_result="pass")
                for one in range(number)
            )
        )
        sent_at = s.clock.now()
        traces = await gather_jobs(jobs)
        assert {trace.id for trace in traces} == {trace.id for trace in s.box.reflect.traces()}
        assert all(trace.created_memory_id for trace in traces)
        seconds = s.clock.now() - sent_at
        # At most 200 requests a second. The end of each is seen within one round of polling.
        assert s.asked() <= 200 * (seconds + 1)
        assert seconds <= 7 + 2 * number / 200


async def test_adaptive_polling_learns_the_duration() -> None:
    asked: dict[bool, int] = {}
    for adaptive in (False, True):
        async with scene(client={"adaptive_polling": adaptive}, ingest_seconds=10) as s:
            for number in range(30):
                await s.client.create_trace_and_wait(task=str(number), trajectory=[])
            asked[adaptive] = s.asked()
            assert s.clock.now() < 30 * 10.5
    assert asked[True] < asked[False] / 2


# --- closing


async def test_closing_the_client_ends_the_waits() -> None:
    async with scene(ingest_seconds=1000) as s:
        job = await s.client.create_trace(task="t", trajectory=[])
        waiting = asyncio.create_task(job.result(wait_timeout=900))
        await s.clock.sleep(1)
        await s.client.aclose()
        with pytest.raises(JobLost, match="the client was closed") as caught:
            await waiting
        assert caught.value.token == job.token
