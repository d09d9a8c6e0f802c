"""What outlives the call that asked for it has a trace of its own, which is linked to the caller's span."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from reflexio_async import AsyncReflexioClient, JobFailed
from reflexio_async.sandbox import Sandbox, faults
from tests.reflect.scene import scene as reflect_scene
from tests.scene import PUBLISH, RERUN, STATUS, scene
from tests.tracing.telemetry import Telemetry, facts
from tests.transport.servers import TURNS

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Span


def links(span: ReadableSpan) -> list[tuple[int, int]]:
    """The traces and spans that ``span`` is linked to."""
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


def place(span: Span | ReadableSpan) -> tuple[int, int]:
    """The trace and the id of ``span``."""
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


# --- jobs


async def test_the_span_of_a_job_is_linked_to_the_caller_and_has_the_start_below_it(
    telemetry: Telemetry,
) -> None:
    async with scene(1, rerun_seconds=3.0) as play:
        with telemetry.tracers.get_tracer("test").start_as_current_span("work") as work:
            job = await play.client.rerun_profile_generation(user_id="user-0")
        await job
        timing = job.timing
    span = telemetry.span("job profile_rerun")
    assert span.parent is None
    assert links(span) == [place(work)]
    assert [start.name for start in telemetry.below(span)] == ["rerun_profile_generation"]
    assert facts(span) == {
        "reflexio.job.kind": "profile_rerun",
        "reflexio.outcome": "completed",
        "reflexio.job.attempts": 1,
        "reflexio.job.queue_time": timing.queued,
        "reflexio.job.run_time": timing.running,
    }
    assert timing.running >= 3.0
    assert not telemetry.below(telemetry.span("work"))


async def test_a_job_that_fails_says_so_without_the_reason(telemetry: Telemetry) -> None:
    async with scene() as play:
        job = await play.client.rerun_profile_generation(user_id="somebody")
        with pytest.raises(JobFailed, match=r"somebody.*No interactions found"):
            await job
    span = telemetry.span("job ")
    assert facts(span)["reflexio.outcome"] == "failed"
    assert facts(span)["error.type"] == "JobFailed"
    assert span.status.status_code is StatusCode.ERROR
    assert "somebody" not in telemetry.text()
    assert "No interactions" not in telemetry.text()


async def test_a_job_that_is_left_running_has_a_span_that_says_so(telemetry: Telemetry) -> None:
    async with scene(1, rerun_seconds=1000.0) as play:
        await play.client.rerun_profile_generation(user_id="user-0")
    assert facts(telemetry.span("job "))["reflexio.outcome"] == "not read"
    assert telemetry.total("reflexio.job.outcomes") == 0


async def test_a_queued_job_that_is_cancelled_was_never_admitted(telemetry: Telemetry) -> None:
    async with scene(2, rerun_seconds=10.0) as play:
        await play.client.rerun_profile_generation(user_id="user-0")
        second = await play.client.rerun_profile_generation(user_id="user-1")
        await play.clock.sleep(4.0)
        await second.cancel()
    (cancelled,) = [
        span for span in telemetry.spans("job ") if facts(span)["reflexio.outcome"] == "cancelled"
    ]
    assert "reflexio.job.run_time" not in facts(cancelled)
    assert facts(cancelled)["reflexio.job.queue_time"] == pytest.approx(4.0, abs=0.5)
    assert cancelled.status.status_code is StatusCode.UNSET


async def test_the_jobs_that_are_queued_and_that_run_are_counted(telemetry: Telemetry) -> None:
    async with scene(3, rerun_seconds=10.0) as play:
        jobs = [await play.client.rerun_profile_generation(user_id=user) for user in play.users]
        assert telemetry.total("reflexio.job.active", reflexio_job_state="running") == 1
        assert telemetry.total("reflexio.job.active", reflexio_job_state="queued") == 2
        for job in jobs:
            await job
        assert telemetry.total("reflexio.job.active") == 0


async def test_a_poll_that_many_jobs_share_is_one_call_without_a_link(telemetry: Telemetry) -> None:
    async with scene(1, rerun_seconds=5.0) as play:
        with telemetry.tracers.get_tracer("test").start_as_current_span("work"):
            job = await play.client.rerun_profile_generation(user_id="user-0")
            await asyncio.gather(*(job.result() for _ in range(20)))
        requests = play.status_requests()
    polls = telemetry.spans("get_operation_status")
    assert len(polls) == requests
    assert {(poll.parent, *links(poll)) for poll in polls} == {(None,)}
    (lag,) = telemetry.metric("reflexio.poll.lag")
    assert lag.count == requests
    assert lag.sum == pytest.approx(0.0, abs=0.1)


async def test_a_job_with_a_status_of_its_own_has_a_span(telemetry: Telemetry) -> None:
    async with reflect_scene() as s:
        job = await s.client.create_trace(task="t", trajectory=[{"role": "user", "content": "tea"}])
        await job
    assert facts(telemetry.span("job "))["reflexio.outcome"] == "completed"
    assert telemetry.total("reflexio.job.run_time", reflexio_outcome="completed") == 1


# --- batches


async def test_a_batch_with_retries_a_refusal_a_timeout_and_an_outage_tells_what_happened(
    telemetry: Telemetry,
) -> None:
    """The server restarts during the first rerun, and shows that as running for ten minutes more."""
    async with scene(12, rerun_seconds=2.0, rate_limits=True) as play:
        await play.client.whoami()
        play.box.faults.add(faults.status(503, {"detail": "busy"}), path=RERUN, times=2)
        play.box.faults.add(faults.status(400, {"detail": "no"}), path=RERUN, user="user-3")
        play.box.faults.add(faults.restart(), path=STATUS, after=6)
        report = await play.client.rerun_profiles_many(play.users, wait_timeout=60)
        starts, refused = play.starts(), play.starts(429)
        wait = sum(outcome.seconds_queued for outcome in report.outcomes)
    counts = Counter(outcome.state.value for outcome in report.outcomes)
    span = telemetry.span("batch ")
    found = facts(span)
    assert found.pop("reflexio.batch.size") == 12
    assert found == {f"reflexio.batch.{state}": count for state, count in counts.items()}
    assert counts == {"completed": 10, "failed": 1, "timed_out": 1}
    for state, count in counts.items():
        assert telemetry.total("reflexio.batch.outcomes", reflexio_outcome=state) == count
    jobs = telemetry.spans("job ")
    assert len(jobs) == 12
    assert all(links(job) == [place(span)] for job in jobs)
    assert telemetry.total("reflexio.job.outcomes", reflexio_outcome="completed") == counts["completed"]
    # The one that timed out has failed later: the lane has to follow it.
    assert telemetry.total("reflexio.job.outcomes", reflexio_outcome="failed") == 2
    tries = [span for job in jobs for start in telemetry.below(job) for span in telemetry.below(start)]
    assert len(tries) == starts
    assert telemetry.total("reflexio.call.refused", http_route=RERUN) == refused
    (queued,) = telemetry.metric("reflexio.job.queue_time")
    assert (queued.count, queued.sum) == (12, pytest.approx(wait))
    (limited,) = telemetry.metric("reflexio.limit.wait")
    waits = [wait for outcome in report.outcomes for wait in outcome.waits if wait.reason == "rate_limit"]
    assert limited.count == len(waits) > 0
    assert limited.sum == pytest.approx(sum(wait.ended_at - wait.began_at for wait in waits))


async def test_the_publishes_of_a_batch_are_below_its_span(telemetry: Telemetry) -> None:
    items = [{"user_id": "u", "session_id": f"s{n}", "interactions": TURNS} for n in range(5)]
    async with scene() as play:
        await play.client.publish_many(items)
    batch = telemetry.span("batch items")
    assert [span.name for span in telemetry.below(batch)] == ["upsert_memory"] * 5
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_a_streamed_batch_has_one_span(telemetry: Telemetry) -> None:
    async with scene(3) as play:
        with telemetry.tracers.get_tracer("test").start_as_current_span("work") as work:
            async with play.client.rerun_profiles_many(play.users) as batch:
                outcomes = [outcome async for outcome in batch]
    assert len(outcomes) == 3
    assert telemetry.span("batch ").parent == work.get_span_context()
    assert facts(telemetry.span("batch "))["reflexio.batch.completed"] == 3


# --- background calls and the outbox


async def test_a_background_call_has_a_trace_that_is_linked_to_its_caller(telemetry: Telemetry) -> None:
    async with scene(1) as play:
        with telemetry.tracers.get_tracer("test").start_as_current_span("work") as work:
            call = await play.client.delete_profile(user_id="user-0", profile_id="p")
        await asyncio.wait([asyncio.ensure_future(call.result())])
    span = telemetry.span("background delete_profile")
    assert links(span) == [place(work)]
    assert span.parent is None
    assert [inner.name for inner in telemetry.below(span)] == ["delete_memory"]


async def test_a_delivery_is_linked_to_the_call_that_was_accepted(telemetry: Telemetry) -> None:
    async with scene() as play:
        with telemetry.tracers.get_tracer("test").start_as_current_span("work") as work:
            accepted = await play.client.publish_later("u", TURNS, session_id="s")
        assert telemetry.total("reflexio.outbox.size") == 1
        await accepted
        assert telemetry.total("reflexio.outbox.size") == 0
    accept = telemetry.span("accept publish_interaction")
    delivery = telemetry.span("deliver publish_interaction")
    assert accept.kind is SpanKind.PRODUCER
    assert accept.parent == work.get_span_context()
    assert delivery.kind is SpanKind.CONSUMER
    assert delivery.parent is None
    assert links(delivery) == [place(accept)]
    assert [span.name for span in telemetry.below(delivery)] == ["upsert_memory"]


async def test_a_call_that_is_set_aside_is_a_failed_delivery(telemetry: Telemetry) -> None:
    async with scene() as play:
        play.box.faults.add(faults.status(422, {"detail": "no"}), path=PUBLISH)
        call = await play.client.publish_later("u", TURNS, session_id="s")
        with pytest.raises(Exception, match="422"):
            await call
    delivery = telemetry.span("deliver ")
    assert delivery.status.status_code is StatusCode.ERROR
    assert facts(delivery)["error.type"] == "UnprocessableRequest"


async def test_the_link_of_a_delivery_survives_the_process(telemetry: Telemetry, tmp_path: Path) -> None:
    """The row in the store names the trace."""
    async with Sandbox() as box:
        box.faults.add(faults.status(503, {"detail": "busy"}), path=PUBLISH, times=None)
        client = AsyncReflexioClient(url_endpoint=box.url, store=tmp_path / "s.db")
        await client.publish_later("u", TURNS, session_id="s")
        await client.aclose(drain=False)
        box.faults.clear()
        async with AsyncReflexioClient(url_endpoint=box.url, store=tmp_path / "s.db"):
            pass  # it delivers what the first has left
        assert box.count("POST", PUBLISH, 200) == 1
    assert links(telemetry.spans("deliver ")[-1]) == [place(telemetry.span("accept "))]


async def test_the_size_of_a_store_in_a_file_is_measured(telemetry: Telemetry, tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    async with scene(1, client={"store": path}) as play:
        await (await play.client.rerun_profile_generation(user_id="user-0"))
        (point,) = await asyncio.to_thread(telemetry.metric, "reflexio.store.size")
        assert point.value >= path.stat().st_size


async def test_a_job_of_a_store_is_one_span(telemetry: Telemetry, tmp_path: Path) -> None:
    async with scene(1, client={"store": tmp_path / "s.db"}, rerun_seconds=2.0) as play:
        with telemetry.tracers.get_tracer("test").start_as_current_span("work") as work:
            job = await play.client.rerun_profile_generation(user_id="user-0")
        await job
    span = telemetry.span("job profile_rerun")
    assert links(span) == [place(work)]
    assert facts(span)["reflexio.outcome"] == "completed"
    assert telemetry.total("reflexio.job.outcomes") == 1
