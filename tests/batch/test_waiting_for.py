"""``batch.progress.waiting_for``: why no more is started at this moment."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient, WaitingFor, WaitReason
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.scene import RERUN, STATUS, scene

if TYPE_CHECKING:
    from pathlib import Path


def time_of_day(epoch: float) -> str:
    return datetime.fromtimestamp(epoch).astimezone().strftime("%Y-%m-%d %H:%M")


async def test_before_the_start_and_after_the_end_nothing_is_waited_for() -> None:
    async with scene(2) as play:
        batch = play.client.rerun_profiles_many(play.users)
        assert batch.progress.waiting_for is None
        await batch
        assert batch.progress.waiting_for is None


async def test_the_rate_limit_says_when_it_opens() -> None:
    async with scene(7, rate_limits=True) as play, play.client.rerun_profiles_many(play.users) as batch:
        await play.clock.sleep(19.0)
        waits = batch.progress.waiting_for
        assert waits is not None
        assert (waits.reason, waits.detail) == (WaitReason.RATE_LIMIT, "5 per 60 s")
        assert waits.seconds == pytest.approx(41.5, abs=1.0)
        assert str(waits).startswith("quota opens in 4")


async def test_a_slot_that_another_client_has_is_named_with_its_time() -> None:
    async with scene(2) as play:
        foreign = play.box.start_foreign_operation(seconds=100.0)
        await play.clock.sleep(20.0)
        async with play.client.rerun_profiles_many(play.users) as batch:
            await play.clock.sleep(30.0)
            waits = batch.progress.waiting_for
            assert waits is not None
            assert waits == WaitingFor(WaitReason.SLOT_TAKEN, since=waits.since)
            assert waits.since == pytest.approx(foreign.started_at, abs=1.0)
            assert str(waits) == f"slot held by another client since {time_of_day(waits.since or 0)}"


async def test_our_own_job_that_runs_is_counted() -> None:
    async with scene(3, rerun_seconds=50.0) as play:
        began = play.clock.time()
        async with play.client.rerun_profiles_many(play.users) as batch:
            await play.clock.sleep(30.0)
            waits = batch.progress.waiting_for
            assert waits is not None
            assert (waits.reason, waits.jobs) == (WaitReason.RUNNING, 1)
            assert waits.since == pytest.approx(began, abs=2.0)
            assert str(waits).startswith("waiting for 1 running since ")


def slow_for_user_9(user_id: str) -> float:
    return 30.0 if user_id == "user-9" else 0.0


async def test_a_quota_that_is_closed_comes_before_the_job_that_runs() -> None:
    async with (
        scene(12, rate_limits=True, rerun_seconds=slow_for_user_9) as play,
        play.client.rerun_profiles_many(play.users) as batch,
    ):
        await play.clock.sleep(75.0)  # in the second window: the limit is known, and its last start runs
        assert play.box.operations()[-1].params["user_id"] == "user-9"
        assert batch.progress.done == 9
        assert batch.progress.waiting_for is not None
        assert batch.progress.waiting_for.reason is WaitReason.RATE_LIMIT


async def test_january_s_servers_answer_when_the_job_is_done_so_it_runs() -> None:
    async with (
        scene(9, dialect="synchronous", rerun_seconds=30.0) as play,
        play.client.rerun_profiles_many(play.users, concurrency=4) as batch,
    ):
        await anext(aiter(batch))
        await play.clock.sleep(10.0)
        waits = batch.progress.waiting_for
        assert waits is not None
        assert (waits.reason, waits.jobs) == (WaitReason.RUNNING, 4)


@pytest.mark.parametrize("path", [RERUN, STATUS])
async def test_a_request_without_an_answer_is_waited_for(path: str) -> None:
    async with scene(2, rerun_seconds=5.0) as play:
        play.box.faults.add(faults.freeze(), path=path)
        async with play.client.rerun_profiles_many(play.users) as batch:
            await play.clock.sleep(10.0)
            waits = batch.progress.waiting_for
            assert waits is not None
            assert waits.reason is WaitReason.ANSWER
            assert str(waits).startswith("waiting for an answer of the server since ")


async def test_a_server_that_is_away_is_named_with_the_next_try() -> None:
    async with scene(2) as play:
        await play.client.whoami()
        play.box.faults.add(faults.lost_before(), times=None)
        async with play.client.rerun_profiles_many(play.users) as batch:
            await play.clock.sleep(60.0)
            waits = batch.progress.waiting_for
            assert waits is not None
            assert waits.reason is WaitReason.SERVER_AWAY
            assert waits.since == pytest.approx(play.clock.time() - 60.0, abs=2.0)
            assert waits.seconds is not None
            assert 0.0 <= waits.seconds <= 10.0
            assert batch.progress.eta_seconds is None
            play.box.faults.clear()


async def test_publishes_wait_for_their_own_limit() -> None:
    items = [
        {"user_id": "u", "session_id": f"s{n}", "interactions": [{"role": "user", "content": "x"}]}
        for n in range(150)
    ]
    async with scene(rate_limits=True) as play, play.client.publish_many(items) as batch:
        await play.clock.sleep(20.0)
        waits = batch.progress.waiting_for
        assert waits is not None
        assert waits.reason is WaitReason.RATE_LIMIT


async def test_the_eta_of_slow_jobs_is_not_that_of_the_limit() -> None:
    async with (
        scene(10, rate_limits=True, rerun_seconds=40.0) as play,
        play.client.rerun_profiles_many(play.users) as batch,
    ):
        stream = aiter(batch)
        for _ in range(3):
            await anext(stream)
        assert batch.progress.eta_seconds == pytest.approx(280.0, abs=15.0)


async def test_in_a_store_another_process_may_have_the_lane(tmp_path: Path) -> None:
    clock, store = VirtualClock(), tmp_path / "night.db"
    async with Sandbox(clock=clock, rerun_seconds=30.0) as box:
        users = ["ana", "bo"]
        for user in users:
            box.seed(user, "hello")
        async with (
            AsyncReflexioClient(url_endpoint=box.url, store=store, clock=clock) as one,
            AsyncReflexioClient(url_endpoint=box.url, store=store, clock=clock) as two,
            one.rerun_profiles_many(users, batch_id="night") as first,
            two.rerun_profiles_many(users, batch_id="night") as second,
        ):
            await clock.sleep(10.0)
            reasons = {
                waits.reason
                for waits in (first.progress.waiting_for, second.progress.waiting_for)
                if waits is not None
            }
            assert reasons == {WaitReason.RUNNING, WaitReason.OTHER_PROCESS}
            await anext(aiter(first))


@pytest.mark.parametrize(
    ("waits", "said"),
    [
        (
            WaitingFor(WaitReason.RATE_LIMIT, seconds=0.2, detail="5 per 60 s"),
            "quota opens in 1 s (5 per 60 s)",
        ),
        (WaitingFor(WaitReason.RATE_LIMIT), "quota closed"),
        (WaitingFor(WaitReason.SERVER_AWAY, seconds=19.6), "server unreachable, next try in 20 s"),
        (
            WaitingFor(WaitReason.SERVER_ERROR, seconds=5.0, detail="answered 500"),
            "server answers with an error, next try in 5 s (answered 500)",
        ),
        (
            WaitingFor(WaitReason.STORE, seconds=2.0, detail="the disk is full"),
            "the store cannot be used, next try in 2 s (the disk is full)",
        ),
        (WaitingFor(WaitReason.OTHER_PROCESS), "another process drives these jobs"),
        (WaitingFor(WaitReason.RUNNING, jobs=3), "waiting for 3 running"),
    ],
)
def test_every_reason_has_words(waits: WaitingFor, said: str) -> None:
    assert str(waits) == said
