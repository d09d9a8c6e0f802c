"""Fan-out: every key gets its own outcome, one failure stops no other, and nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import tracemalloc
import weakref
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    AsyncReflexioClient,
    BatchInterrupted,
    BatchProgress,
    BatchReport,
    ClientClosed,
    InvalidRequest,
    JobFailed,
    OutcomeState,
    PublishUserInteractionRequest,
    RequestRefused,
)
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.scene import PLAYBOOKS, PUBLISH, RERUN, scene

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

UPGRADE = "/api/upgrade_all_profiles"


def publish_of(user: str, text: str = "I like tea", **more: Any) -> dict[str, Any]:
    return {"user_id": user, "session_id": "s", "interactions": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize("option", ["upgrade", "fail_fast"])
@pytest.mark.parametrize("call", ["rerun_profiles_many", "rerun_playbooks_many"])
async def test_an_option_that_is_no_bool_is_refused(call: str, option: str) -> None:
    async with scene(1) as play:
        with pytest.raises(InvalidRequest, match=f"{option} must be True or False, not 'no'"):
            getattr(play.client, call)(play.users, **{option: "no"})


async def test_a_publish_with_fail_fast_that_is_no_bool_is_refused() -> None:
    given: Any = "false"
    async with scene() as play:
        with pytest.raises(InvalidRequest, match="fail_fast must be True or False, not 'false'"):
            play.client.publish_many([], fail_fast=given)


async def test_a_key_of_an_iterator_that_is_under_way_is_an_invalid_request() -> None:
    async with scene(1) as play:
        report = await play.client.rerun_profiles_many(iter(["user-0", "user-0"]))
        (duplicate,) = report.failed
        assert isinstance(duplicate.error, InvalidRequest)
        assert str(duplicate.error) == "'user-0' is already under way in this batch"


async def test_a_retry_of_states_that_do_not_exist_names_those_that_do() -> None:
    async with scene(1) as play:
        report = await play.client.rerun_profiles_many(play.users)
        with pytest.raises(InvalidRequest, match="'broken' is not a valid OutcomeState; the states are comp"):
            report.retry_failed("broken")


async def test_a_report_without_a_batch_cannot_retry() -> None:
    with pytest.raises(InvalidRequest, match="was not made by a batch"):
        BatchReport[str, Any]().retry_failed()


async def test_the_error_of_an_iterable_says_how_many_items_were_finished() -> None:
    def ids() -> Iterator[str]:
        yield "user-0"
        message = "the file is cut off"
        raise OSError(message)

    async with scene(1) as play:
        with pytest.raises(
            BatchInterrupted,
            match=r"the iterable user_ids raised OSError\(.*\); the 1 items before it were finished",
        ):
            await play.client.rerun_profiles_many(ids())


async def test_all_complete_with_one_admitted_post_each_within_the_limit_s_bound() -> None:
    async with scene(100, rate_limits=True) as play:
        report = await play.client.rerun_profiles_many(play.users)
        assert (report.ok, len(report.completed)) == (True, 100)
        assert (play.starts(200), play.starts(429), play.refused_for_being_busy()) == (100, 1, 0)
        assert play.clock.now() < 20 * 61.0


async def test_one_failure_stops_no_other() -> None:
    async with scene(5, failing_users={"user-2"}) as play:
        report = await play.client.rerun_profiles_many([*play.users, "nobody"])
        assert sorted(row.key for row in report.failed) == ["nobody", "user-2"]
        assert all(isinstance(row.error, JobFailed) for row in report.failed)
        assert (len(report.completed), report.ok) == (4, False)


async def test_an_outcome_says_how_long_it_was_queued_and_ran_and_how_often_it_was_sent() -> None:
    async with scene(2, rerun_seconds=10.0) as play:
        report = await play.client.rerun_profiles_many(play.users)
        first, second = report.outcomes
        assert (first.seconds_queued, first.attempts) == (0.0, 1)
        assert 10.0 <= first.seconds_running < 12.0
        assert 10.0 <= second.seconds_queued < 12.0


async def test_what_was_never_sent_has_no_attempts() -> None:
    async with scene(2, client={"timeout": 5.0}) as play:
        play.box.faults.add(faults.lost_before(), path="/api/get_operation_status", times=None)
        report = await play.client.rerun_profiles_many(play.users)
        assert [(row.state, row.attempts) for row in report] == [(OutcomeState.NOT_STARTED, 0)] * 2


async def test_streamed_outcomes_come_as_they_end() -> None:
    async with scene(3, rerun_seconds=10.0) as play:
        times: list[float] = []
        async with play.client.rerun_profiles_many(play.users) as batch:
            async for outcome in batch:
                assert outcome.state is OutcomeState.COMPLETED
                times.append(play.clock.now())
        assert [round(time / 10) for time in times] == [1, 2, 3]


async def test_leaving_the_stream_early_withdraws_what_was_not_started() -> None:
    async with scene(10, rerun_seconds=10.0) as play:
        async with play.client.rerun_profiles_many(play.users) as batch:
            async for _ in batch:
                break
        await play.clock.sleep(100.0)
        assert play.starts() == 2


async def test_stop_starts_nothing_more_and_reports_the_rest_as_cancelled() -> None:
    async with scene(40, rerun_seconds=10.0) as play:
        seen: list[str] = []
        async with play.client.rerun_profiles_many(play.users, concurrency=4) as batch:
            async for outcome in batch:
                seen.append(f"{outcome.key} {outcome.state}")
                batch.stop()
        assert seen[0] == "user-0 completed"
        assert sorted(seen) == sorted(
            [f"user-{n} {'completed' if n in (0, 1) else 'cancelled'}" for n in range(40)]
        )
        assert play.starts() == 2


async def test_fail_fast_starts_nothing_after_the_first_failure() -> None:
    async with scene(20, failing_users={"user-0"}) as play:
        report = await play.client.rerun_profiles_many(play.users, fail_fast=True, concurrency=2)
        assert [row.key for row in report.failed] == ["user-0"]
        assert len(report.completed) <= 1
        assert len(report.outcomes) == 20


async def test_cancelling_the_awaiting_task_withdraws_what_was_not_started() -> None:
    async with scene(10, rerun_seconds=10.0) as play:
        batch = asyncio.ensure_future(_collected(play.client.rerun_profiles_many(play.users)))
        await play.clock.sleep(15.0)
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        await play.clock.sleep(100.0)
        assert play.starts() == 2


async def test_a_timeout_counts_from_admission_and_the_job_can_be_resumed() -> None:
    def seconds(user: str) -> float:
        return 100.0 if user == "user-0" else 1.0

    async with scene(3, rerun_seconds=seconds) as play:
        report = await play.client.rerun_profiles_many(play.users, wait_timeout=20.0)
        assert [row.key for row in report.timed_out] == ["user-0"]
        assert sorted(row.key for row in report.completed) == ["user-1", "user-2"]
        token = report.timed_out[0].token
        assert token is not None


async def test_a_publish_that_waits_is_kept_as_it_is_sent_and_not_as_models() -> None:
    async with scene() as play:
        given = [PublishUserInteractionRequest(**publish_of(f"u{n}")) for n in range(3)]
        models = [weakref.ref(model) for model in given]
        batch = play.client.publish_many(given)
        given.clear()
        gc.collect()
        assert [model() for model in models] == [None] * 3
        assert (await batch).ok


async def test_retry_failed_runs_only_those_that_failed() -> None:
    async with scene(4) as play:
        play.box.faults.add(faults.status(422, {"detail": "no"}), path=RERUN, times=2)
        report = await play.client.rerun_profiles_many(play.users)
        assert len(report.failed) == 2
        again = await report.retry_failed()
        assert sorted(row.key for row in again.completed) == sorted(row.key for row in report.failed)
        assert play.starts() == 6


async def test_upgrade_promotes_once_after_all_completed() -> None:
    async with scene(3) as play:
        report = await play.client.rerun_profiles_many(play.users, upgrade=True)
        assert (report.upgrade.profiles_promoted, play.box.count("POST", UPGRADE)) == (3, 1)
        assert {profile.status for profile in play.box.stored_profiles} == {None}


async def test_upgrade_is_not_made_when_something_failed() -> None:
    async with scene(3, failing_users={"user-1"}) as play:
        report = await play.client.rerun_profiles_many(play.users, upgrade=True)
        assert (report.upgrade, play.box.count("POST", UPGRADE)) == (None, 0)


async def test_an_upgrade_that_fails_does_not_lose_the_report() -> None:
    async with scene(2) as play:
        play.box.faults.add(faults.refused("disk full"), path=UPGRADE)
        report = await play.client.rerun_profiles_many(play.users, upgrade=True)
        assert (len(report.completed), report.ok) == (2, False)
        assert isinstance(report.upgrade_error, RequestRefused)
        assert "disk full" in report.table()


async def test_playbook_reruns_fan_out_over_agent_versions() -> None:
    async with scene() as play:
        for version in ("v1", "v2"):
            play.box.seed("u", "I like tea", agent_version=version)
        report = await play.client.rerun_playbooks_many(["v1", "v2"])
        assert (len(report.completed), play.box.count("POST", PLAYBOOKS, 200)) == (2, 2)


async def test_the_common_options_reach_every_start() -> None:
    async with scene(2) as play:
        await play.client.rerun_profiles_many(play.users, source="chat")
        sources = [record.body["source"] for record in play.box.requests if record.path == RERUN]
        assert sources == ["chat", "chat"]


async def test_a_batch_sends_what_a_single_rerun_sends() -> None:
    user, since = 'ana "\u00e4\U0001f363" \\', datetime(2026, 1, 31, 9, 30)  # noqa: DTZ001  # naive: UTC
    async with scene() as play:
        await play.client.rerun_profiles_many([user], source="chat", start_time=since)
        job = await play.client.rerun_profile_generation(user_id=user, source="chat", start_time=since)
        await job.settled()
        many, single = (record.body for record in play.box.requests if record.path == RERUN)
        assert many == single == {"user_id": user, "source": "chat", "start_time": "2026-01-31T09:30:00Z"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("user-1", r"user_ids must be a list of them, not one str; did you mean \[user_id\]"),
        ({"a": 1}, "not one dict"),
        (5, "must be an iterable of them, not int"),
        (["a", "b", "a"], r"user_ids\[2\]: 'a' is already at \[0\]"),
        (["a", ""], r"user_ids\[1\]: .*user_id: must not be empty"),
        (["a", " "], r"user_ids\[1\]: .*must not be empty"),
        (["a", "\ud800"], r"user_ids\[1\]: .*user_id: must be valid Unicode"),
        (["a", 7], r"user_ids\[1\]: user_id must be text, not int"),
        ([None], r"user_ids\[0\]: user_id must be text, not NoneType"),
    ],
)
async def test_bad_keys_are_refused_before_any_request(given: Any, says: str) -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match=says):
            play.client.rerun_profiles_many(given)
        assert play.box.requests == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": True}, "concurrency"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"wait_timeout": float("nan")}, "wait_timeout"),
        ({"source": "Not A Source"}, "source"),
        ({"start_time": "yesterday"}, "start_time"),
    ],
)
async def test_bad_options_are_refused_before_any_request(options: dict[str, Any], says: str) -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match=says):
            play.client.rerun_profiles_many(["a"], **options)


async def test_no_keys_make_an_empty_report() -> None:
    async with scene() as play:
        report = await play.client.rerun_profiles_many([])
        assert (report.ok, len(report), play.box.requests) == (True, 0, [])


async def test_an_iterator_is_pulled_as_capacity_frees() -> None:
    pulled: list[str] = []

    def users() -> Iterator[str]:
        for number in range(20):
            pulled.append(f"user-{number}")
            yield f"user-{number}"

    async with (
        scene(20, rerun_seconds=10.0) as play,
        play.client.rerun_profiles_many(users(), concurrency=3) as batch,
    ):
        first = await anext(aiter(batch))
        assert (first.key, len(pulled) <= 4) == ("user-0", True)


async def test_an_async_iterator_streams_too() -> None:
    async def users() -> AsyncIterator[str]:
        for number in range(5):
            await asyncio.sleep(0)
            yield f"user-{number}"

    async with scene(5) as play:
        report = await play.client.rerun_profiles_many(users())
        assert len(report.completed) == 5


async def test_a_bad_key_in_an_iterator_fails_alone() -> None:
    async with scene(1) as play:
        report = await play.client.rerun_profiles_many(key for key in ("", "user-0"))
        assert [row.key for row in report.completed] == ["user-0"]
        assert isinstance(report.failed[0].error, InvalidRequest)


async def test_an_iterator_that_fails_is_reported_after_what_was_pulled_has_ended() -> None:
    def users() -> Iterator[str]:
        yield "user-0"
        yield "user-1"
        message = "the database went away"
        raise OSError(message)

    async with scene(2) as play:
        with pytest.raises(BatchInterrupted, match="the database went away") as interrupted:
            await play.client.rerun_profiles_many(users())
        assert len(interrupted.value.report.completed) == 2
        assert isinstance(interrupted.value.__cause__, OSError)


@pytest.mark.parametrize("stream", [False, True], ids=["awaited", "streamed"])
@pytest.mark.parametrize("error", [OSError, asyncio.CancelledError])
async def test_an_iterator_that_breaks_interrupts_the_batch_and_nothing_is_promoted(
    error: type[BaseException], *, stream: bool
) -> None:
    async def users() -> AsyncIterator[str]:
        yield "user-0"
        yield "user-1"
        raise error

    async with scene(2) as play:
        batch = play.client.rerun_profiles_many(users(), upgrade=True, concurrency=3)
        seen: set[str] = set()

        async def read() -> None:
            async with batch:
                async for outcome in batch:
                    seen.add(outcome.key)

        with pytest.raises(BatchInterrupted) as interrupted:
            await (read() if stream else batch)
        report = interrupted.value.report
        assert isinstance(interrupted.value.__cause__, error)
        assert seen | {outcome.key for outcome in report.completed} == {"user-0", "user-1"}
        assert (report.ok, play.box.count("POST", UPGRADE)) == (False, 0)


@pytest.mark.parametrize("stream", [False, True], ids=["awaited", "streamed"])
@pytest.mark.parametrize("is_list", [False, True], ids=["an iterator", "a list"])
async def test_a_batch_of_nothing_promotes_nothing(*, is_list: bool, stream: bool) -> None:
    async with scene() as play:
        batch = play.client.rerun_profiles_many([] if is_list else iter(()), upgrade=True)
        if stream:
            async with batch:
                assert [outcome async for outcome in batch] == []
        else:
            await batch
        assert play.box.count("POST", UPGRADE) == 0


async def test_a_batch_that_was_stopped_promotes_nothing() -> None:
    async with scene(1) as play:
        batch = play.client.rerun_profiles_many(iter(["user-0", "user-0"]), upgrade=True, concurrency=1)
        running = asyncio.ensure_future(_collected(batch))
        await play.clock.sleep(0.01)
        batch.stop()
        report = await running
        assert (len(report.completed), report.ok, play.box.count("POST", UPGRADE)) == (1, False, 0)


async def test_a_streamed_batch_over_many_keys_needs_flat_memory() -> None:
    async with scene(dialect="synchronous") as play:
        play.box.faults.add(
            faults.status(200, {"success": True, "msg": "done", "profiles_generated": 1}),
            path=RERUN,
            times=None,
        )
        peaks: list[int] = []
        for count in (1100, 3300):  # the client remembers the last 1,000 outcomes
            play.box.requests.clear()
            gc.collect()  # it holds itself, through its report
            tracemalloc.start()
            async with play.client.rerun_profiles_many(f"u{n}" for n in range(count)) as batch:
                async for _ in batch:
                    play.box.requests.clear()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < peaks[0] * 1.5


async def test_progress_comes_with_counts_and_an_eta_from_the_learned_limit() -> None:
    seen: list[BatchProgress] = []
    async with scene(14, rate_limits=True) as play:
        batch = play.client.rerun_profiles_many(play.users, on_progress=seen.append)
        assert str(batch.plan) == "14 to do; at most 5 a minute are admitted, so about 2 min"
        await batch
        assert (seen[0].done, seen[0].total, seen[-1].done) == (0, 14, 14)
        assert seen[-1].counts == {"completed": 14}
        known = next(progress for progress in seen if progress.done == 6)
        assert known.eta_seconds is not None
        assert 50.0 < known.eta_seconds < 130.0


async def test_progress_says_what_is_waited_for_and_its_eta_moves_meanwhile() -> None:
    async with scene(14, rate_limits=True) as play, play.client.rerun_profiles_many(play.users) as batch:
        stream = aiter(batch)
        for _ in range(5):
            await anext(stream)
        await play.clock.sleep(10.0)
        early = batch.progress
        await play.clock.sleep(10.0)
        later = batch.progress
        assert str(early.waiting_for) == "quota opens in 50 s (5 per 60 s)"
        assert early.eta_seconds is not None
        assert later.eta_seconds == pytest.approx(early.eta_seconds - 10.0)


async def test_an_on_progress_that_fails_does_not_kill_the_batch(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: BatchProgress) -> None:
        message = "no such terminal"
        raise OSError(message)

    async with scene(3) as play:
        report = await play.client.rerun_profiles_many(play.users, on_progress=broken)
        assert len(report.completed) == 3
        assert "on_progress failed" in caplog.text


async def test_a_report_prints_as_a_table_and_as_json_lines() -> None:
    async with scene(1) as play:
        report = await play.client.rerun_profiles_many(["user-0", "nobody"])
        assert report.table().splitlines()[0].startswith("1 completed, 1 failed in")
        assert "nobody" in report.table()
        rows = {row["key"]: row for row in map(json.loads, report.to_jsonl().splitlines())}
        assert rows["user-0"]["result"]["profiles_generated"] == 1
        assert rows["nobody"]["error"]["type"] == "JobFailed"
        assert repr(report) == "<BatchReport {'completed': 1, 'failed': 1}>"


async def test_the_table_of_a_report_shows_the_token_of_what_goes_on_at_the_server() -> None:
    async with scene(1, rerun_seconds=100.0) as play:
        report = await play.client.rerun_profiles_many(["user-0", "nobody"], wait_timeout=10.0, concurrency=2)
        [slow] = report.timed_out
        [row] = [row for row in report.table().splitlines() if row.startswith("user-0")]
        assert row.endswith(f"; token: {slow.token}")
        assert report.table().count("token: ") == 1


async def test_a_batch_runs_once() -> None:
    async with scene(1) as play:
        batch = play.client.rerun_profiles_many(play.users)
        await batch
        with pytest.raises(RuntimeError, match="a batch runs once"):
            await batch


async def test_run_is_a_coroutine_function_that_does_what_await_does() -> None:
    async with scene(2) as play:
        batch = play.client.rerun_profiles_many(play.users)
        assert inspect.iscoroutinefunction(batch.run)
        assert (await batch.run()).ok
        assert play.starts(200) == 2


async def test_a_batch_is_streamed_inside_async_with_only() -> None:
    async with scene(1) as play:
        with pytest.raises(RuntimeError, match="async with batch"):
            aiter(play.client.rerun_profiles_many(play.users))


async def test_closing_the_client_ends_a_stream_with_what_is_known_of_each_key() -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, rerun_seconds=1000.0) as box:
        box.seed("a")
        client = AsyncReflexioClient(url_endpoint=box.url, clock=clock)
        async with client.rerun_profiles_many(["a"]) as batch:
            reader = asyncio.ensure_future(_next(batch))
            await clock.sleep(1.0)
            await client.aclose(drain=False)
            outcome = await reader
        assert (outcome.state, outcome.token is not None) == (OutcomeState.LOST, True)


async def test_a_reader_of_publishes_learns_that_its_client_was_closed() -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock) as box:
        box.faults.add(faults.freeze(), path=PUBLISH)
        client = AsyncReflexioClient(url_endpoint=box.url, clock=clock)
        async with client.publish_many([publish_of("u")]) as batch:
            reader = asyncio.ensure_future(_next(batch))
            await box.arrived("POST", PUBLISH)
            await client.aclose(drain=False)
            outcome = await reader
            assert (outcome.state, type(outcome.error)) == (OutcomeState.LOST, ClientClosed)
            with pytest.raises(ClientClosed):
                await anext(batch)


async def test_many_publishes_are_stored_once_each() -> None:
    async with scene() as play:
        report = await play.client.publish_many(publish_of(f"u{n}", f"text {n}") for n in range(30))
        assert (len(report.completed), len(play.box.stored_requests)) == (30, 30)
        assert {row.key for row in report.completed} == set(play.box.stored_requests)


async def test_publishes_wait_for_the_limit_as_long_as_it_takes() -> None:
    async with scene(rate_limits=True, client={"timeout": 5.0}) as play:
        report = await play.client.publish_many([publish_of(f"u{n}") for n in range(130)])
        assert (len(report.completed), len(play.box.stored_requests)) == (130, 130)
        assert play.clock.now() > 120.0


async def test_a_publish_whose_answer_is_lost_is_stored_once_and_completed() -> None:
    async with scene() as play:
        play.box.faults.add(faults.answer_lost(), path=PUBLISH, times=5)
        report = await play.client.publish_many([publish_of(f"u{n}") for n in range(20)])
        assert (len(report.completed), len(play.box.stored_requests)) == (20, 20)


async def test_a_publish_that_may_have_been_stored_is_lost_not_failed() -> None:
    async with scene() as play:
        play.box.faults.add(faults.lost_before(), path=PUBLISH, times=None)
        report = await play.client.publish_many([publish_of("u")])
        assert [row.state for row in report] == [OutcomeState.LOST]


async def test_a_bad_item_is_named_by_its_place() -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match=r"items\[1\].*interactions"):
            play.client.publish_many(
                [publish_of("u"), {"user_id": "u", "session_id": "s", "interactions": []}]
            )


async def test_a_request_that_was_given_as_a_model_stays_as_it_is() -> None:
    given = PublishUserInteractionRequest(**publish_of("u"))
    async with scene() as play:
        report = await play.client.publish_many([given])
        assert report.ok
        assert given.request_id is None


async def test_two_items_may_not_share_a_request_id() -> None:
    async with scene() as play:
        twice = [publish_of("u", request_id="r"), publish_of("v", request_id="r")]
        with pytest.raises(InvalidRequest, match=r"items\[1\]: 'r' is already at \[0\]"):
            play.client.publish_many(twice)


async def test_a_refused_publish_is_a_failure_of_its_own() -> None:
    async with scene() as play:
        await play.client.publish_interaction(**publish_of("u", request_id="taken"))
        report = await play.client.publish_many(
            [publish_of("u", "other", request_id="taken"), publish_of("v")]
        )
        assert [row.key for row in report.failed] == ["taken"]
        assert isinstance(report.failed[0].error, RequestRefused)


async def test_a_restart_of_the_server_costs_no_key_its_outcome() -> None:
    async with scene(20, rerun_seconds=2.0, client={"wait_timeout": 700.0}) as play:
        batch = asyncio.ensure_future(_collected(play.client.rerun_profiles_many(play.users)))
        await play.box.arrived("POST", RERUN, 8)
        await play.clock.sleep(1.0)
        await play.box.restart()
        report = await batch
        # The operation under way is dead in its slot until the server gives it up after 600 s.
        assert (len(report.completed), [type(row.error) for row in report.failed]) == (19, [JobFailed])
        assert play.starts(200) == 20


async def _collected(batch: Any) -> Any:
    return await batch


async def _next(batch: Any) -> Any:
    return await anext(batch)


def test_the_states_of_outcomes_are_words() -> None:
    words = ["completed", "failed", "cancelled", "timed_out", "lost", "not_started"]
    assert [state.value for state in OutcomeState] == words


async def test_a_batch_that_is_neither_awaited_nor_entered_logs_an_error_that_says_how_to_run_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with scene(1) as play:
        play.client.rerun_profiles_many(play.users)
        gc.collect()  # it holds itself, through its report
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.getMessage().startswith("A batch of user_ids was dropped, and nothing was sent. Await it")
    assert "add_task(batch.run)" in record.getMessage()


async def test_a_batch_whose_plan_was_read_may_be_dropped() -> None:
    async with scene(1) as play:
        assert play.client.rerun_profiles_many(play.users).plan.total == 1


async def test_a_generator_that_fails_while_it_is_closed_leaves_the_report() -> None:
    async with scene(5) as play:

        async def users() -> AsyncGenerator[str]:
            try:
                for user in play.users:
                    yield user
            finally:
                message = "closing the cursor failed"
                raise OSError(message)

        def stop_after_two(progress: BatchProgress) -> None:
            if progress.done == 2:
                batch.stop()

        batch = play.client.rerun_profiles_many(users(), concurrency=1, on_progress=stop_after_two)
        with pytest.raises(BatchInterrupted, match="closing the cursor failed") as interrupted:
            await batch
        assert len(interrupted.value.report.completed) == 2
