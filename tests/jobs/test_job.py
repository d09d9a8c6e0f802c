"""The handle: awaiting, watching, refreshing, resuming; timeouts and cancellation disturb no other waiter."""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import json
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    BackgroundErrorEvent,
    BadRequest,
    InvalidRequest,
    Job,
    JobCancelled,
    JobFailed,
    JobLost,
    JobState,
    JobTimeout,
    NotFound,
    as_completed,
    gather_jobs,
)
from reflexio_async.reflexio.models.operations import RerunProfileGenerationResponse
from reflexio_async.sandbox import faults
from tests.scene import RERUN, STATUS, Scene, scene

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

LEARNING = "/api/learning_status"


async def started(play: Scene, user: str = "user-0") -> Job[RerunProfileGenerationResponse]:
    return await play.client.rerun_profile_generation(user_id=user)


async def test_awaiting_gives_the_response_with_what_was_generated() -> None:
    async with scene(1, rerun_seconds=2.0) as play:
        response = await (await started(play))
        assert (response.success, response.profiles_generated) == (True, 1)
        assert response.operation_id == play.box.operations()[0].operation_id


async def test_admitted_returns_when_the_server_has_accepted_the_start() -> None:
    async with scene(2, rerun_seconds=100.0) as play:
        first, second = await started(play), await started(play, "user-1")
        assert second.token is None
        await second.admitted()
        assert (first.status.state, second.status.state) == (JobState.COMPLETED, JobState.RUNNING)
        assert second.token is not None


async def test_admitted_returns_at_once_for_a_job_that_has_ended() -> None:
    async with scene(1, failing_users={"user-0"}) as play:
        job = await started(play)
        await job.settled()
        await job.admitted()
        assert job.status.state is JobState.FAILED


async def test_admitted_raises_the_error_of_a_start_that_was_refused() -> None:
    async with scene(2, rerun_seconds=100.0) as play:
        await started(play)
        queued = await started(play, "user-1")
        play.box.faults.add(faults.status(400), path=RERUN)
        with pytest.raises(BadRequest):
            await queued.admitted()


async def test_admitted_raises_when_the_start_was_withdrawn() -> None:
    async with scene(2, rerun_seconds=100.0) as play:
        await started(play)
        queued = await started(play, "user-1")
        waiter = asyncio.ensure_future(queued.admitted())
        await asyncio.sleep(0)
        await queued.cancel()
        with pytest.raises(JobCancelled):
            await waiter


async def test_a_caller_of_admitted_that_is_cancelled_withdraws_nothing() -> None:
    async with scene(2, rerun_seconds=100.0) as play:
        await started(play)
        queued = await started(play, "user-1")
        waiter = asyncio.ensure_future(queued.admitted())
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait([waiter])
        assert (await queued).success


async def test_wait_for_response_waits_inside_the_call() -> None:
    async with scene(1, rerun_seconds=2.0) as play:
        response = await play.client.rerun_profile_generation(user_id="user-0", wait_for_response=True)
        assert response.profiles_generated == 1


async def test_a_call_that_times_out_in_the_queue_withdraws_its_start() -> None:
    async with scene(2, rerun_seconds=100.0) as play:
        first = await started(play)
        with pytest.raises(
            JobTimeout, match="queued after 50 s; its start was withdrawn, and nothing was sent"
        ) as caught:
            await play.client.rerun_profile_generation(
                user_id="user-1", wait_for_response=True, wait_timeout=50.0
            )
        assert (caught.value.token, caught.value.status.state) == (None, JobState.CANCELLED)
        assert (await first).success
        await play.clock.sleep(100.0)
        assert play.starts() == 1


