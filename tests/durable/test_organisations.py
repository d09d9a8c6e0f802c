"""Several organisations of one server share a store: each has its own outbox."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import SecretStr

from reflexio_async import AsyncReflexioClient, InvalidRequest, UnprocessableRequest
from reflexio_async._engine.clock import SystemClock
from reflexio_async.durable import delivery
from reflexio_async.durable.accounts import Accounts, account_of
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.durable.store import Store
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.hang import A_HANG
from tests.reflect.scene import MESSAGES
from tests.scene import PUBLISH
from tests.transport.servers import closed_port

if TYPE_CHECKING:
    from pathlib import Path

    from reflexio_async._engine.auth import Credentials

TURN = {"role": "user", "content": "I like tea"}
WHOAMI = "/api/whoami"


def of(box: Sandbox, folder: Path, key: str = "", **options: Any) -> AsyncReflexioClient:
    """A client of the organisation that ``key`` begins with."""
    client = AsyncReflexioClient(key, box.url, store=folder / "r.db", **options)

    async def ask() -> str:
        return key.partition("-")[0]

    client._engine.durable.accounts._ask = ask  # type: ignore[union-attr]
    return client


async def refused(client: AsyncReflexioClient, box: Sandbox, request_id: str) -> None:
    """Publish what the server refuses."""
    box.faults.add(faults.status(422), method="POST", path=PUBLISH, times=1)
    with pytest.raises(UnprocessableRequest):
        await (await client.publish_later("u", [TURN], session_id="s", request_id=request_id))


async def ids(client: AsyncReflexioClient) -> list[str]:
    return [row.id for row in await client.outbox.refused()]


async def test_stats_and_refused_calls_are_those_of_the_own_organisation(tmp_path: Path) -> None:
    async with Sandbox() as box, of(box, tmp_path, "one-a") as one, of(box, tmp_path, "two-a") as two:
        await refused(one, box, "r1")
        await refused(two, box, "r2")
        await refused(two, box, "r3")
        assert (await ids(one), await ids(two)) == (["r1"], ["r2", "r3"])
        assert [(await client.outbox.stats()).set_aside for client in (one, two)] == [1, 2]


async def test_refused_calls_of_another_organisation_are_not_sent_again(tmp_path: Path) -> None:
    async with Sandbox() as box, of(box, tmp_path, "one-a") as one, of(box, tmp_path, "two-a") as two:
        await refused(one, box, "r1")
        await refused(two, box, "r2")
        assert await one.outbox.retry_refused() == 1
        await one.outbox.drained()
        assert list(box.stored_requests) == ["r1"]
        assert (await ids(one), await ids(two)) == ([], ["r2"])


async def test_two_keys_of_one_organisation_share_its_outbox(tmp_path: Path) -> None:
    async with Sandbox() as box:
        async with of(box, tmp_path, "one-a") as client:
            await refused(client, box, "r1")
        async with of(box, tmp_path, "one-b") as client:
            assert await client.outbox.retry_refused() == 1
            await client.outbox.drained()
        assert list(box.stored_requests) == ["r1"]


async def test_the_outbox_of_one_organisation_may_be_full_while_another_is_not(tmp_path: Path) -> None:
    async with Sandbox() as box:
        box.faults.add(faults.lost_before(), times=None)
        one, two = [of(box, tmp_path, key, drain_timeout=0.1) for key in ("one-a", "two-a")]
        one.outbox.max_rows = two.outbox.max_rows = 1
        await one.publish_later("u", [TURN], session_id="s")
        async with asyncio.timeout(A_HANG):
            await two.publish_later("u", [TURN], session_id="s")
        await one.aclose()
        await two.aclose()


# One name in two organisations


async def test_a_request_id_that_waits_for_another_organisation_is_refused(tmp_path: Path) -> None:
    async with Sandbox() as box, of(box, tmp_path, "one-a") as one, of(box, tmp_path, "two-a") as two:
        box.faults.add(faults.lost_before(), path=PUBLISH, times=None)
        await one.publish_later("ana", [TURN], session_id="s", request_id="m1")
        with pytest.raises(InvalidRequest, match="another organisation"):
            await two.publish_later("bo", [TURN], session_id="s", request_id="m1")
        box.faults.clear()


async def test_a_request_id_that_waits_for_another_key_of_the_organisation_is_the_same_call(
    tmp_path: Path,
) -> None:
    async with Sandbox() as box, of(box, tmp_path, "one-a") as one, of(box, tmp_path, "one-b") as again:
        box.faults.add(faults.lost_before(), path=PUBLISH, times=None)
        await one.outbox.organisation()
        await one.publish_later("ana", [TURN], session_id="s", request_id="m1")
        await again.publish_later("ana", [TURN], session_id="s", request_id="m1")
        assert (await again.outbox.stats()).waiting == 1
        box.faults.clear()


async def test_a_request_id_that_waits_for_another_server_is_refused(tmp_path: Path) -> None:
    async with Sandbox() as box, Sandbox() as other:
        box.faults.add(faults.lost_before(), path=PUBLISH, times=None)
        async with of(box, tmp_path) as one, of(other, tmp_path) as two:
            await one.publish_later("ana", [TURN], session_id="s", request_id="m1")
            with pytest.raises(InvalidRequest, match="another server"):
                await two.publish_later("bo", [TURN], session_id="s", request_id="m1")
            box.faults.clear()


async def test_a_publish_that_is_accepted_twice_counts_once(tmp_path: Path) -> None:
    async with Sandbox() as box, of(box, tmp_path) as client:
        box.faults.add(faults.lost_before(), path=PUBLISH, times=None)
        for _ in range(3):
            await client.publish_later("ana", [TURN], session_id="s", request_id="m1")
        assert client.outbox.size == 1
        box.faults.clear()


async def test_a_batch_id_of_another_organisation_is_refused(tmp_path: Path) -> None:
    async with Sandbox() as box, of(box, tmp_path, "one-a") as one, of(box, tmp_path, "two-a") as two:
        box.seed("ana")
        await one.rerun_profiles_many(["ana"], batch_id="2026-12")
        with pytest.raises(InvalidRequest, match="another organisation"):
            await two.rerun_profiles_many(["ana"], batch_id="2026-12")


async def test_a_batch_goes_on_with_another_key_of_the_organisation(tmp_path: Path) -> None:
    async with Sandbox() as box:
        box.seed("ana")
        box.seed("bo")
        async with of(box, tmp_path, "one-a") as client:
            await client.rerun_profiles_many(["ana"], batch_id="2026-12")
        async with of(box, tmp_path, "one-b") as client:
            report = await client.rerun_profiles_many(["ana", "bo"], batch_id="2026-12")
        assert report.counts() == {"completed": 2}
        assert [operation.params["user_id"] for operation in box.operations()] == ["ana", "bo"]


# Learning the organisation


async def test_a_login_while_the_organisation_is_asked_for_does_not_mix_them_up(tmp_path: Path) -> None:
    async with Sandbox(logins={"a@b.c": "one", "d@e.f": "two"}) as box:
        client = of(box, tmp_path)
        assert client._engine.durable is not None
        accounts = client._engine.durable.accounts
        organisation, asked, answer = "one", asyncio.Event(), asyncio.Event()

        async def ask() -> str:
            found = organisation
            asked.set()
            await answer.wait()
            return found

        accounts._ask = ask
        async with client:
            await client.login("a@b.c", "one")
            first = account_of(client._engine.caller.credentials.header)
            asking = asyncio.create_task(client.outbox.organisation())
            await asked.wait()
            organisation = "two"
            await client.login("d@e.f", "two")
            answer.set()
            assert await asking == "two"
            found = await client.store.accounts()
            assert {entry.id: entry.organisation for entry in found}.get(first) is None
            assert await client.outbox.organisation() == "two"


async def test_a_token_that_was_renewed_before_the_organisation_was_learned_is_known_by_its_login(
    tmp_path: Path,
) -> None:
    async with (
        Sandbox(logins={"a@b.c": "one"}) as box,
        AsyncReflexioClient(url_endpoint=box.url, store=tmp_path / "r.db") as client,
    ):
        await client.login("a@b.c", "one")
        box.faults.add(faults.lost_before(), path=WHOAMI, times=None)
        await client.publish_later("u", [TURN], session_id="s", request_id="r1")
        await box.arrived("GET", WHOAMI)
        box.revoke_tokens()
        await client.search(query="tea", user_id="u")  # renews the token
        box.faults.clear()
        await client.outbox.drained()
        assert list(box.stored_requests) == ["r1"]


class Renewed:
    """Credentials whose token is renewed."""

    def __init__(self) -> None:
        self.login = 0
        self.header = SecretStr("first")
        self.on_login: list[Any] = []


async def test_tokens_of_one_login_are_of_one_organisation_whichever_was_learned(tmp_path: Path) -> None:
    url, credentials = "http://server", Renewed()
    store = Store(SQLiteDatabase(str(tmp_path / "r.db")), SystemClock())
    await store.open()
    accounts = Accounts(cast("Credentials", credentials), url)
    first = accounts.current()
    credentials.header = SecretStr("second")
    await store.add_account(first, url, None)
    await store.add_account(accounts.current(), url, "org")  # by another process
    assert await accounts.organisation(store) == "org"
    assert await store.organisation(first, url) == "org"
    await store.aclose()


async def test_a_page_that_is_not_found_in_place_of_the_server_tells_no_organisation(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with (
        Sandbox(clock=clock) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock, store=tmp_path / "r.db") as client,
    ):
        box.faults.add(faults.html(404), path=WHOAMI, times=3)
        await (await client.publish_later("u", [TURN], session_id="s"))
        assert await client.outbox.organisation() == "self-host-org"


async def test_a_client_says_what_waits_for_a_key_that_was_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock) as box:
        box.faults.add(faults.lost_before(), times=None)
        client = AsyncReflexioClient("old", box.url, store=tmp_path / "r.db", clock=clock, drain_timeout=1)
        await client.publish_later("u", [TURN], session_id="s")
        await client.aclose()
        await clock.sleep(120)
        box.faults.clear()
        async with of(box, tmp_path, "new", clock=clock) as client:
            await client.outbox.drained()
            assert "1 calls to" in caplog.text
            assert "key" in caplog.text
            stats = await client.store.stats()
            assert (stats.outbox_waiting, stats.without_organisation) == (1, 1)


async def test_the_file_holds_no_key(tmp_path: Path) -> None:
    async with Sandbox() as box, of(box, tmp_path, "secret-of-mine") as client:
        await (await client.publish_later("u", [TURN], session_id="s"))
        contents = [file.read_bytes() for file in tmp_path.iterdir()]  # noqa: ASYNC240  # they are small
        assert not any(b"secret-of-mine" in content for content in contents)


# What stays in the store when a client is closed


async def test_publishes_and_traces_that_stay_in_the_store_are_counted_when_the_client_is_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with Sandbox() as box:
        box.faults.add(faults.lost_before(), times=None)
        servers = {"reflect_url": f"http://127.0.0.1:{closed_port()}", "reflect_api_key": box.reflect_key}
        client = of(box, tmp_path, "one-a", drain_timeout=0.1, **servers)
        await client.publish_later("u", [TURN], session_id="s")
        await client.publish_later("u", [TURN], session_id="s")
        await client.reflect.create_trace_later(task="book a table", trajectory=MESSAGES)
        summary = await client.aclose()
        assert (summary.stored_publishes, summary.stored_traces, summary.stored_jobs) == (2, 1, 0)
        assert summary.complete
        assert "2 publishes wait in the store; 1 traces wait in the store" in caplog.text


async def test_what_waits_for_another_organisation_is_not_counted_when_a_client_is_closed(
    tmp_path: Path,
) -> None:
    async with Sandbox() as box:
        box.faults.add(faults.lost_before(), times=None)
        one, two = [of(box, tmp_path, key, drain_timeout=0.1) for key in ("one-a", "two-a")]
        await one.publish_later("u", [TURN], session_id="s")
        await two.publish_later("u", [TURN], session_id="s")
        assert [(await client.aclose()).stored_publishes for client in (one, two)] == [1, 1]


# Pauses after an error


async def test_a_new_publish_shortens_the_pause_after_an_error(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with (
        Sandbox(clock=clock) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock, store=tmp_path / "r.db") as client,
    ):
        box.faults.add(faults.lost_before(), times=None)
        await client.publish_later("u", [TURN], session_id="s", request_id="r1")
        await clock.sleep(600)
        box.faults.clear()
        began = clock.now()
        await (await client.publish_later("u", [TURN], session_id="s", request_id="r2"))
        assert clock.now() - began <= delivery._HURRIED_PAUSE + 1


async def test_a_login_shortens_the_pause_after_an_error() -> None:
    clock = VirtualClock()
    async with (
        Sandbox(clock=clock, logins={"a@b.c": "one"}) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client,
    ):
        call = await client.publish_later("u", [TURN], session_id="s")
        await clock.sleep(600)  # without a credential the server refuses it
        assert not call.done()
        began = clock.now()
        await client.login("a@b.c", "one")
        await call
        assert clock.now() - began <= delivery._HURRIED_PAUSE + 1


async def test_the_next_process_knows_the_rate_limit_of_publishes(tmp_path: Path) -> None:
    clock = VirtualClock()
    refused: list[int] = []
    async with Sandbox(clock=clock, rate_limits=True) as box:
        for process in range(3):
            options: dict[str, Any] = {"clock": clock, "store": tmp_path / "r.db", "drain_timeout": 1e6}
            async with AsyncReflexioClient(url_endpoint=box.url, **options) as client:
                for number in range(70):
                    turn = {"role": "user", "content": f"{process} {number}"}
                    await client.publish_later("u", [turn], session_id=f"s{number % 9}")
            refused.append(box.count("POST", PUBLISH, 429))
        assert len(box.stored_requests) == 210
        assert refused[0] > 0
        assert refused == [refused[0]] * 3
