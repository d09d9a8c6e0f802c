"""``client.store``: what is in a store, and what is deleted."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflectClient, AsyncReflexioClient, ConfigurationError, InvalidRequest
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async._engine.wire import EncodedRequest
from reflexio_async.durable.leases import hold
from reflexio_async.durable.opening import open_store
from reflexio_async.durable.outbox_rows import OutboxRows
from reflexio_async.durable.rows import BatchRow, LaneKey, NewJob, OutboxRow, RowState
from reflexio_async.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from reflexio_async.durable.store import Store
    from reflexio_async.durable.view import StoreView

URL = "http://127.0.0.1:8061"
REQUEST = EncodedRequest("POST", "/api/rerun", "/api/rerun", b"{}", "application/json")
LANE = LaneKey(URL, "org", "profiles")
DAY = 86400.0


@asynccontextmanager
async def opened(
    place: Path | str, clock: VirtualClock | None = None
) -> AsyncGenerator[tuple[Store, StoreView]]:
    """A store in a file of a folder, or at an address, and the view of a client on it."""
    where = place if isinstance(place, str) else place / "store.db"
    client = AsyncReflexioClient(url_endpoint=URL, store=where, clock=clock)
    store = await asyncio.to_thread(open_store, client._engine.settings)
    await store.open()
    async with client:
        try:
            yield store, client.store
        finally:
            await store.aclose()


def job(name: str, **fields: Any) -> NewJob:
    made = NewJob(name, "a", URL, "profiles", "profile_rerun", REQUEST, {"user_id": name}, 1.0)
    return made._replace(**fields)


async def ended(
    store: Store, job_id: str, state: str = "completed", *, at: float = 5.0, **outcome: Any
) -> None:
    async with hold(store, LANE, "me", store._clock) as held:
        assert held is not None
        await store.update_job(
            held.lease, job_id, state=RowState.ENDED, ended_at=at, outcome={"state": state, **outcome}
        )


async def test_jobs_are_listed_with_the_newest_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, view):
        await store.add_jobs([job("ana"), job("ben"), job("eva", batch="b", key="eva", created_at=3.0)])
        eva, ben = await view.jobs(limit=2)
    assert (eva.params, eva.batch, eva.key, eva.created_at) == ({"user_id": "eva"}, "b", "eva", 3.0)
    assert (ben.params, ben.kind, ben.state, ben.ended_at) == (
        {"user_id": "ben"},
        "profile_rerun",
        "queued",
        None,
    )


async def test_the_token_of_a_listed_job_names_its_row(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, view):
        await store.add_jobs([job("ana")])
        (ana,) = await view.jobs()
    assert Token.from_text(ana.token) == Token("profile_rerun", URL, "", {"user_id": "ana"}, row="ana")


async def test_jobs_are_listed_by_their_state(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, view):
        await store.add_jobs([job("queued"), job("starts"), job("runs"), job("done"), job("bad")])
        async with hold(store, LANE, "me", store._clock) as held:
            assert held is not None
            await store.update_job(held.lease, "starts", state=RowState.STARTING)
            await store.update_job(held.lease, "runs", state=RowState.ADMITTED, admitted_at=4.0)
        await ended(store, "done")
        await ended(store, "bad", "failed", failure={"type": "JobFailed", "message": "no model"})
        names = {
            state: [entry.params["user_id"] for entry in await view.jobs(state=state)]
            for state in ("queued", "running", "completed", "failed", "lost")
        }
        (bad,) = await view.jobs(state="failed")
        assert names == {
            "queued": ["queued"],
            "running": ["runs", "starts"],
            "completed": ["done"],
            "failed": ["bad"],
            "lost": [],
        }
        assert (bad.error, bad.ended_at) == ("no model", 5.0)
        assert (await view.stats()).jobs == {"queued": 1, "running": 2, "completed": 1, "failed": 1}


async def test_a_state_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, view):
        with pytest.raises(InvalidRequest, match="state must be one of queued, running, completed"):
            await view.jobs(state="done")


@pytest.mark.parametrize("limit", [0, -1, 1.5, None])
async def test_a_limit_is_a_whole_number(tmp_path: Path, limit: Any) -> None:
    async with opened(tmp_path) as (_, view):
        with pytest.raises(InvalidRequest, match="limit"):
            await view.jobs(limit=limit)
        with pytest.raises(InvalidRequest, match="limit"):
            await view.batches(limit=limit)


async def test_batches_are_listed_with_the_states_of_their_jobs(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, view):
        for number, name in enumerate(("old", "new", "empty")):
            await store.add_batch(BatchRow(name, "a", URL, "profile_rerun", number))
        await store.add_jobs(
            [job(f"{name}{n}", batch=name, key=str(n)) for name in ("old", "new") for n in (1, 2)]
        )
        await ended(store, "new1")
        empty, new, old = await view.batches()
        assert (await view.jobs(batch="old"))[0].key == "2"
        assert await view.batches(batch="old") == [old]
        assert await view.batches(batch="other") == []
    assert (empty.id, empty.jobs) == ("empty", {})
    assert (new.id, new.kind, new.jobs) == ("new", "profile_rerun", {"queued": 1, "completed": 1})
    assert (old.id, old.created_at, old.jobs) == ("old", 0.0, {"queued": 2})


async def test_the_counts_say_who_drives_which_lane_and_what_waits(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, view):
        await store.add_account("a", URL, None)
        await store.add_account("known", URL, "org")
        await store.add_jobs([job("ana"), job("ben", account="known")])
        await OutboxRows(store).accept(
            [OutboxRow(0, "r1", "a", URL, "publish", "s", REQUEST, 10, "waiting", 0, None, 1.0)]
        )
        async with hold(store, LANE, "host-1", store._clock):
            stats = await view.stats()
        (lane,) = stats.lanes
        assert lane[:4] == (URL, "org", "profiles", "host-1")
        assert lane.lease is not None
        assert 0 < lane.lease <= 15
        assert (stats.outbox_waiting, stats.outbox_set_aside, stats.without_organisation) == (1, 0, 2)
        assert stats.bytes >= 4096
        (lane,) = (await view.stats()).lanes
        assert (lane.holder, lane.lease) == (None, None)


@pytest.mark.parametrize("older_than", [2.5, timedelta(seconds=2.5)])
async def test_prune_deletes_the_jobs_that_ended_before(tmp_path: Path, older_than: Any) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as (store, view):
        await store.add_jobs([job("old"), job("new"), job("queued")])
        for name in ("old", "new"):
            await ended(store, name, at=clock.time())
            await clock.sleep(2)
        assert await view.prune(older_than) == 1
        assert [entry.params["user_id"] for entry in await view.jobs()] == ["queued", "new"]


async def test_prune_deletes_any_number_of_jobs(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, view):
        await store.add_jobs([job(str(number)) for number in range(1201)])
        await store.withdraw([str(number) for number in range(1201)], {"state": "cancelled"}, 5.0)
        assert await view.prune(0) == 1201
        assert await view.jobs() == []


@pytest.mark.parametrize("older_than", [-1, None, "1 day"])
async def test_prune_takes_a_duration(tmp_path: Path, older_than: Any) -> None:
    async with opened(tmp_path) as (_, view):
        with pytest.raises(InvalidRequest, match="older_than"):
            await view.prune(older_than)


async def test_the_jobs_of_a_batch_are_kept_until_all_of_them_have_ended(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, view):
        await store.add_batch(BatchRow("b", "a", URL, "profile_rerun", 1.0))
        await store.add_jobs([job("one", batch="b", key="1"), job("two", batch="b", key="2")])
        await ended(store, "one")
        assert await view.prune(0) == 0
        await ended(store, "two")
        assert await view.prune(0) == 2
        assert await view.batches() == []


async def test_the_jobs_of_a_batch_are_kept_until_the_last_of_them_ended_long_ago(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, view):
        await store.add_batch(BatchRow("b", "a", URL, "profile_rerun", 1.0))
        await store.add_jobs([job("one", batch="b", key="1"), job("two", batch="b", key="2")])
        now = store._clock.time()
        await ended(store, "one", at=now - 9 * DAY)
        await ended(store, "two", at=now - 6 * DAY)
        assert await view.prune(7 * DAY) == 0
        assert await view.prune(5 * DAY) == 2


async def test_who_holds_a_lane_deletes_the_jobs_whose_time_is_over(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as (store, view):
        await store.add_jobs([job("old"), job("new")])
        await ended(store, "old", at=clock.time() - 7 * DAY - 1)
        await ended(store, "new", at=clock.time() - 6 * DAY)
        async with hold(store, LANE, "me", clock):
            await clock.sleep(6)
        assert [entry.params["user_id"] for entry in await view.jobs()] == ["new"]


async def test_a_clock_that_is_set_back_deletes_nothing_and_keeps_the_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, view):
        await store.add_account("a", URL, "org")
        await store.add_jobs([job("one", created_at=1e9), job("two", created_at=10.0)])
        assert [row.id for row in await store.open_jobs(LANE, 2)] == ["one", "two"]
        await ended(store, "one", at=1e12)
        assert await view.prune(0) == 0


async def test_a_store_in_postgres_is_listed_and_counted_alike(postgres_url: str) -> None:
    async with opened(postgres_url) as (store, view):
        await store.add_account("a", URL, None)
        await store.add_batch(BatchRow("b", "a", URL, "profile_rerun", 1.0))
        await store.add_jobs([job("ana"), job("ben"), job("eva", batch="b", key="eva")])
        await ended(store, "ben", "failed", failure={"type": "JobFailed", "message": "no model"})
        (failed,) = await view.jobs(state="failed")
        assert (failed.error, failed.params) == ("no model", {"user_id": "ben"})
        assert [entry.key for entry in await view.jobs(batch="b")] == ["eva"]
        assert [entry.jobs for entry in await view.batches()] == [{"queued": 1}]
        async with hold(store, LANE, "host-1", store._clock):
            stats = await view.stats()
        assert stats.jobs == {"queued": 2, "failed": 1}
        assert [(lane.name, lane.holder) for lane in stats.lanes] == [("profiles", "host-1")]
        assert (stats.without_organisation, type(stats.bytes)) == (2, int)
        assert stats.bytes >= 8192
        assert await view.prune(0) == 1


@pytest.fixture(params=["file", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store may be."""
    return tmp_path if request.param == "file" else str(request.getfixturevalue("postgres_url"))