async def test_a_call_that_is_cancelled_in_the_queue_withdraws_its_start() -> None:
    async with scene(2, rerun_seconds=100.0) as play:
        first = await started(play)
        second = asyncio.create_task(
            play.client.rerun_profile_generation(user_id="user-1", wait_for_response=True)
        )
        await play.clock.sleep(50.0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert (await first).success
        await play.clock.sleep(100.0)
        assert play.starts() == 1


async def test_a_call_that_times_out_while_its_job_runs_gives_the_token() -> None:
    async with scene(1, rerun_seconds=100.0) as play:
        with pytest.raises(JobTimeout, match="still running after 50 s; it goes on") as caught:
            await play.client.rerun_profile_generation(
                user_id="user-0", wait_for_response=True, wait_timeout=50.0
            )
        assert caught.value.token is not None
        assert (await play.client.job(caught.value.token)).success


async def test_a_handle_that_times_out_in_the_queue_keeps_its_start() -> None:
    async with scene(2, rerun_seconds=100.0) as play:
        await started(play)
        second = await started(play, "user-1")
        with pytest.raises(JobTimeout):
            await second.result(wait_timeout=50.0)
        assert (await second).success


async def test_a_timeout_while_the_start_is_being_answered_says_that_it_was_sent() -> None:
    async with scene(2, rerun_seconds=10.0) as play:
        await started(play)
        second = await started(play, "user-1")
        play.box.faults.add(faults.delay(100.0), path=RERUN)
        with pytest.raises(JobTimeout, match="its start was sent and is not answered"):
            await second.result(wait_timeout=50.0)


async def test_awaiting_again_and_from_many_tasks_costs_nothing() -> None:
    async with scene(1, rerun_seconds=2.0) as play:
        job = await started(play)
        results = await asyncio.gather(*(job.result() for _ in range(50)))
        asked = play.status_requests()
        assert await job is results[0]
        assert all(result is results[0] for result in results)
        assert play.status_requests() == asked


async def test_a_timeout_names_the_state_and_the_token_and_the_job_goes_on() -> None:
    async with scene(1, rerun_seconds=100.0) as play:
        job = await started(play)
        with pytest.raises(
            JobTimeout, match=r"still running after 30 s; it goes on at the server"
        ) as timeout:
            await job.result(wait_timeout=30.0)
        assert isinstance(timeout.value, TimeoutError)
        assert (timeout.value.token, timeout.value.status.state) == (job.token, JobState.RUNNING)
        assert play.clock.now() == 30.0
        assert (await job).success


async def test_the_default_timeout_counts_from_admission() -> None:
    async with scene(2, rerun_seconds=400.0) as play:
        first, second = await started(play), await started(play, "user-1")
        assert (await second).success
        assert (await first).success
        assert play.clock.now() > 600.0


async def test_an_explicit_timeout_counts_the_queueing_too() -> None:
    async with scene(2, rerun_seconds=400.0) as play:
        await started(play)
        second = await started(play, "user-1")
        with pytest.raises(JobTimeout, match="its start has not been sent") as timeout:
            await second.result(wait_timeout=50.0)
        assert (timeout.value.token, play.clock.now()) == (None, 50.0)


async def test_a_wait_begun_long_after_admission_has_its_whole_timeout() -> None:
    async with scene(1, rerun_seconds=550.0, client={"wait_timeout": 100.0}) as play:
        job = await started(play)
        await play.clock.sleep(500.0)
        assert (await job).success


async def test_cancelling_waiters_disturbs_no_others() -> None:
    async with scene(1, rerun_seconds=20.0) as play:
        job = await started(play)
        waiters = [asyncio.ensure_future(job.result()) for _ in range(500)]
        await play.clock.sleep(5.0)
        for waiter in waiters[::5] + waiters[1::5]:
            waiter.cancel()
        results = await asyncio.gather(*waiters, return_exceptions=True)
        assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 200
        assert sum(isinstance(result, RerunProfileGenerationResponse) for result in results) == 300
        assert play.starts() == 1


async def test_cancelling_200_of_500_queued_jobs_waits_disturbs_none_of_the_jobs() -> None:
    async with scene(500, rerun_seconds=0.1) as play:
        jobs = [await started(play, user) for user in play.users]
        waiters = [asyncio.ensure_future(job.result()) for job in jobs]
        await play.clock.sleep(1.0)
        for waiter in waiters[:200]:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        assert all(waiter.result().success for waiter in waiters[200:])
        assert [job.status.state for job in jobs] == [JobState.COMPLETED] * 500


async def test_a_given_poll_interval_is_never_undercut() -> None:
    async with scene(1, rerun_seconds=60.0) as play:
        job = await started(play)
        asked = play.status_requests()
        await job.result(poll_interval=20.0)
        assert play.status_requests() - asked == 3


async def test_the_shortest_requested_interval_wins_and_serves_everybody() -> None:
    async with scene(1, rerun_seconds=60.0) as play:
        job = await started(play)
        asked = play.status_requests()
        await asyncio.gather(job.result(poll_interval=20.0), job.result(poll_interval=5.0))
        assert play.status_requests() - asked == 12


async def test_polling_starts_soon_and_slows_down_to_the_interval() -> None:
    async with scene(1, rerun_seconds=120.0) as play:
        await (await started(play))
        polls = [record.at for record in play.box.requests if record.path == STATUS][1:]
        gaps = [later - earlier for earlier, later in zip([0.0, *polls], polls, strict=False)]
        assert gaps[0] == pytest.approx(0.05)
        assert all(later <= earlier * 1.5 + 1e-9 for earlier, later in itertools.pairwise(gaps))
        assert gaps[-1] == pytest.approx(1.0)


async def test_a_job_without_waiters_is_not_polled() -> None:
    async with scene(1, rerun_seconds=60.0) as play:
        job = await started(play)
        asked = play.status_requests()
        await play.clock.sleep(100.0)
        assert (play.status_requests(), job.status.state) == (asked, JobState.RUNNING)
        assert (await job).success


@pytest.mark.slow
async def test_ten_thousand_waiting_jobs_of_one_service_cost_one_request_per_interval() -> None:
    async with scene(1, rerun_seconds=30.0) as play:
        token = (await started(play)).token
        assert token is not None
        jobs = [play.client.job(token) for _ in range(10_000)]
        asked = play.status_requests()
        results = await asyncio.gather(*(job.result(poll_interval=1.0) for job in jobs))
        assert len(results) == 10_000
        assert play.status_requests() - asked == 30


async def bare() -> None:
    await asyncio.get_running_loop().create_future()


async def bytes_per_task(make: Callable[[int], Awaitable[Coroutine[Any, Any, Any]]]) -> float:
    """Of two thousand tasks that wait, with what each was made of."""
    tasks: list[asyncio.Task[Any]] = []
    (await make(-1)).close()  # loads what the first one has to load
    gc.collect()
    # A tracer, such as that of the measurement of coverage, makes an object of every frame.
    tracer = sys.gettrace()
    sys.settrace(None)
    tracemalloc.start()
    try:
        for number in range(2_000):
            tasks.append(asyncio.ensure_future(await make(number)))  # noqa: PERF401  # its memory counts
        await asyncio.sleep(0)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / len(tasks)
    finally:
        tracemalloc.stop()
        sys.settrace(tracer)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.slow
async def test_a_waiting_job_costs_at_most_2_kilobytes_besides_the_task_that_waits() -> None:
    async def nothing(_: int) -> Coroutine[Any, Any, Any]:
        return bare()

    async with scene(1, rerun_seconds=30.0) as play:
        token = (await started(play)).token
        assert token is not None

        async def resumed(_: int) -> Coroutine[Any, Any, Any]:
            return waits(play.client.job(token))

        async def queued(number: int) -> Coroutine[Any, Any, Any]:
            return waits(await started(play, f"somebody-{number}"))

        async def learning(number: int) -> Coroutine[Any, Any, Any]:
            return waits(play.client.learning(f"request-{number:032}"))

        task = await bytes_per_task(nothing)
        for kind in (resumed, queued, learning):
            assert await bytes_per_task(kind) - task <= 2048
        await play.client.aclose(drain=False)


async def waits(job: Job[Any]) -> None:
    await job


async def test_refresh_asks_once_and_returns_the_progress() -> None:
    async with scene(4, rerun_seconds=10.0) as play:
        job = await play.client.rerun_profile_generation()
        await play.clock.sleep(25.0)
        asked = play.status_requests()
        status = await job.refresh()
        assert (status.processed_users, status.total_users, status.progress) == (2, 4, 0.5)
        assert play.status_requests() == asked + 1


async def test_refreshing_a_queued_job_sends_no_request() -> None:
    async with scene(1, rerun_seconds=10.0) as play:
        await started(play)
        queued = await started(play)
        asked = play.status_requests()
        assert (await queued.refresh()).state is JobState.QUEUED
        assert play.status_requests() == asked


async def test_watch_yields_every_change_and_ends_with_the_final_one() -> None:
    async with scene(4, rerun_seconds=10.0) as play:
        job = await play.client.rerun_profile_generation()
        seen = [status async for status in job.watch()]
        assert [status.processed_users for status in seen[1:]] == [0, 1, 2, 3, 4]
        assert (seen[0].state, seen[-1].state) == (JobState.RUNNING, JobState.COMPLETED)


async def test_watching_a_queued_job_shows_its_admission() -> None:
    async with scene(1, rerun_seconds=5.0) as play:
        await started(play)
        queued = await started(play)
        states = [status.state async for status in queued.watch()]
        assert (states[0], JobState.RUNNING in states, states[-1]) == (
            JobState.QUEUED,
            True,
            JobState.COMPLETED,
        )


async def test_a_watch_that_is_left_stops_asking() -> None:
    async with scene(1, rerun_seconds=100.0) as play:
        job = await started(play)
        async for _ in job.watch():
            break
        asked = play.status_requests()
        await play.clock.sleep(30.0)
        assert play.status_requests() == asked


async def test_a_job_is_resumed_by_its_token() -> None:
    async with scene(1, rerun_seconds=30.0) as play:
        job = await started(play)
        assert job.token is not None
        again = play.client.job(job.token)
        assert (again.id, again.kind) == (job.id, "profile_rerun")
        assert (await again).profiles_generated == 1


async def test_a_token_is_json_without_credentials() -> None:
    async with scene(1, api_key="top-secret", client={"api_key": "top-secret"}) as play:
        job = await started(play)
        assert job.token is not None
        assert json.loads(job.token)["v"] == 1
        assert "top-secret" not in job.token


@pytest.mark.parametrize("text", ["", "{}", "null", "not json", '{"v":1,"kind":3,"url":"u","id":"i"}'])
async def test_what_is_no_token_is_refused(text: str) -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match="not a job token"):
            play.client.job(text)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"v": 2}, "another release"),
        ({"url": "http://elsewhere"}, "belongs to http://elsewhere"),
        ({"kind": "dance"}, "kind 'dance' is not known"),
    ],
)
async def test_a_token_of_another_release_server_or_kind_is_refused(
    change: dict[str, object], says: str
) -> None:
    async with scene(1) as play:
        token = (await started(play)).token
        assert token is not None
        with pytest.raises(InvalidRequest, match=says):
            play.client.job(json.dumps(json.loads(token) | change))


