"""Batches of a store: they continue by their id, in any process."""

from __future__ import annotations

import asyncio
import gc
import logging
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient, InvalidRequest, JobState, StoreError
from reflexio_async.durable.batches import StoredBatch
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.hang import A_HANG
from tests.scene import RERUN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UPGRADE = "/api/upgrade_all_profiles"
USERS = [f"u{number}" for number in range(12)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "r.db"


def seeded(box: Sandbox) -> Sandbox:
    for user in USERS:
        box.seed(user)
    return box


async def test_a_batch_that_was_left_is_continued_by_another_client(store: Path) -> None:
    async with Sandbox(rerun_seconds=0.02) as box:
        seeded(box)
        async with AsyncReflexioClient(url_endpoint=box.url, store=store) as client:
            async with client.rerun_profiles_many(USERS, batch_id="night") as batch:
                async for _ in batch:
                    break
            assert batch.id == "night"
        async with AsyncReflexioClient(url_endpoint=box.url, store=store) as client:
            report = await client.rerun_profiles_many(USERS, batch_id="night")
        assert report.counts() == {"completed": 12}
        assert [operation.params["user_id"] for operation in box.operations()] == USERS


async def test_a_batch_that_has_ended_gives_its_outcomes_without_a_request(store: Path) -> None:
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client:
        first = await client.rerun_profiles_many(USERS, batch_id="night")
        count = len(box.requests)
        again = await client.rerun_profiles_many(USERS, batch_id="night")
        assert {outcome.key: outcome.result for outcome in again} == {
            outcome.key: outcome.result for outcome in first
        }
        assert len(box.requests) == count


async def test_two_clients_with_one_id_join_in_one_batch(store: Path) -> None:
    async with (
        Sandbox(rerun_seconds=0.02) as box,
        AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as one,
        AsyncReflexioClient(url_endpoint=box.url, store=store) as two,
    ):
        reports = await asyncio.gather(
            *(client.rerun_profiles_many(USERS, batch_id="night") for client in (one, two))
        )
        assert [report.counts() for report in reports] == [{"completed": 12}] * 2
        assert len(box.operations()) == 12


async def test_a_stopped_batch_withdraws_what_is_queued_and_starts_it_when_it_is_continued(
    store: Path,
) -> None:
    async with (
        Sandbox(rerun_seconds=0.05) as box,
        AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client,
    ):
        async with client.rerun_profiles_many(USERS, batch_id="night", concurrency=3) as batch:
            async for _ in batch:
                batch.stop()
        assert batch.progress.counts["cancelled"] >= 9
        assert len(box.operations()) < 4
        report = await client.rerun_profiles_many(USERS, batch_id="night")
        assert report.counts() == {"completed": 12}
        assert len(box.operations()) == 12


@pytest.fixture
def unretrieved() -> Iterator[list[str]]:
    """What asyncio reports: errors of tasks that nobody has looked at."""
    found: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("asyncio").addHandler(handler)
    yield found
    logging.getLogger("asyncio").removeHandler(handler)


async def test_to_stop_a_batch_of_a_closed_client_does_nothing(store: Path, unretrieved: list[str]) -> None:
    async with Sandbox(rerun_seconds=0.0) as box:
        async with AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client:
            batch = client.rerun_profiles_many(USERS, batch_id="night")
            await batch
        batch.stop()
        await asyncio.sleep(0)
    gc.collect()
    assert unretrieved == []


async def test_a_store_that_cannot_be_written_is_reported_when_a_batch_is_stopped(
    store: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        message = "the disk is full"
        raise StoreError(message)

    async with (
        Sandbox(rerun_seconds=0.0) as box,
        AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client,
    ):
        batch = client.rerun_profiles_many(USERS, batch_id="night")
        await batch
        monkeypatch.setattr(StoredBatch, "stop", fail)
        batch.stop()
        await asyncio.sleep(0.05)
    assert "withdrawing user_ids failed in the background: StoreError: the disk is full" in caplog.messages


async def test_a_batch_that_was_stopped_while_the_store_could_not_be_used_starts_nothing_afterwards(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = store.with_suffix(".away")
    async with (
        Sandbox(rerun_seconds=0.05) as box,
        AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client,
        client.rerun_profiles_many(USERS, batch_id="night") as batch,
        asyncio.timeout(A_HANG),
    ):
        outcomes = aiter(batch)
        await anext(outcomes)
        store.rename(away)  # noqa: ASYNC240  # it takes no time
        batch.stop()
        while "withdrawing" not in caplog.text:  # noqa: ASYNC110  # nothing tells it
            await asyncio.sleep(0.01)
        away.rename(store)
        async for _ in outcomes:
            pass
        assert batch.progress.counts["cancelled"] >= 6
        assert len(box.operations()) <= 6


async def test_retry_failed_starts_the_keys_again_that_did_not_complete(store: Path) -> None:
    async with (
        Sandbox() as box,
        AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client,
    ):
        report = await client.rerun_profiles_many([*USERS, "late"], batch_id="night")
        assert [outcome.key for outcome in report.failed] == ["late"]
        box.seed("late")
        again = await report.retry_failed()
        assert again.counts() == {"completed": 1}
        assert len(box.operations()) == 14


async def test_a_batch_of_an_earlier_process_runs_those_again_that_did_not_complete(store: Path) -> None:
    async with Sandbox() as box:
        users = [*USERS, "late"]
        async with AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client:
            await client.rerun_profiles_many(users, batch_id="night")
        box.seed("late")
        async with AsyncReflexioClient(url_endpoint=box.url, store=store) as client:
            report = await client.rerun_profiles_many(users, batch_id="night").retry_failed()
        assert report.counts() == {"completed": 13}
        assert len(box.operations()) == 14


async def test_without_a_store_a_batch_remembers_nothing_to_run_again() -> None:
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        batch = client.rerun_profiles_many(USERS)
        with pytest.raises(InvalidRequest, match=r"use retry_failed\(\) of the report"):
            batch.retry_failed()
        batch.plan  # noqa: B018  # so that it may be dropped


async def test_an_iterator_is_stored_as_it_is_pulled(store: Path) -> None:
    async with (
        Sandbox() as box,
        AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client,
    ):
        report = await client.rerun_profiles_many(iter(USERS), concurrency=3)
        assert report.counts() == {"completed": 12}
        assert (await client.store.stats()).jobs == {JobState.COMPLETED: 12}


async def test_it_promotes_only_when_the_whole_batch_has_completed(store: Path) -> None:
    async with (
        Sandbox() as box,
        AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client,
    ):
        await client.rerun_profiles_many([*USERS, "nobody"], batch_id="night")
        part = await client.rerun_profiles_many(USERS, batch_id="night", upgrade=True)
        assert "1 other keys" in str(part.upgrade_error)
        box.seed("nobody")
        await (await client.rerun_profiles_many([*USERS, "nobody"], batch_id="night")).retry_failed()
        whole = await client.rerun_profiles_many([*USERS, "nobody"], batch_id="night", upgrade=True)
        assert whole.upgrade.success


async def test_fail_fast_withdraws_the_rest(store: Path) -> None:
    async with (
        Sandbox(rerun_seconds=0.02) as box,
        AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client,
    ):
        report = await client.rerun_profiles_many(["nobody", *USERS], fail_fast=True)
        assert len(report.failed) == 1
        assert len(report.cancelled) >= 11


async def test_an_id_that_is_not_valid_unicode_is_refused(store: Path) -> None:
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url, store=store) as client:
        with pytest.raises(InvalidRequest, match="batch_id must be valid Unicode"):
            client.rerun_profiles_many(USERS, batch_id="night\udcff")


async def test_an_id_of_another_kind_of_batch_is_refused(store: Path) -> None:
    async with (
        Sandbox() as box,
        AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client,
    ):
        await client.rerun_profiles_many(USERS, batch_id="night")
        with pytest.raises(InvalidRequest, match="batch of profile_rerun"):
            await client.rerun_playbooks_many(["agent-v0"], batch_id="night")


async def test_an_id_of_a_batch_at_another_server_is_refused_with_both_addresses(store: Path) -> None:
    async with Sandbox() as first, Sandbox() as second:
        async with AsyncReflexioClient(url_endpoint=seeded(first).url, store=store) as client:
            await client.rerun_profiles_many(USERS, batch_id="night")
        message = f"at {first.url}, .* at {second.url}; choose another batch_id"
        async with AsyncReflexioClient(url_endpoint=second.url, store=store) as client:
            with pytest.raises(InvalidRequest, match=message):
                await client.rerun_profiles_many(USERS, batch_id="night")


async def test_an_id_needs_a_store() -> None:
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:9") as client:
        with pytest.raises(InvalidRequest, match="store="):
            client.rerun_profiles_many(["u"], batch_id="night")


async def test_the_rate_limit_is_learned_once_for_all_clients_of_a_store(store: Path) -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, rate_limits=True) as box:
        seeded(box)
        async with (
            AsyncReflexioClient(url_endpoint=box.url, store=store, clock=clock) as one,
            one.rerun_profiles_many(USERS, batch_id="night") as batch,
        ):
            done = 0
            async for _ in batch:
                done += 1
                if done == 7:  # in the second window
                    break
        async with AsyncReflexioClient(url_endpoint=box.url, store=store, clock=clock) as two:
            report = await two.rerun_profiles_many(USERS, batch_id="night")
        assert report.counts() == {"completed": 12}
        assert box.count("POST", RERUN, 429) == 1
        assert len(box.operations()) == 12


@pytest.mark.parametrize("killed", [True, False])
async def test_the_starts_of_a_process_count_once_in_the_window_of_the_next(
    store: Path,
    killed: bool,  # noqa: FBT001
) -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, rate_limits=True, rerun_seconds=4) as box:
        seeded(box)
        async with AsyncReflexioClient(url_endpoint=box.url, store=store, clock=clock) as one:
            await one.rerun_profiles_many(USERS[:5], batch_id="night")
        assert box.count("POST", RERUN, 429) == 0  # so it has not learned the limit
        # A process that was killed has written its rows alone. In real time an admission is noted a moment
        # after the response.
        change = "lane set limiter = null" if killed else "job set admitted_at = admitted_at + 0.001"
        with closing(sqlite3.connect(store)) as file:
            file.execute(f"update {change}")
            file.commit()
        async with AsyncReflexioClient(url_endpoint=box.url, store=store, clock=clock) as two:
            await two.rerun_profiles_many(USERS[:6], batch_id="night")
        first, *_, last = [operation.started_at for operation in box.operations()]
        assert last - first == pytest.approx(60, abs=2)


