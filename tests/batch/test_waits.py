"""What the keys of a batch waited for, and when: `Outcome.waits`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflexioClient, JobWait, WaitReason
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.scene import scene

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from reflexio_async import BatchReport


def seconds_of(report: BatchReport[str, Any]) -> dict[WaitReason, float]:
    """How long each reason lasted."""
    waits = [wait for outcome in report for wait in outcome.waits]
    return {
        reason: sum(wait.ended_at - wait.began_at for wait in waits if wait.reason is reason)
        for reason in WaitReason
        if any(wait.reason is reason for wait in waits)
    }


async def test_the_first_key_after_a_full_window_has_waited_for_the_rate_limit() -> None:
    async with scene(11, rate_limits=True, rerun_seconds=2.0) as play:
        report = await play.client.rerun_profiles_many(play.users)
        waited = {outcome.key: [wait.reason for wait in outcome.waits] for outcome in report if outcome.waits}
        assert waited == {"user-5": [WaitReason.RATE_LIMIT], "user-10": [WaitReason.RATE_LIMIT]}
        assert report.limit is not None
        assert report.limit.hits == 5


async def test_waits_and_runs_fill_the_time_of_a_batch() -> None:
    async with scene(20, rate_limits=True, rerun_seconds=2.0) as play:
        report = await play.client.rerun_profiles_many(play.users)
        accounted = sum(outcome.seconds_running for outcome in report) + sum(seconds_of(report).values())
        assert accounted == pytest.approx(report.seconds, rel=0.1)


async def test_a_key_that_outlasts_an_outage_has_waited_for_the_server() -> None:
    async with scene(3, rerun_seconds=10.0) as play:

        async def away() -> None:
            await play.clock.sleep(15.0)
            play.box.faults.add(faults.lost_before(), times=None)
            await play.clock.sleep(300.0)
            play.box.faults.clear()

        task = asyncio.create_task(away())
        report = await play.client.rerun_profiles_many(play.users)
        await task
        assert set(seconds_of(report)) == {WaitReason.SERVER_AWAY}
        assert 290 <= seconds_of(report)[WaitReason.SERVER_AWAY] <= 330


async def test_a_key_behind_another_client_has_waited_for_the_slot() -> None:
    async with scene(1) as play:
        play.box.start_foreign_operation(seconds=100.0)
        report = await play.client.rerun_profiles_many(play.users)
        assert set(seconds_of(report)) == {WaitReason.SLOT_TAKEN}
        assert 90 <= seconds_of(report)[WaitReason.SLOT_TAKEN] <= 110


async def test_times_are_epoch_seconds_in_the_order_of_what_happened() -> None:
    async with scene(2, rerun_seconds=5.0) as play:
        began = play.clock.time()
        report = await play.client.rerun_profiles_many(play.users)
        assert report.began_at == began
        for outcome in report:
            assert began <= outcome.queued_at <= outcome.started_at <= outcome.ended_at <= play.clock.time()
        assert [outcome.ended_at - outcome.started_at >= 5.0 for outcome in report] == [True, True]


async def test_a_store_keeps_times_and_waits_for_the_process_that_continues(tmp_path: Path) -> None:
    clock, users = VirtualClock(), [f"u{number}" for number in range(7)]
    async with Sandbox(clock=clock, rate_limits=True, rerun_seconds=2.0) as box:
        for user in users:
            box.seed(user)
        reports: list[BatchReport[str, Any]] = []
        for _ in range(2):
            async with AsyncReflexioClient(
                url_endpoint=box.url, store=tmp_path / "r.db", clock=clock
            ) as client:
                reports.append(await client.rerun_profiles_many(users, batch_id="night"))
    first, again = (
        {outcome.key: (round(outcome.ended_at, 3), outcome.waits) for outcome in report} for report in reports
    )
    assert again == first
    assert [wait.reason for wait in first["u5"][1]] == [WaitReason.RATE_LIMIT]
    assert isinstance(again["u5"][1][0], JobWait)


async def test_the_report_of_a_streamed_batch_has_the_outcomes_that_were_kept() -> None:
    async def users() -> AsyncGenerator[str]:
        yield "user-0"
        yield "user-1"

    async with scene(2, rerun_seconds=5.0) as play:
        async with play.client.rerun_profiles_many(users()) as batch:
            report = batch.report_of([outcome async for outcome in batch])
        assert (report.counts(), report.name, report.server) == (
            {"completed": 2},
            "user_ids",
            play.client.base_url,
        )
        assert report.seconds >= 10.0