@pytest.mark.parametrize("value", [-0.001, -1, float("nan"), float("inf"), True, "1"])
@pytest.mark.parametrize("option", ["poll_interval", "wait_timeout"])
async def test_an_unusable_interval_or_timeout_is_refused_by_name(option: str, value: object) -> None:
    async with scene(1) as play:
        job = await started(play)
        with pytest.raises(InvalidRequest, match=option):
            await job.result(**{option: value})  # type: ignore[arg-type]


async def test_transient_errors_of_polling_are_outlasted_and_named_by_a_timeout() -> None:
    async with scene(1, rerun_seconds=1000.0) as play:
        job = await started(play)
        play.box.faults.add(faults.status(503, {"detail": "restarting"}), path=STATUS, times=None)
        with pytest.raises(JobTimeout, match="503: restarting") as timeout:
            await job.result(wait_timeout=60.0)
        assert timeout.value.last_poll_error is not None


async def test_polling_that_is_refused_for_good_ends_the_wait_at_once() -> None:
    async with scene(1, rerun_seconds=1000.0) as play:
        job = await started(play)
        play.box.faults.add(faults.status(400), path=STATUS)
        with pytest.raises(BadRequest):
            await job
        assert play.clock.now() < 1.0


async def test_a_job_that_the_server_twice_does_not_know_is_lost() -> None:
    async with scene(1, rerun_seconds=1000.0) as play:
        job = await started(play)
        play.box.faults.add(faults.status(404), path=STATUS, times=2)
        with pytest.raises(JobLost, match="does not know it any more") as lost:
            await job
        assert isinstance(lost.value.__cause__, NotFound)
        assert play.clock.now() < 1.0


