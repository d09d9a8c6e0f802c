"""The server is away for a while: what can wait does, and what was not sent ends as not started."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    BatchProgress,
    OutcomeState,
    RetryPolicy,
    UnexpectedResponse,
    WaitReason,
)
from reflexio_async.sandbox import Sandbox, faults
from tests.reflect.scene import MESSAGES, TRACES
from tests.reflect.scene import scene as reflect_scene
from tests.scene import PUBLISH, Scene, scene

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from reflexio_async import BatchReport
    from reflexio_async.sandbox import VirtualClock
    from reflexio_async.sandbox.fault_script import Action

SHORT = [5.0, 30.0, 290.0, 330.0, 600.0]
LONG = 7200.0
TURN = {"role": "user", "content": "I like tea"}


@asynccontextmanager
async def outage(
    box: Sandbox, clock: VirtualClock, seconds: float, *, after: float, action: Action | None = None
) -> AsyncGenerator[None]:
    """In this block the server is away for ``seconds``, from ``after`` on."""

    async def away() -> None:
        await clock.sleep(after)
        box.faults.add(action or faults.lost_before(), times=None)
        await clock.sleep(seconds)
        box.faults.clear()

    task = asyncio.create_task(away())
    try:
        yield
    finally:
        task.cancel()
        box.faults.clear()


def publishes(count: int) -> list[dict[str, Any]]:
    return [{"user_id": f"u{n}", "session_id": "s", "interactions": [TURN]} for n in range(count)]


def stored_once(box: Sandbox, report: BatchReport[str, Any]) -> None:
    assert len(box.stored_requests) == len(report.completed)


async def reruns_in(play: Scene, seconds: float, **options: Any) -> BatchReport[str, Any]:
    async with outage(play.box, play.clock, seconds, after=20.0):
        return await play.client.rerun_profiles_many(play.users, **options)


# --- batches


@pytest.mark.parametrize("seconds", SHORT)
async def test_reruns_outlast_an_outage(seconds: float) -> None:
    async with scene(30, rerun_seconds=2.0) as play:
        report = await reruns_in(play, seconds)
        states = report.counts()
        # The job that runs at the server meanwhile may reach its own ``wait_timeout``.
        assert states.pop("timed_out", 0) <= (1 if seconds >= 600 else 0)
        assert states == {"completed": 30 - len(report.timed_out)}
        assert len(play.box.operations()) == 30
        if report.timed_out:
            assert (await report.retry_failed("timed_out")).ok


@pytest.mark.parametrize("seconds", SHORT)
async def test_publishes_outlast_an_outage(seconds: float) -> None:
    async with scene(rate_limits=True) as play:
        async with outage(play.box, play.clock, seconds, after=100.0):
            report = await play.client.publish_many(publishes(200))
        assert report.counts() == {"completed": 200}
        stored_once(play.box, report)


@pytest.mark.parametrize("seconds", SHORT)
async def test_traces_outlast_an_outage(seconds: float) -> None:
    async with reflect_scene(ingest_seconds=1.0) as s:
        traces = [{"task": f"t{n}", "trajectory": MESSAGES} for n in range(100)]
        async with outage(s.box, s.clock, seconds, after=4.0, action=REFUSED):
            report = await s.client.create_traces_many(traces, concurrency=5)
        # Those that wait for the server's storing may reach their own ``wait_timeout``, which is 60 s.
        assert len(report.timed_out) <= (5 if seconds > 60 else 0)
        assert len(report.completed) + len(report.timed_out) == 100
        assert (await report.retry_failed("timed_out")).ok
        assert len(await s.client.list_traces()) == 100


REFUSED = faults.status(302, headers={"Location": "https://example.org/sorry"})
"""A maintenance page stands in front of the server, so that surely nothing reaches it."""


async def test_reruns_stop_after_an_hour_and_the_rest_is_not_started() -> None:
    async with scene(30, rerun_seconds=2.0) as play:
        report = await reruns_in(play, LONG)
        assert set(report.counts()) <= {"completed", "not_started", "timed_out"}
        assert len(report.timed_out) <= 1
        assert report.not_started
        assert not report.ok
        assert 3600 < report.seconds < 3700
        assert all(outcome.attempts == 0 for outcome in report.not_started)
        play.box.faults.clear()
        assert (await report.retry_failed()).ok
        assert len(play.box.operations()) == 30


async def test_publishes_stop_after_an_hour_and_the_rest_is_not_started() -> None:
    async with scene(rate_limits=True) as play:
        async with outage(play.box, play.clock, LONG, after=100.0, action=REFUSED):
            report = await play.client.publish_many(publishes(200))
        assert set(report.counts()) == {"completed", "not_started"}
        assert len(report) == 200
        assert 3600 < report.seconds < 3800
        stored_once(play.box, report)
        assert (await report.retry_failed()).ok
        assert len(play.box.stored_requests) == 200


async def test_publishes_of_which_nobody_can_know_stop_after_an_hour_too() -> None:
    async with scene(rate_limits=True) as play:
        async with outage(play.box, play.clock, LONG, after=100.0):
            report = await play.client.publish_many(publishes(200))
        assert set(report.counts()) == {"completed", "lost", "not_started"}
        assert len(report.lost) <= 4
        assert not any(getattr(outcome.error, "outcome_unknown", True) for outcome in report.not_started)
        assert report.seconds < 3900
        assert (await report.retry_failed("lost", "not_started")).ok
        assert len(play.box.stored_requests) == 200


async def test_traces_stop_after_an_hour_and_the_rest_is_not_started() -> None:
    async with reflect_scene(ingest_seconds=1.0) as s:
        traces = [{"task": f"t{n}", "trajectory": MESSAGES} for n in range(100)]
        async with outage(s.box, s.clock, LONG, after=4.0, action=REFUSED):
            report = await s.client.create_traces_many(traces, concurrency=5)
        assert set(report.counts()) <= {"completed", "not_started", "timed_out"}
        assert report.not_started
        assert len(report.timed_out) <= 5
        assert 3600 < report.seconds < 3800
        assert (await report.retry_failed("not_started", "timed_out")).ok
        assert len(await s.client.list_traces()) == 100


async def test_outage_timeout_of_a_batch_says_how_long_it_waits() -> None:
    async with scene(30, rerun_seconds=2.0) as play:
        report = await reruns_in(play, 600.0, outage_timeout=100.0, wait_timeout=50.0)
        assert 120 < report.seconds < 150
        assert report.not_started


async def test_at_an_address_that_never_answered_a_batch_stops_within_seconds() -> None:
    async with scene(100) as play:
        play.box.faults.add(faults.lost_before(), times=None)
        report = await play.client.rerun_profiles_many(play.users)
        assert report.counts() == {"not_started": 100}
        assert play.clock.now() < 10.0


async def test_a_rate_limit_at_the_first_status_request_is_waited_for() -> None:
    async with scene(2) as play:
        limit = faults.status(429, {"error": "Rate limit exceeded: 5 per 1 day"})
        play.box.faults.add(limit, path="/api/get_operation_status")
        report = await play.client.rerun_profiles_many(play.users)
        assert report.counts() == {"completed": 2}
        assert 3600 < report.seconds < 3700


async def test_a_page_at_the_first_status_request_leaves_nobody_lost() -> None:
    async with scene(2) as play:
        play.box.faults.add(faults.html(200), path="/api/get_operation_status")
        report = await play.client.rerun_profiles_many(play.users)
        assert report.counts() == {"not_started": 2}
        assert not any(getattr(outcome.error, "outcome_unknown", True) for outcome in report)
        assert (await report.retry_failed()).counts() == {"completed": 2}


async def test_a_batch_that_is_stopped_in_an_outage_ends_soon() -> None:
    async with scene(30, rerun_seconds=2.0) as play:
        batch = play.client.publish_many(publishes(1000))
        async with outage(play.box, play.clock, LONG, after=100.0, action=REFUSED):
            play.clock.call_at(200.0, batch.stop)
            report = await batch
        assert report.seconds < 230
        assert not report.lost
        assert not report.failed


# --- what a batch says meanwhile


async def test_progress_says_for_how_long_the_server_has_been_away() -> None:
    async with scene(30, rerun_seconds=2.0) as play:
        seen: list[tuple[float, BatchProgress]] = []

        def on_progress(progress: BatchProgress) -> None:
            seen.append((play.clock.time(), progress))

        report = await reruns_in(play, 300.0, on_progress=on_progress)
        assert report.ok
        away = [
            (now, progress, progress.waiting_for)
            for now, progress in seen
            if progress.waiting_for is not None and progress.waiting_for.reason is WaitReason.SERVER_AWAY
        ]
        assert len(away) >= 4
        assert max(now - (waiting_for.since or now) for now, _, waiting_for in away) > 200
        assert all(progress.eta_seconds is None for _, progress, _ in away)
        assert str(away[0][2]).startswith("server unreachable since ")
        assert seen[-1][1].waiting_for is None


async def test_an_outage_is_logged_every_minute_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reflexio_async")
    async with scene(30, rerun_seconds=2.0) as play:
        await reruns_in(play, 300.0)
        assert 4 <= sum("has been unreachable for" in message for message in caplog.messages) <= 7
        assert sum("answers again, after" in message for message in caplog.messages) == 1


async def test_a_short_failure_is_not_logged_as_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    async with scene(1) as play:
        play.box.faults.add(faults.lost_before(), path="/api/whoami", times=2)
        await play.client.whoami()
        assert "unreachable" not in caplog.text


# --- single calls


async def test_a_write_that_was_not_sent_outlasts_a_restart() -> None:
    async with scene() as play:
        await play.client.whoami()
        async with outage(play.box, play.clock, 40.0, after=0.0, action=REFUSED):
            await play.clock.sleep(1.0)
            assert (await play.client.publish_interaction("ana", [TURN], session_id="s")).success
        assert 40 <= play.clock.now() < 60
        assert len(play.box.stored_requests) == 1


async def test_a_write_fails_after_the_outage_timeout() -> None:
    async with scene(client={"outage_timeout": 20.0}) as play:
        await play.client.whoami()
        async with outage(play.box, play.clock, LONG, after=0.0):
            await play.clock.sleep(1.0)
            with pytest.raises(APIConnectionError):
                await play.client.publish_interaction("ana", [TURN], session_id="s")
        assert 20 <= play.clock.now() < 35


async def test_a_write_fails_at_its_timeout_in_an_outage() -> None:
    async with scene(client={"timeout": 10.0}) as play:
        await play.client.whoami()
        async with outage(play.box, play.clock, LONG, after=0.0, action=REFUSED):
            await play.clock.sleep(1.0)
            with pytest.raises(Exception, match="a redirect"):
                await play.client.publish_interaction("ana", [TURN], session_id="s")
        assert play.clock.now() <= 11.0


async def test_a_read_ends_after_max_attempts() -> None:
    async with scene() as play:
        await play.client.whoami()
        play.box.faults.add(faults.lost_before(), times=None)
        with pytest.raises(APIConnectionError) as caught:
            await play.client.whoami()
        assert caught.value.attempts == 5


async def test_before_the_first_proper_answer_a_write_ends_after_max_attempts() -> None:
    async with scene() as play:
        play.box.faults.add(REFUSED, path=PUBLISH, times=None)
        with pytest.raises(Exception, match="the API host itself"):
            await play.client.publish_interaction("ana", [TURN], session_id="s")
        assert play.clock.now() < 5.0


async def test_tries_that_met_an_outage_do_not_count() -> None:
    policy = RetryPolicy(max_attempts=2, base_delay=0.1)
    async with scene(client={"retry": policy}) as play:
        await play.client.whoami()
        play.box.faults.add(REFUSED, path=PUBLISH, times=6)
        play.box.faults.add(faults.no_capacity(), path=PUBLISH)
        assert (await play.client.publish_interaction("ana", [TURN], session_id="s")).success


async def test_with_max_attempts_of_one_a_write_is_not_tried_again() -> None:
    async with scene(client={"retry": RetryPolicy(max_attempts=1)}) as play:
        await play.client.whoami()
        play.box.faults.add(REFUSED, path=PUBLISH)
        with pytest.raises(UnexpectedResponse) as caught:
            await play.client.publish_interaction("ana", [TURN], session_id="s")
        assert caught.value.attempts == 1


async def test_a_queued_start_waits_for_the_outage_timeout_and_is_not_sent() -> None:
    async with scene(2, rerun_seconds=2.0) as play:
        await (await play.client.rerun_profile_generation(user_id="user-0"))
        async with outage(play.box, play.clock, LONG, after=0.0):
            await play.clock.sleep(5.0)
            job = await play.client.rerun_profile_generation(user_id="user-1")
            with pytest.raises(APIConnectionError, match="not started") as caught:
                await job
        assert not caught.value.outcome_unknown
        assert 60 < play.clock.now() < 90
        assert play.starts() == 1


async def test_a_start_that_cannot_be_sent_waits_and_is_then_sent_once() -> None:
    async with scene(2, rerun_seconds=2.0) as play:
        await (await play.client.rerun_profile_generation(user_id="user-0"))
        play.box.faults.add(REFUSED, path="/api/rerun_profile_generation", times=12)
        job = await play.client.rerun_profile_generation(user_id="user-1")
        assert (await job).success
        assert job.timing.attempts == 1
        assert len(play.box.operations()) == 2


def test_not_started_is_a_state_of_its_own() -> None:
    assert OutcomeState("not_started") is OutcomeState.NOT_STARTED


async def test_a_trace_that_was_not_sent_outlasts_a_restart() -> None:
    async with reflect_scene() as s:
        await s.client.create_trace(task="first", trajectory=MESSAGES)
        s.box.faults.add(REFUSED, method="POST", path=TRACES, times=7)
        await (await s.client.create_trace(task="t", trajectory=MESSAGES))
        assert len(await s.client.list_traces()) == 2