async def test_of_two_clients_that_join_in_a_batch_exactly_one_promotes(store: Path) -> None:
    async with (
        Sandbox(rerun_seconds=0.02) as box,
        AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as one,
        AsyncReflexioClient(url_endpoint=box.url, store=store) as two,
    ):
        reports = await asyncio.gather(
            *(
                client.rerun_profiles_many(USERS, batch_id="night", upgrade=True).run()
                for client in (one, two)
            )
        )
        assert box.count("POST", UPGRADE) == 1
        assert reports[0].upgrade == reports[1].upgrade
        assert reports[0].upgrade.profiles_promoted == 12
        again = await one.rerun_profiles_many(USERS, batch_id="night", upgrade=True)
        assert again.upgrade == reports[0].upgrade
        assert box.count("POST", UPGRADE) == 1


async def test_while_one_client_promotes_a_batch_another_waits_for_its_response(store: Path) -> None:
    async with (
        Sandbox() as box,
        AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as one,
        AsyncReflexioClient(url_endpoint=box.url, store=store) as two,
    ):
        await one.rerun_profiles_many(USERS, batch_id="night")
        box.faults.add(faults.delay(0.5), path=UPGRADE)  # both have asked for it before it is answered
        first, second = await asyncio.gather(
            *(
                client.rerun_profiles_many(USERS, batch_id="night", upgrade=True).run()
                for client in (one, two)
            )
        )
        assert box.count("POST", UPGRADE) == 1
        assert first.upgrade == second.upgrade


async def test_a_promotion_that_was_refused_is_tried_again(store: Path) -> None:
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client:
        box.faults.add(faults.refused("not now"), path=UPGRADE, times=1)
        first = await client.rerun_profiles_many(USERS, batch_id="night", upgrade=True)
        assert "not now" in str(first.upgrade_error)
        assert (await client.rerun_profiles_many(USERS, batch_id="night", upgrade=True)).ok


async def test_a_batch_that_has_grown_is_promoted_again(store: Path) -> None:
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=seeded(box).url, store=store) as client:
        await client.rerun_profiles_many(USERS[:6], batch_id="night", upgrade=True)
        assert (await client.rerun_profiles_many(USERS, batch_id="night", upgrade=True)).ok
        assert box.count("POST", UPGRADE) == 2