async def test_as_completed_yields_each_job_as_it_ends() -> None:
    async with scene(5, rerun_seconds=3.0) as play:
        jobs = [await started(play, user) for user in play.users]
        ended = [job async for job in as_completed(reversed(jobs))]
        assert ended == jobs


async def test_as_completed_leaves_no_task_behind_when_it_is_left_early() -> None:
    async with scene(5, rerun_seconds=3.0) as play:
        jobs = [await started(play, user) for user in play.users]
        async for job in as_completed(jobs):
            assert job is jobs[0]
            break
        for _ in range(5):
            await asyncio.sleep(0)
        waits = [task for task in asyncio.all_tasks() if "_as_completed" in repr(task.get_coro())]
        assert waits == []


async def test_gather_jobs_keeps_the_order() -> None:
    async with scene(4, rerun_seconds=1.0) as play:
        jobs = [await started(play, user) for user in play.users]
        results = await gather_jobs(jobs)
        expected = [operation.operation_id for operation in play.box.operations()]
        assert [result.operation_id for result in results] == expected


async def test_gather_jobs_raises_the_first_error_and_the_jobs_go_on() -> None:
    async with scene(2, rerun_seconds=1.0) as play:
        jobs = [await started(play, user) for user in ("nobody", "user-0", "user-1")]
        with pytest.raises(JobFailed, match="No interactions found"):
            await gather_jobs(jobs)
        assert (await jobs[2]).success