def call(name: str, account: str) -> OutboxRow:
    return OutboxRow(0, name, account, URL, "publish_interaction", "s", REQUEST, 2, "waiting", 0, None, 5.0)


async def test_what_waits_for_a_key_that_was_replaced_is_assigned_or_discarded(place: Path | str) -> None:
    async with opened(place) as (store, view):
        for account, org in (("new", "org"), ("old", None), ("older", None)):
            await store.add_account(account, URL, org)
        await OutboxRows(store).accept(
            [call("c1", "new"), call("c2", "old"), call("c3", "old"), call("c4", "older")]
        )
        await store.add_jobs([job("j1", account="old"), job("j2", account="older")])
        assert sorted(entry[:7] for entry in await view.accounts()) == [
            ("new", URL, "org", 0, 1, 2, 0),
            ("old", URL, None, 1, 2, 4, 0),
            ("older", URL, None, 1, 1, 2, 0),
        ]
        assert await OutboxRows(store).count_orphans(URL, 100.0) == 3
        assert await view.discard("older") == 2
        await view.assign("old", "org")
        assert {entry.id: entry.organisation for entry in await view.accounts()} == {
            "new": "org",
            "old": "org",
        }
        assert (await OutboxRows(store).stats(URL, "new", 5.0)).waiting == 3
        assert [row.id for row in await store.open_jobs(LANE, 5)] == ["j1"]
        for account, organisation in (("old", "org"), ("none", "org")):
            with pytest.raises(InvalidRequest):
                await view.assign(account, organisation)


