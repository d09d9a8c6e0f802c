"""A worker drives what clients put into a store in Postgres."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from procrastinate import App, PsycopgConnector

from reflexio_async import AsyncReflexioClient, ConfigurationError
from reflexio_async import worker as module
from reflexio_async.durable import waker
from reflexio_async.sandbox import faults
from reflexio_async.testing import Sandbox
from reflexio_async.worker import Organisation, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from reflexio_async import OutboxCall

TURN = {"role": "user", "content": "I like sushi"}


class Play(NamedTuple):
    box: Sandbox
    client: AsyncReflexioClient
    store: str


@asynccontextmanager
async def playing(store: str, **options: Any) -> AsyncGenerator[Play]:
    """A sandbox, and a client that leaves the work to workers."""
    async with (
        Sandbox(**options) as box,
        AsyncReflexioClient(options.get("api_key") or "", box.url, store=store) as client,
    ):
        yield Play(box, client, store)


@asynccontextmanager
async def working(worker: Worker) -> AsyncGenerator[Worker]:
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.wait([task])


def worker_for(play: Play, api_key: str = "", **options: Any) -> Worker:
    return Worker(play.store, {"acme": Organisation(play.box.url, api_key)}, **options)


async def publish(play: Play, session: str = "s") -> OutboxCall[Any]:
    return await play.client.publish_later("ana", [TURN], session_id=session)


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # conditions of several objects
            await asyncio.sleep(0.02)


async def test_a_client_leaves_its_calls_to_a_worker(postgres_url: str) -> None:
    async with playing(postgres_url) as play:
        call = await publish(play)
        await asyncio.sleep(0.2)
        assert not play.box.stored_requests
        async with working(worker_for(play)):
            await call
        assert list(play.box.stored_requests) == [call.request_id]


async def test_a_worker_that_waits_is_woken_at_once(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_POLL", 60.0)
    async with playing(postgres_url) as play, working(worker_for(play)):
        await asyncio.sleep(0.5)
        await (await publish(play))


async def test_rows_without_a_key_wait_and_are_reported_once(
    postgres_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_UNKNOWN_AGAIN", 0.1)
    async with playing(postgres_url, api_key="secret") as play:
        with caplog.at_level(logging.WARNING, "reflexio_async"):
            async with working(Worker(postgres_url)) as other:
                await publish(play)
                await until(lambda: other.stats().without_key)
                await asyncio.sleep(2.5)
        assert sum("this worker has no key for it" in record.message for record in caplog.records) == 1
        assert (await play.client.outbox.stats()).waiting == 1


async def test_keys_are_asked_for_by_address_and_organisation(postgres_url: str) -> None:
    asked: list[tuple[str, str]] = []

    async def credentials(url: str, org: str) -> str:
        asked.append((url, org))
        return "secret"

    async with playing(postgres_url, api_key="secret") as play:
        org = (await play.client.whoami()).org_id
        async with working(Worker(postgres_url, credentials=credentials)):
            await (await publish(play))
        assert asked == [(play.box.url, org)]


async def test_a_worker_learns_the_organisation_of_rows_whose_client_could_not(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown(_: object) -> str:
        await asyncio.sleep(3600)
        return ""

    async with playing(postgres_url, api_key="secret") as play:
        monkeypatch.setattr(play.client.outbox, "_ask_organisation", unknown)
        monkeypatch.setattr(waker, "_AT_ONCE", 0.0)
        call = await publish(play)
        async with working(worker_for(play, "secret")):
            await call


async def test_a_worker_that_is_stopped_leaves_its_lanes_to_others(postgres_url: str) -> None:
    async with playing(postgres_url) as play:
        play.box.faults.add(faults.internal_error(), method="POST", path="/api/publish_interaction", times=3)
        call = await publish(play)
        async with working(worker_for(play)) as worker:
            await until(lambda: worker.stats().driving)
        assert worker.stats().driving == ()
        async with working(worker_for(play)):
            await call


async def test_the_blueprint_works_in_an_app_of_the_user(postgres_url: str) -> None:
    async with playing(postgres_url) as play:
        call = await publish(play)
        app = App(connector=PsycopgConnector(conninfo=postgres_url))
        worker = worker_for(play)
        app.add_tasks_from(worker.blueprint, namespace="reflexio_async")
        async with app.open_async(), worker:
            await app.schema_manager.apply_schema_async()
            task = asyncio.create_task(app.run_worker_async(install_signal_handlers=False))
            await call
            task.cancel()
            await asyncio.wait([task])


def test_a_file_needs_no_worker() -> None:
    with pytest.raises(ConfigurationError, match="every client drives its jobs itself"):
        Worker("reflexio.db")


def test_the_key_of_an_organisation_is_not_shown() -> None:
    assert "secret" not in repr(Organisation("http://server", "secret", "http://reflect", "secret"))