async def test_gather_jobs_can_put_errors_in_the_places_of_results() -> None:
    async with scene(1) as play:
        jobs = [await started(play, user) for user in ("nobody", "user-0")]
        failed, completed = await gather_jobs(jobs, return_exceptions=True)
        assert isinstance(failed, JobFailed)
        assert isinstance(completed, RerunProfileGenerationResponse)


@pytest.mark.parametrize("wait_for", [gather_jobs, as_completed])
async def test_an_unawaited_start_is_refused_in_place_of_a_job(wait_for: Any) -> None:
    async with scene(1) as play:
        start = started(play)
        with pytest.raises(InvalidRequest, match="takes jobs, not coroutine; await each start first"):
            await wait_for([start])
        assert inspect.getcoroutinestate(start) == inspect.CORO_CLOSED
        assert play.starts() == 0


@pytest.mark.parametrize("wait_for", [gather_jobs, as_completed])
async def test_what_is_no_iterable_is_refused_in_place_of_jobs(wait_for: Any) -> None:
    with pytest.raises(InvalidRequest, match="takes an iterable of jobs, not NoneType"):
        await wait_for(None)


async def test_return_exceptions_is_true_or_false() -> None:
    given: Any = "no"
    with pytest.raises(InvalidRequest, match="return_exceptions must be True or False, not 'no'"):
        await gather_jobs([], return_exceptions=given)


