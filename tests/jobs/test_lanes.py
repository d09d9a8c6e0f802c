"""Reruns of one service pass one lane: one admitted POST each, and none is lost."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from reflexio_async import (
    APIConnectionError,
    AsyncReflexioClient,
    AuthenticationError,
    BackgroundErrorEvent,
    DrainSummary,
    JobCancelled,
    JobFailed,
    JobLost,
    JobState,
    RateLimited,
    RequestRefused,
    ServerError,
)
from reflexio_async._engine.jobs.slot import SlotStatus
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.scene import PLAYBOOKS, RERUN, STATUS, scene

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async.sandbox.http.context import RequestContext
    from reflexio_async.sandbox.http.responses import Response

WINDOW = 60.0


async def test_a_thousand_reruns_take_the_bound_s_number_of_windows_and_one_refusal() -> None:
    async with scene(1000, rate_limits=True, rerun_seconds=0.01) as play:
        starts = [play.client.rerun_profile_generation(user_id=user) for user in play.users]
        jobs = await asyncio.gather(*starts)
        results = await asyncio.gather(*jobs)
        assert [result.success for result in results] == [True] * 1000
        assert play.starts(200) == 1000
        assert play.starts(429) == 1
        assert play.refused_for_being_busy() == 0
        windows = 1000 // 5
        assert (windows - 1) * WINDOW <= play.clock.now() < windows * (WINDOW + 1)


async def test_every_user_is_rerun_once_and_in_order() -> None:
    async with scene(20) as play:
        jobs = await asyncio.gather(
            *(play.client.rerun_profile_generation(user_id=user) for user in play.users)
        )
        await asyncio.gather(*jobs)
        asked = [record.body["user_id"] for record in play.box.requests if record.path == RERUN]
        assert asked == play.users


async def test_short_jobs_are_not_held_back_by_the_poll_interval() -> None:
    async with scene(100, rerun_seconds=0.01) as play:
        jobs = await asyncio.gather(
            *(play.client.rerun_profile_generation(user_id=user) for user in play.users)
        )
        await asyncio.gather(*jobs)
        assert play.clock.now() < 100 * 0.1


async def test_a_start_returns_when_it_is_answered_and_the_next_one_at_once_as_queued() -> None:
    async with scene(2, rerun_seconds=30.0) as play:
        first = await play.client.rerun_profile_generation(user_id="user-0")
        second = await play.client.rerun_profile_generation(user_id="user-1")
        assert (first.status.state, second.status.state) == (JobState.RUNNING, JobState.QUEUED)
        assert (first.id is not None, second.id, second.token) == (True, None, None)
        await second


async def test_a_start_that_meets_a_closed_limit_for_the_first_time_is_returned_as_queued() -> None:
    async with scene(5, rate_limits=True) as play:
        for user in play.users:
            await (await play.client.rerun_profile_generation(user_id=user))
        before = play.clock.now()
        job = await play.client.rerun_profile_generation(user_id="user-0")
        assert (job.status.state, play.starts(429)) == (JobState.QUEUED, 1)
        assert play.clock.now() - before < 1.0
        assert (await job).success


async def test_a_start_is_returned_as_queued_at_once_while_the_limit_is_known_to_be_closed() -> None:
    async with scene(5, rate_limits=True) as play:
        for user in [*play.users, *play.users]:  # the sixth start meets the limit
            await (await play.client.rerun_profile_generation(user_id=user))
        await play.clock.sleep(5.0)  # the lane no longer knows whether the slot is free
        before, asked = play.clock.now(), len(play.box.requests)
        job = await play.client.rerun_profile_generation(user_id="user-0")
        assert (job.status.state, play.clock.now() - before) == (JobState.QUEUED, 0.0)
        assert (len(play.box.requests), play.starts(429)) == (asked, 1)
        assert (await job).success
        assert play.clock.now() - before > WINDOW / 2


async def test_a_start_that_must_not_follow_its_twin_at_once_is_returned_as_queued() -> None:
    async with scene(1, dialect="uncorrelated") as play:
        await (await play.client.rerun_profile_generation(user_id="user-0"))
        before = play.clock.now()
        job = await play.client.rerun_profile_generation(user_id="user-0")
        assert (job.status.state, play.clock.now() - before) == (JobState.QUEUED, 0.0)
        assert (await job).success


async def test_an_idle_lane_reads_the_status_before_its_first_start() -> None:
    async with scene(1) as play:
        await (await play.client.rerun_profile_generation(user_id="user-0"))
        assert [record.path for record in play.box.requests][:2] == [STATUS, RERUN]


async def test_a_foreign_operation_is_waited_out_before_a_start() -> None:
    async with scene(1) as play:
        play.box.start_foreign_operation(seconds=45.0, user_id="theirs")
        job = await play.client.rerun_profile_generation(user_id="user-0")
        assert job.status.state is JobState.QUEUED
        await job
        assert (play.starts(), play.refused_for_being_busy() <= 0) == (1, True)
        assert 45.0 <= play.clock.now() < 47.0


async def test_a_foreign_operation_that_begins_between_the_poll_and_the_start_is_waited_out_as_well() -> None:
    async with scene(1) as play:
        play.box.faults.add(
            faults.refused("Another generation attempt is already in progress", field_name="msg"), path=RERUN
        )
        result = await (await play.client.rerun_profile_generation(user_id="user-0"))
        assert (result.success, play.starts()) == (True, 2)


async def test_starts_that_a_busy_server_refuses_are_sent_less_and_less_often() -> None:
    async with scene(1) as play:
        busy = faults.refused("Another generation attempt is already in progress", field_name="msg")
        play.box.faults.add(busy, path=RERUN, times=20)
        job = await play.client.rerun_profile_generation(user_id="user-0")
        assert (await job).success
        assert play.starts() == 21
        assert play.clock.now() > 300.0


async def test_an_outcome_that_a_foreign_operation_overwrote_is_lost() -> None:
    async with scene(1, rerun_seconds=1.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        await play.clock.sleep(2.0)
        play.box.start_foreign_operation(seconds=1.0)
        with pytest.raises(JobLost, match="another operation took the slot") as lost:
            await job
        assert (lost.value.token, job.status.state) == (job.token, JobState.LOST)


async def test_a_status_asked_before_the_start_says_nothing_of_the_job() -> None:
    async with scene(2, rerun_seconds=5.0) as play:
        first = await play.client.rerun_profile_generation(user_id="user-0")
        await first
        token = json.dumps(json.loads(first.token or "") | {"id": "of another client"})
        play.box.faults.add(faults.delay(0.5, after_effect=True), path=STATUS)
        slow = asyncio.ensure_future(play.client.job(token).refresh())
        await play.box.arrived("GET", STATUS, play.status_requests() + 1)
        second = await play.client.rerun_profile_generation(user_id="user-1")
        await slow
        assert (await second).success


async def test_profile_and_playbook_reruns_do_not_wait_for_each_other() -> None:
    async with scene(3, rerun_seconds=10.0) as play:
        profiles = [await play.client.rerun_profile_generation(user_id=user) for user in play.users]
        playbook = await play.client.rerun_playbook_generation()
        assert playbook.status.state is JobState.RUNNING
        await asyncio.gather(*profiles)
        both = play.clock.now()
        await playbook
        assert play.clock.now() == both


async def test_reruns_whose_handles_are_dropped_all_run() -> None:
    async with scene(10, rerun_seconds=5.0) as play:
        for user in play.users:
            await play.client.rerun_profile_generation(user_id=user)
        gc.collect()
        await play.clock.sleep(100.0)
        assert [operation.status for operation in play.box.operations()] == ["completed"] * 10


async def test_leaving_the_client_sends_the_queued_starts() -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, rerun_seconds=1.0) as box:
        for number in range(8):
            box.seed(f"user-{number}")
        async with AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
            for number in range(8):
                await client.rerun_profile_generation(user_id=f"user-{number}")
        assert len(box.operations()) == 8


async def test_what_could_not_be_sent_in_time_is_named_in_the_summary_and_in_one_log_record(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, rerun_seconds=100.0) as box:
        box.seed("a")
        client = AsyncReflexioClient(url_endpoint=box.url, clock=clock, drain_timeout=5.0)
        running = await client.rerun_profile_generation(user_id="a")
        queued = await client.rerun_profile_generation(user_id="b")
        with caplog.at_level(logging.WARNING, "reflexio_async"):
            summary = await client.aclose()
        assert running.token is not None
        assert summary == DrainSummary(
            unsent_starts=("profile_rerun (user_id=b)",), running_jobs=(running.token,)
        )
        assert not summary.complete
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "user_id=b" in caplog.text
        with pytest.raises(JobCancelled):
            await queued


async def test_leaving_by_an_exception_starts_nothing_more() -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, rerun_seconds=1.0) as box:
        box.seed("a")
        client = AsyncReflexioClient(url_endpoint=box.url, clock=clock)
        await client.rerun_profile_generation(user_id="a")
        queued = await client.rerun_profile_generation(user_id="a")
        await client.__aexit__(KeyError, KeyError(), None)
        assert box.count("POST", RERUN) == 1
        with pytest.raises(JobCancelled):
            await queued


async def test_a_waiter_learns_that_its_client_was_closed() -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, rerun_seconds=1000.0) as box:
        box.seed("a")
        client = AsyncReflexioClient(url_endpoint=box.url, clock=clock)
        job = await client.rerun_profile_generation(user_id="a")
        waiter = asyncio.ensure_future(job.result())
        await clock.sleep(1.0)
        await client.aclose()
        with pytest.raises(JobLost, match="the client was closed") as lost:
            await waiter
        assert lost.value.token == job.token


async def test_cancelling_a_queued_job_withdraws_its_start() -> None:
    async with scene(3, rerun_seconds=10.0) as play:
        jobs = [await play.client.rerun_profile_generation(user_id=user) for user in play.users]
        await jobs[1].cancel()
        with pytest.raises(JobCancelled, match="before its start was sent"):
            await jobs[1]
        await asyncio.gather(jobs[0], jobs[2])
        assert play.starts() == 2


async def test_cancelling_a_call_whose_start_waits_for_the_status_withdraws_it() -> None:
    async with scene(1) as play:
        play.box.faults.add(faults.delay(10.0), path=STATUS)
        call = asyncio.ensure_future(play.client.rerun_profile_generation(user_id="user-0"))
        await play.box.arrived("GET", STATUS)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await play.clock.sleep(30.0)
        assert play.starts() == 0


async def test_cancelling_a_running_job_of_many_users_stops_it_at_the_server() -> None:
    async with scene(5, rerun_seconds=10.0) as play:
        job = await play.client.rerun_profile_generation()
        await job.cancel()
        with pytest.raises(JobCancelled):
            await job
        assert job.status.state is JobState.CANCELLED


async def test_a_cancellation_while_the_start_is_under_way_is_not_forgotten() -> None:
    async with scene(5, rerun_seconds=10.0) as play:
        await (await play.client.rerun_profile_generation(user_id="user-0"))
        play.box.start_foreign_operation(seconds=5.0, user_id="theirs")
        job = await play.client.rerun_profile_generation()
        play.box.faults.add(faults.delay(3.0, after_effect=True), path=RERUN)
        await play.box.arrived("POST", RERUN, 2)
        await job.cancel()
        with pytest.raises(JobCancelled):
            await job


async def test_cancel_leaves_a_foreign_operation_alone() -> None:
    async with scene(1, rerun_seconds=1.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        await play.clock.sleep(2.0)
        theirs = play.box.start_foreign_operation(seconds=50.0)
        await job.cancel()
        await play.clock.sleep(60.0)
        assert theirs.status == "completed"
        with pytest.raises(JobLost):
            await job


async def test_an_error_of_an_answered_start_is_raised_by_the_starting_call() -> None:
    async with scene(1) as play:
        play.box.faults.add(faults.refused("no such organisation", field_name="msg"), path=RERUN)
        with pytest.raises(RequestRefused, match="no such organisation"):
            await play.client.rerun_profile_generation(user_id="user-0")


async def test_an_error_of_a_queued_start_surfaces_when_it_is_awaited_and_hurts_no_other() -> None:
    async with scene(3, rerun_seconds=5.0) as play:
        play.box.faults.add(faults.status(422, {"detail": "no"}), path=RERUN, after=1)
        jobs = [await play.client.rerun_profile_generation(user_id=user) for user in play.users]
        with pytest.raises(Exception, match="answered 422: no"):
            await jobs[1]
        assert (await jobs[2]).success


async def test_a_refusal_is_returned_with_raise_on_refusal_false() -> None:
    async with scene(1, client={"raise_on_refusal": False}) as play:
        play.box.faults.add(faults.refused("no such organisation", field_name="msg"), path=RERUN)
        answer = await (await play.client.rerun_profile_generation(user_id="user-0"))
        assert (answer.success, answer.msg) == (False, "no such organisation")


async def test_a_wrong_key_ends_queued_starts_at_once() -> None:
    async with scene(2, api_key="right", client={"api_key": "wrong"}) as play:
        with pytest.raises(AuthenticationError):
            await play.client.rerun_profile_generation(user_id="user-0")
        assert play.starts() == 0


async def test_a_start_whose_answer_was_lost_is_found_in_the_status_and_not_sent_again() -> None:
    async with scene(1, rerun_seconds=3.0) as play:
        play.box.faults.add(faults.answer_lost(), path=RERUN)
        job = await play.client.rerun_profile_generation(user_id="user-0")
        assert (await job).success
        assert (play.starts(), len(play.box.operations())) == (1, 1)
        assert job.id == play.box.operations()[0].operation_id


async def test_a_short_job_whose_answer_was_lost_is_found_when_it_has_ended() -> None:
    async with scene(1) as play:
        play.box.faults.add(faults.answer_lost(), path=RERUN)
        result = await (await play.client.rerun_profile_generation(user_id="user-0"))
        assert (result.profiles_generated, play.starts()) == (1, 1)


async def test_a_start_that_never_arrived_is_sent_again_once_the_server_has_said_so() -> None:
    async with scene(2) as play:
        await (await play.client.rerun_profile_generation(user_id="user-1"))
        play.box.faults.add(faults.lost_before(), path=RERUN)
        job = await play.client.rerun_profile_generation(user_id="user-0")
        assert (await job).success
        assert (play.starts(200), len(play.box.operations())) == (2, 2)
        assert job.timing.attempts == 2


async def test_on_a_server_of_unknown_dialect_a_start_without_an_answer_is_reported_as_ambiguous() -> None:
    async with scene(1) as play:
        play.box.faults.add(faults.lost_before(), path=RERUN)
        with pytest.raises(APIConnectionError) as ambiguous:
            await play.client.rerun_profile_generation(user_id="user-0")
        assert (ambiguous.value.outcome_unknown, play.starts()) == (True, 1)


async def test_a_start_without_an_answer_is_lost_when_another_operation_has_the_slot() -> None:
    async with scene(1) as play:
        await (await play.client.rerun_profile_generation(user_id="user-0"))
        play.box.faults.add(faults.lost_before(), path=RERUN)

        async def take_the_slot() -> None:
            await play.box.arrived("POST", RERUN, 2)
            play.box.start_foreign_operation(seconds=5.0, user_id="theirs")

        intruder = asyncio.ensure_future(take_the_slot())
        with pytest.raises(JobLost, match="another operation has the slot"):
            await (await play.client.rerun_profile_generation(user_id="user-0"))
        await intruder


async def test_a_500_to_a_start_is_resolved_by_the_status() -> None:
    async with scene(1) as play:
        play.box.faults.add(faults.internal_error(after_effect=True), path=RERUN)
        assert (await (await play.client.rerun_profile_generation(user_id="user-0"))).success
        assert play.starts() == 1


async def test_a_short_outage_of_the_status_does_not_hurt_the_batch_of_starts() -> None:
    async with scene(5, rerun_seconds=1.0, client={"outage_timeout": 300}) as play:
        play.box.faults.add(faults.status(503, {"detail": "restarting"}), path=STATUS, times=20, after=3)
        jobs = await asyncio.gather(
            *(play.client.rerun_profile_generation(user_id=user) for user in play.users)
        )
        results = await asyncio.gather(*jobs)
        assert [result.success for result in results] == [True] * 5
        assert play.starts() == 5


async def test_an_outage_longer_than_the_outage_timeout_fails_queued_starts_with_what_was_met() -> None:
    async with scene(2, client={"outage_timeout": 50.0}, rerun_seconds=1.0) as play:
        await (await play.client.rerun_profile_generation(user_id="user-0"))
        await play.clock.sleep(5.0)
        play.box.faults.add(faults.status(503, {"detail": "down"}), path=STATUS, times=None)
        job = await play.client.rerun_profile_generation(user_id="user-1")
        with pytest.raises(ServerError, match="503: down"):
            await job
        assert (play.starts(), play.clock.now() < 100.0) == (1, True)


async def test_an_unexpected_error_of_the_lane_ends_queued_starts_and_not_the_job_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene(2, rerun_seconds=20.0) as play:
        running = await play.client.rerun_profile_generation(user_id="user-0")
        queued = await play.client.rerun_profile_generation(user_id="user-1")

        def fail(_: object) -> bool:
            message = "a fault"
            raise RuntimeError(message)

        monkeypatch.setattr(SlotStatus, "known_free", property(fail))
        await play.client._engine.jobs.lanes[0].slot.poll()
        with pytest.raises(RuntimeError, match="not started: RuntimeError: a fault"):
            await queued
        assert (await running).success
        assert play.starts() == 1


async def test_a_server_that_never_answered_fails_the_start_after_the_usual_tries() -> None:
    async with scene(1) as play:
        play.box.faults.add(faults.lost_before(), path=STATUS, times=None)
        with pytest.raises(APIConnectionError, match="broke"):
            await play.client.rerun_profile_generation(user_id="user-0")
        assert play.clock.now() < 10.0


async def test_a_claimed_slot_that_cannot_be_read_yet_is_asked_for_again() -> None:
    async with scene(1, rerun_seconds=1.0) as play:
        torn = {"success": False, "msg": "Failed to get operation status: expected a value"}
        play.box.faults.add(faults.status(200, torn), path=STATUS, after=1)
        assert (await (await play.client.rerun_profile_generation(user_id="user-0"))).success


async def test_an_operation_that_the_server_gave_up_watching_says_so() -> None:
    async with scene(1, rerun_seconds=5000.0, client={"wait_timeout": 5000.0}) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        with pytest.raises(JobFailed, match="gave up watching") as failed:
            await job
        assert "Auto-recovered" in str(failed.value)


@dataclass(frozen=True)
class Reword:
    """Answers truthfully, but with another word for the end."""

    word: str

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:  # noqa: ARG002
        response = await serve()
        return replace(response, body=response.encoded().decode().replace('completed"', f'{self.word}"'))


async def test_a_final_word_that_is_not_known_ends_the_job_and_the_next_one_starts() -> None:
    async with scene(3) as play:
        play.box.faults.add(Reword("aborted"), path=STATUS, times=4)
        report = await play.client.rerun_profiles_many(play.users)
        assert [outcome.state for outcome in report.failed] == ["failed"] * len(report.failed)
        assert report.failed
        assert all("ended it as 'aborted'" in str(outcome.error) for outcome in report.failed)
        assert len(report.completed) + len(report.failed) == 3
        assert len(play.box.operations()) == 3


async def test_failed_users_reach_the_caller() -> None:
    async with scene(3, failing_users={"user-1"}) as play:
        with pytest.raises(JobFailed, match="Generation failed for 1 user") as failed:
            await (await play.client.rerun_profile_generation())
        assert list(failed.value.failed_users) == ["user-1"]
        assert failed.value.status.failed_users == 1


async def test_the_error_of_a_job_that_failed_names_the_user() -> None:
    async with scene(1, failing_users={"user-0"}) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        with pytest.raises(JobFailed) as failed:
            await job
        assert str(failed.value) == f"profile_rerun {job.id}(user_id=user-0): Generation failed for 1 user(s)"


async def test_the_error_of_a_rerun_of_all_users_names_those_that_failed() -> None:
    async with scene(8, failing_users={f"user-{number}" for number in range(1, 8)}) as play:
        with pytest.raises(JobFailed) as failed:
            await (await play.client.rerun_profile_generation())
        assert str(failed.value).endswith(" (user-1, user-2, user-3, user-4, user-5 and 2 more)")


async def test_a_manual_generation_waits_for_the_reruns_before_it() -> None:
    async with scene(2, rerun_seconds=5.0) as play:
        rerun = await play.client.rerun_profile_generation(user_id="user-0")
        manual = await play.client.manual_profile_generation(user_id="user-1")
        assert (await manual).success
        assert rerun.status.state is JobState.COMPLETED
        paths = [record.path for record in play.box.requests if record.method == "POST"]
        assert paths == [RERUN, "/api/manual_profile_generation"]


async def test_a_manual_generation_lifts_the_server_s_deadline() -> None:
    async with scene(1) as play:
        await play.client.manual_profile_generation(user_id="user-0", wait_for_response=True)
        assert play.box.requests[-1].query == {"wait_for_response": "true"}


async def test_a_manual_generation_that_outlived_its_answer_is_found_in_the_status() -> None:
    async with scene(1, rerun_seconds=20.0) as play:
        play.box.faults.add(faults.answer_lost(), path="/api/manual_profile_generation")
        answer = await play.client.manual_profile_generation(user_id="user-0", wait_for_response=True)
        assert (answer.success, answer.profiles_generated) == (True, 1)
        assert play.box.count("POST", "/api/manual_profile_generation") == 1


async def test_a_dropped_background_call_that_fails_is_counted_and_reported() -> None:
    reported: list[str] = []

    def report(event: BackgroundErrorEvent) -> None:
        reported.append(event.what)

    async with scene(1, client={"on_background_error": report}) as play:
        play.box.faults.add(faults.refused("no", field_name="msg"), path="/api/manual_profile_generation")
        await play.client.manual_profile_generation(user_id="user-0")
        await play.clock.sleep(1.0)
        assert reported == ["manual_profile_generation"]


async def test_two_playbook_versions_share_one_lane() -> None:
    async with scene(2, rerun_seconds=5.0) as play:
        jobs = [
            await play.client.rerun_playbook_generation(agent_version=name) for name in ("agent-v0", "v2")
        ]
        outcomes = await asyncio.gather(*jobs, return_exceptions=True)
        assert not isinstance(outcomes[0], BaseException)
        assert isinstance(outcomes[1], JobFailed)
        assert play.box.count("POST", PLAYBOOKS, 200) == 2


async def test_a_limit_that_others_use_up_costs_one_refusal_and_the_rest_of_the_window() -> None:
    async with (
        scene(1, rate_limits=True) as play,
        AsyncReflexioClient(url_endpoint=play.box.url, clock=play.clock, drain_timeout=1e6) as other,
    ):
        for _ in range(5):
            await (await other.rerun_profile_generation(user_id="user-0"))
        await (await play.client.rerun_profile_generation(user_id="user-0"))
        assert play.starts(429) == 1
        assert WINDOW <= play.clock.now() < 2 * WINDOW + 5


async def test_a_start_never_counts_the_wait_for_the_limit_against_the_call_s_timeout() -> None:
    async with scene(12, rate_limits=True, client={"timeout": 5.0}) as play:
        jobs = await asyncio.gather(
            *(play.client.rerun_profile_generation(user_id=user) for user in play.users)
        )
        results = await asyncio.gather(*jobs)
        assert [result.success for result in results] == [True] * 12


async def test_an_ordinary_call_does_not_wait_for_the_limit_longer_than_its_timeout() -> None:
    async with scene(1, rate_limits=True, client={"timeout": 5.0}) as play:
        for number in range(60):
            turns = [{"content": f"turn {number}"}]
            await play.client.publish_interaction(user_id="u", session_id="s", interactions=turns)
        with pytest.raises(RateLimited, match=r"opens again in 60 s.*waits 5 s at most"):
            await play.client.publish_interaction(
                user_id="u", session_id="s", interactions=[{"content": "x"}]
            )
        assert play.clock.now() < 1.0