async def test_an_account_that_is_not_there_is_refused_with_where_to_look(place: Path | str) -> None:
    async with opened(place) as (_, view):
        for call in (view.assign("none", "org"), view.discard("none")):
            with pytest.raises(InvalidRequest, match=r"no account 'none'; client\.store\.accounts\(\)"):
                await call


async def test_refused_calls_are_listed_with_their_organisation(place: Path | str) -> None:
    async with opened(place) as (store, view):
        await store.add_account("a", URL, "org")
        await OutboxRows(store).accept([call("c1", "a"), call("c2", "a")])
        lease = await store.acquire(LANE._replace(name="outbox"), "me")
        assert lease is not None
        await OutboxRows(store).set_aside(lease, "c2", "no such user")
        (entry,) = await view.refused(url=URL)
        assert entry == ("c2", URL, "org", "publish_interaction", "s", 5.0, "no such user")
        assert await view.refused(url="http://elsewhere") == []
        assert await OutboxRows(store).count_orphans(URL, 100.0) == 0


async def test_without_a_store_the_error_says_how_to_get_one() -> None:
    async with AsyncReflexioClient(url_endpoint=URL) as client, AsyncReflectClient(base_url=URL) as reflect:
        for view in (client.store, reflect.store):
            for call in (view.jobs(), view.batches(), view.stats(), view.prune(1)):
                with pytest.raises(ConfigurationError, match="store="):
                    await call
