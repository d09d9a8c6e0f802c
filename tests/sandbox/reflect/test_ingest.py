"""Ingest: how long it takes, how often it is tried, and what a restart does to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reflexio_async.sandbox import ReflectSettings
from tests.sandbox.reflect.wire import PASSED

if TYPE_CHECKING:
    from reflexio_async.sandbox import VirtualClock
    from tests.sandbox.reflect.conftest import Reflects


@pytest.mark.parametrize("review", [None, PASSED], ids=["unreviewed", "reviewed"])
async def test_a_trace_is_queued_at_once_and_not_found_until_it_is_stored(
    reflecting: Reflects, clock: VirtualClock, review: dict[str, str] | None
) -> None:
    async with reflecting(ingest_seconds=5.0) as wire:
        answer = await wire.submit(review=review)
        assert answer.json["ingest_status"] == "queued"
        await clock.sleep(4.9)
        assert (await wire.trace(answer.json["trace_id"])).status == 404
        assert (await wire.get(wire.at("/traces"))).json == []
        await clock.sleep(0.2)
        assert (await wire.trace(answer.json["trace_id"])).json["ingest_status"] == "completed"


async def test_the_duration_of_ingest_may_depend_on_the_task(
    reflecting: Reflects, clock: VirtualClock
) -> None:
    async with reflecting(ingest_seconds=float) as wire:
        ids = [await wire.submitted(seconds) for seconds in ("10", "1")]
        await clock.sleep(2)
        assert [(await wire.trace(trace_id)).status for trace_id in ids] == [404, 200]


async def test_a_review_may_take_longer_than_the_trace(reflecting: Reflects, clock: VirtualClock) -> None:
    async with reflecting(ingest_seconds=1.0, review_seconds=2.0) as wire:
        trace_id = await wire.submitted(review=PASSED)
        await clock.sleep(1.5)
        stored = (await wire.trace(trace_id)).json
        assert (stored["ingest_status"], stored["review_status"]) == ("processing", "pending")
        assert (await wire.review(trace_id, **PASSED)).status == 409
        await clock.sleep(2)
        done = (await wire.trace(trace_id)).json
        assert (done["ingest_status"], done["review_status"]) == ("completed", "reviewed")


async def test_a_trace_deleted_before_its_review_creates_no_memory(
    reflecting: Reflects, clock: VirtualClock
) -> None:
    async with reflecting(review_seconds=2.0) as wire:
        trace_id = await wire.submitted(review=PASSED)
        await clock.sleep(1)
        await wire.post(wire.at("/traces/delete"), trace_ids=[trace_id])
        await clock.sleep(2)
        assert (wire.box.reflect.memories(), wire.box.reflect.queued) == ([], [])


async def test_ingest_that_always_fails_ends_as_failed(reflecting: Reflects, clock: VirtualClock) -> None:
    async with reflecting(
        ingest_seconds=1.0, failing_tasks={"2 + 2"}, max_attempts=2, ingest_error="no model"
    ) as wire:
        trace_id = await wire.submitted(review=PASSED)
        await clock.sleep(1.5)
        assert (await wire.trace(trace_id)).status == 404
        await clock.sleep(1)
        failed = (await wire.trace(trace_id)).json
        shown = {name: failed[name] for name in ("ingest_status", "ingest_attempts", "last_ingest_error")}
        assert shown == {"ingest_status": "failed", "ingest_attempts": 2, "last_ingest_error": "no model"}
        assert (failed["review_status"], wire.box.reflect.memories()) == ("pending", [])


async def test_ingest_that_fails_at_first_is_repeated(reflecting: Reflects) -> None:
    def fails(task: str, attempt: int) -> bool:
        return task == "2 + 2" and attempt < 3

    async with reflecting(ingest_seconds=1.0, fails=fails) as wire:
        trace = await wire.stored(review=PASSED)
        assert (trace["ingest_status"], trace["ingest_attempts"]) == ("completed", 3)
        assert (trace["last_ingest_error"], trace["review_status"]) == (None, "reviewed")


async def test_a_failed_trace_cannot_be_reviewed(reflecting: Reflects) -> None:
    async with reflecting(failing_tasks={"2 + 2"}) as wire:
        failed = await wire.stored()
        assert (await wire.review(failed["id"], **PASSED)).status == 409


async def test_a_restart_continues_the_queue(reflecting: Reflects, clock: VirtualClock) -> None:
    async with reflecting(ingest_seconds=5.0) as wire:
        memory = wire.box.reflect.seed_memory("2 + 2")
        trace_id = await wire.submitted(review=PASSED, retrieved_memory_ids=[memory.id])
        await clock.sleep(3)
        await wire.box.restart()
        await clock.sleep(4.9)
        assert (await wire.trace(trace_id)).status == 404
        await clock.sleep(0.2)
        assert (await wire.trace(trace_id)).json["review_status"] == "reviewed"
        assert memory.q_value == pytest.approx(0.65)


async def test_a_restart_continues_a_review(reflecting: Reflects, clock: VirtualClock) -> None:
    async with reflecting(review_seconds=5.0) as wire:
        trace_id = await wire.submitted(review=PASSED)
        await clock.sleep(1)
        await wire.box.restart()
        await clock.sleep(5.1)
        trace = (await wire.trace(trace_id)).json
        assert (trace["review_status"], trace["ingest_attempts"]) == ("reviewed", 1)


async def test_a_restart_without_data_is_empty(reflecting: Reflects, clock: VirtualClock) -> None:
    async with reflecting(ingest_seconds=5.0) as wire:
        url, key = wire.url, await wire.new_key("trace:read")
        trace_id = await wire.submitted()
        await wire.box.restart(keep_data=False)
        await clock.sleep(10)
        assert wire.box.reflect_url == url
        assert (await wire.trace(trace_id)).status == 404
        assert (await wire.using(key).get(wire.at("/traces"))).status == 401


async def test_nothing_is_ingested_while_the_sandbox_is_stopped(
    reflecting: Reflects, clock: VirtualClock
) -> None:
    async with reflecting(ingest_seconds=1.0) as wire:
        trace_id = await wire.submitted()
        await wire.box.stop()
        await clock.sleep(10)
        assert [trace.id for trace in wire.box.reflect.queued] == [trace_id]
        await wire.box.start()
        await clock.sleep(1.1)
        assert (await wire.trace(trace_id)).status == 200


@pytest.mark.parametrize("settings", [{"max_attempts": 0}, {"failing_tasks": "2 + 2"}])
def test_invalid_settings_are_refused(settings: dict[str, object]) -> None:
    [name] = settings
    with pytest.raises((ValueError, TypeError), match=name):
        ReflectSettings(**settings)  # type: ignore[arg-type]