async def test_a_failure_without_waiters_is_reported() -> None:
    reported: list[BackgroundErrorEvent] = []
    async with scene(1, client={"on_background_error": reported.append}) as play:
        await started(play, "nobody")
        await (await started(play))
        gc.collect()
        assert [type(event.error) for event in reported] == [JobFailed]
        assert play.client._engine.tasks.errors == 1


async def test_a_failure_that_was_awaited_is_not_reported_again() -> None:
    reported: list[BackgroundErrorEvent] = []
    async with scene(1, client={"on_background_error": reported.append}) as play:
        with pytest.raises(JobFailed):
            await (await started(play, "nobody"))
        gc.collect()
        assert reported == []


async def test_learning_is_awaited_by_the_request_s_id() -> None:
    async with scene(learning_seconds=30.0) as play:
        receipt = await play.client.publish_interaction(
            user_id="u", session_id="s", interactions=[{"content": "I like tea"}], force_extraction=True
        )
        assert receipt.request_id is not None
        job = play.client.learning(receipt.request_id)
        assert (await job).status == "done"
        assert (job.status.state, job.id) == (JobState.COMPLETED, receipt.request_id)


async def test_a_token_nested_without_end_is_no_token() -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match="token"):
            play.client.job("[" * 200_000)


async def test_learning_of_an_unknown_request_is_not_found() -> None:
    async with scene() as play:
        with pytest.raises(NotFound):
            await play.client.learning("nope")


@pytest.mark.parametrize(
    ("status", "state"), [("not_tracked", JobState.COMPLETED), ("failed", JobState.FAILED)]
)
async def test_the_ends_of_learning(status: str, state: JobState) -> None:
    async with scene() as play:
        answer = {"status": status, "reason": "inputs_erased"}
        play.box.faults.add(faults.status(200, answer), path=LEARNING, times=None)
        job = play.client.learning("r")
        await asyncio.gather(job, return_exceptions=True)
        assert job.status.state is state


async def test_a_learning_job_is_resumed_by_its_token() -> None:
    async with scene() as play:
        play.box.faults.add(faults.status(200, {"status": "done"}), path=LEARNING, times=None)
        token = play.client.learning("r").token
        assert token is not None
        assert (await play.client.job(token)).status == "done"


async def test_a_waiter_for_learning_learns_that_the_client_was_closed() -> None:
    async with scene() as play:
        play.box.faults.add(faults.status(200, {"status": "pending"}), path=LEARNING, times=None)
        waiter = asyncio.ensure_future(play.client.learning("r").result())
        await play.clock.sleep(5.0)
        await play.client.aclose()
        with pytest.raises(JobLost, match="the client was closed"):
            await waiter


async def test_learning_cannot_be_cancelled_and_says_so() -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match="cannot be cancelled"):
            await play.client.learning("r").cancel()


async def test_many_learning_jobs_together_stay_below_the_limit_of_their_route() -> None:
    async with scene(rate_limits=True) as play:
        play.box.faults.add(faults.status(200, {"status": "pending"}), path=LEARNING, times=400)
        jobs = [play.client.learning(f"r{number}") for number in range(100)]
        waits = [asyncio.ensure_future(job.result(wait_timeout=120.0)) for job in jobs]
        await asyncio.gather(*waits, return_exceptions=True)
        first_minute = [r for r in play.box.requests if r.path == LEARNING and r.at < 60.0]
        assert len(first_minute) <= 128


async def test_the_path_of_a_start_is_asked_for_once_per_job() -> None:
    async with scene(3) as play:
        await gather_jobs([await started(play, user) for user in play.users])
        assert play.box.count("POST", RERUN) == 3
