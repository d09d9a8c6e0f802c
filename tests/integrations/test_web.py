"""The lifespan, the dependency, readiness and the events of a job, on Starlette and FastAPI."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from reflexio_async import AsyncReflexioClient, ConfigurationError, ReflexioError
from reflexio_async.integrations import starlette
from reflexio_async.integrations.fastapi import Client, client_of, job_events, lifespan, ready
from reflexio_async.testing import Sandbox
from tests.hang import A_HANG, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from starlette.types import Receive, Scope, Send


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with Sandbox(rerun_seconds=0.3) as box:
        box.seed("ana", "I like sushi")
        yield box


@asynccontextmanager
async def running(app: Starlette) -> AsyncGenerator[tuple[httpx.AsyncClient, HTTPConnection]]:
    """A browser for ``app``, and a connection to it."""
    async with app.router.lifespan_context(app) as given:
        state = dict(given or {})

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(served)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as browser:
            yield browser, HTTPConnection({"type": "http", "state": state, "headers": []})


def app_for(url: str) -> FastAPI:
    app = FastAPI(lifespan=lifespan(lambda: AsyncReflexioClient(url_endpoint=url)))
    app.add_api_route("/ready", ready)

    @app.get("/org")
    async def org(client: Client) -> str | None:
        return (await client.whoami()).org_id

    return app


async def test_a_handler_of_fastapi_gets_the_client(box: Sandbox) -> None:
    async with running(app_for(box.url)) as (browser, connection):
        expected = (await client_of(connection).whoami()).org_id
        assert expected
        assert (await browser.get("/org")).json() == expected


async def test_the_client_is_closed_with_the_application_and_its_outbox_is_sent(box: Sandbox) -> None:
    async with running(app_for(box.url)) as (_, connection):
        client = client_of(connection)
        await client.publish_later("ana", [{"role": "user", "content": "I like tea"}], session_id="s")
    assert [each.interactions[0].content for each in box.stored_requests.values()][-1] == "I like tea"
    with pytest.raises(ReflexioError, match="closed"):
        await client.whoami()


async def test_a_lifespan_of_ones_own_passes_the_state_on(box: Sandbox) -> None:
    reflexio = lifespan(lambda: AsyncReflexioClient(url_endpoint=box.url))

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncGenerator[Mapping[str, Any]]:
        async with reflexio(app) as state:
            yield {**state, "mine": 1}

    async with running(FastAPI(lifespan=own)) as (_, connection):
        assert connection.state.mine == 1
        assert client_of(connection).base_url == box.url


async def test_an_application_without_the_lifespan_is_an_error_that_says_so() -> None:
    async with running(Starlette()) as (_, connection):
        with pytest.raises(ConfigurationError, match=r"lifespan=lifespan\(\)"):
            client_of(connection)


async def test_an_application_is_ready_while_the_server_answers(box: Sandbox) -> None:
    async with running(app_for(box.url)) as (browser, _):
        response = await browser.get("/ready")
        assert (response.status_code, response.json()) == (200, {"ready": True})
        await box.stop()
        response = await browser.get("/ready")
        assert (response.status_code, response.json()["ready"]) == (503, False)
        assert box.url not in response.text


async def test_an_application_that_is_told_to_stop_is_not_ready(box: Sandbox) -> None:
    async with running(app_for(box.url)) as (browser, connection):
        connection.state.reflexio.closing.set()
        assert (await browser.get("/ready")).json() == {"ready": False, "reason": "closing"}


async def events_of(response: Any) -> list[tuple[str, Any]]:
    text = "".join([chunk async for chunk in response.body_iterator])
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("event")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


async def test_the_events_of_a_job_end_with_it(box: Sandbox) -> None:
    async with running(app_for(box.url)) as (_, connection):
        job = await client_of(connection).rerun_profile_generation(user_id="ana")
        *changes, (last, data) = await events_of(job_events(job, connection))
        assert changes
        assert {name for name, _ in changes} == {"status"}
        assert {status["state"] for _, status in changes} <= {"queued", "running"}
        assert (last, data["state"], data["error"]) == ("end", "completed", None)


async def test_a_job_that_failed_ends_with_its_error(box: Sandbox) -> None:
    async with running(app_for(box.url)) as (_, connection):
        job = await client_of(connection).rerun_profile_generation(user_id="nobody")
        last, data = (await events_of(job_events(job, connection)))[-1]
        assert (last, data["state"]) == ("end", "failed")
        assert data["error"]


async def test_events_that_cannot_be_read_end_with_a_failure(box: Sandbox) -> None:
    async with running(app_for(box.url)) as (_, connection):
        job = await client_of(connection).rerun_profile_generation(user_id="ana")
        await client_of(connection).aclose(drain=False)
        assert [name for name, _ in await events_of(job_events(job, connection))][-1] == "failure"


async def test_a_signal_ends_the_events_and_reaches_the_handler_of_the_server() -> None:
    received: list[int] = []

    def handle(number: int, _frame: object) -> None:
        received.append(number)

    before = signal.signal(signal.SIGTERM, handle)
    try:
        async with Sandbox(rerun_seconds=60) as box, running(app_for(box.url)) as (_, connection):
            box.seed("ana", "I like sushi")
            job = await client_of(connection).rerun_profile_generation(user_id="ana")
            reading = asyncio.create_task(events_of(job_events(job, connection)))
            await asyncio.sleep(0.05)
            signal.raise_signal(signal.SIGTERM)
            async with asyncio.timeout(A_HANG):
                events = await reading
            assert {name for name, _ in events} <= {"status"}
        assert received == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is handle
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_a_stream_in_which_nothing_happens_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starlette, "_KEEP_ALIVE", 0.01)
    async with Sandbox(rerun_seconds=60) as box, running(app_for(box.url)) as (_, connection):
        box.seed("ana", "I like sushi")
        job = await client_of(connection).rerun_profile_generation(user_id="ana")
        chunks = aiter(job_events(job, connection).body_iterator)
        async with asyncio.timeout(A_HANG):
            while await anext(chunks) != ": keep alive\n\n":
                pass


async def test_a_reader_that_leaves_leaves_no_task_behind() -> None:
    async with Sandbox(rerun_seconds=60) as box, running(app_for(box.url)) as (_, connection):
        box.seed("ana", "I like sushi")
        job = await client_of(connection).rerun_profile_generation(user_id="ana")
        before = asyncio.all_tasks()
        reading = asyncio.create_task(events_of(job_events(job, connection)))
        await until(lambda: len(asyncio.all_tasks()) > len(before) + 1)
        reading.cancel()
        await asyncio.wait([reading])
        await asyncio.sleep(0)
        assert asyncio.all_tasks() - before == set()
