"""The client: its configuration, what it shares with a Reflexio client, and closing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from reflexio_async import (
    APIConnectionError,
    AsyncReflectClient,
    AsyncReflexioClient,
    ClientClosed,
    ConfigurationError,
    DrainSummary,
    JobLost,
    RequestEvent,
    RetryPolicy,
    TraceJob,
)
from reflexio_async.reflect import service
from reflexio_async.reflect.service import DEFAULT_URL
from reflexio_async.sandbox import Sandbox, VirtualClock
from reflexio_async.sandbox.reflect.settings import ReflectSettings
from tests.reflect.scene import scene
from tests.transport.servers import closed_port

URL = "http://127.0.0.1:1"
VARIABLES = ("REFLECT_API_URL", "REFLECT_API_KEY", "REFLECT_PROJECT_ID")


def configuration_of(client: AsyncReflectClient) -> tuple[str, str | None, str]:
    engine = client._engine
    header = engine.caller.credentials.header
    value = None if header is None else header.get_secret_value()
    return engine.settings.base_url, value, client._project_id


def reflexio(**options: Any) -> AsyncReflexioClient:
    return AsyncReflexioClient(url_endpoint=URL, **options)


# --- configuration


def test_the_default_server_is_on_this_machine() -> None:
    for client in (AsyncReflectClient(), reflexio().reflect):
        assert configuration_of(client) == (DEFAULT_URL, None, "default")


@pytest.mark.parametrize("option", ["alone", "shared"])
async def test_a_default_server_that_does_not_run_names_the_hosted_one(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "DEFAULT_URL", f"http://localhost:{closed_port()}")
    quick: dict[str, Any] = {"retry": RetryPolicy(max_attempts=1)}
    alone, owner = AsyncReflectClient(**quick), reflexio(**quick)
    async with alone, owner:
        with pytest.raises(APIConnectionError, match="is it running") as caught:
            await (alone if option == "alone" else owner.reflect).query_memories("t")
    assert "This is the default; the hosted server is https://api.starlight-search.com" in str(caught.value)


async def test_a_given_server_that_does_not_run_names_no_other() -> None:
    url = f"http://localhost:{closed_port()}"
    async with AsyncReflectClient(base_url=url, retry=RetryPolicy(max_attempts=1)) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.query_memories("t")
    assert "hosted" not in str(caught.value)
    assert "base_url or reflect_url, REFLECT_API_URL" in str(caught.value)


def test_the_environment_sets_server_key_and_project(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(VARIABLES, ("https://reflect.example/base/", " rf_1 ", "mine"), strict=True):
        monkeypatch.setenv(name, value)
    for client in (AsyncReflectClient(), reflexio().reflect):
        assert configuration_of(client) == ("https://reflect.example/base", "Bearer rf_1", "mine")


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(VARIABLES, ("https://reflect.example", "rf_1", "mine"), strict=True):
        monkeypatch.setenv(name, value)
    alone = AsyncReflectClient(base_url=URL, api_key="rf_2", project_id="other")
    shared = reflexio(reflect_url=URL, reflect_api_key="rf_2", project_id="other").reflect
    assert configuration_of(alone) == configuration_of(shared) == (URL, "Bearer rf_2", "other")


def test_blank_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "  ")
    assert configuration_of(AsyncReflectClient()) == (DEFAULT_URL, None, "default")


@pytest.mark.parametrize("project", ["", "  ", ".", "..", 3])
def test_an_unusable_project_is_refused(project: Any) -> None:
    with pytest.raises(ConfigurationError, match="project_id"):
        AsyncReflectClient(base_url=URL, project_id=project)
    with pytest.raises(ConfigurationError, match="project_id"):
        reflexio(project_id=project)
    with pytest.raises(ConfigurationError, match="project_id"):
        AsyncReflectClient(base_url=URL).with_project(project)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("base_url", "ftp://x"),
        ("base_url", 3),
        ("api_key", "https://x"),
        ("api_key", "a\nb"),
        ("timeout", 0),
        ("wait_timeout", -1),
        ("polls_per_second", 0),
        ("polls_per_second", "fast"),
        ("adaptive_polling", "yes"),
        ("max_connections", 0),
        ("user_agent", "curl/8"),
        ("on_request", 3),
        ("clock", 3),
    ],
)
def test_unusable_options_are_refused(option: str, value: Any) -> None:
    options: dict[str, Any] = {"base_url": URL, option: value}
    with pytest.raises(ConfigurationError, match=option):
        AsyncReflectClient(**options)


@pytest.mark.parametrize(("option", "value"), [("reflect_url", "ftp://x"), ("reflect_api_key", "https://x")])
def test_errors_of_the_reflexio_client_name_its_own_arguments(option: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=option):
        reflexio(**{option: value})


def test_the_repr_has_the_project_and_not_the_key() -> None:
    client = AsyncReflectClient(base_url=URL, api_key="rf_secret", project_id="mine")
    assert repr(client) == f"AsyncReflectClient({URL!r}, project_id='mine')"
    assert "rf_secret" not in repr(client._engine)


async def test_a_view_has_its_own_settings() -> None:
    events: list[RequestEvent] = []
    async with scene() as s:
        view = s.client.with_options(timeout=5, retry=RetryPolicy(max_attempts=1), on_request=events.append)
        await view.health()
        await s.client.health()
        assert [event.path for event in events] == ["/health"]
        assert (view._engine.settings.timeout, s.client._engine.settings.timeout) == (5, 60)
        assert view._engine.jobs is s.client._engine.jobs


# --- client.reflect


async def test_the_two_clients_share_connections_hooks_and_clock() -> None:
    clock = VirtualClock()
    events: list[RequestEvent] = []
    async with (
        Sandbox(clock=clock) as box,
        AsyncReflexioClient(
            url_endpoint=box.url,
            clock=clock,
            on_request=events.append,
            timeout=7,
            reflect_url=box.reflect_url,
            reflect_api_key=box.reflect_key,
        ) as client,
    ):
        await client.health()
        trace = await client.reflect.create_trace_and_wait(task="t", trajectory=[], review_result="pass")
        assert trace.created_memory_id is not None
        assert {event.path for event in events} >= {"/health", "/v1/projects/default/traces"}
        assert client.reflect is client.reflect
        assert client.reflect._pool is client._pool
        assert client.reflect._engine.caller.clock is clock
        assert client.reflect._engine.settings.timeout == 7


def test_reflect_of_a_view_has_the_options_of_the_view() -> None:
    client = reflexio(timeout=7)
    view = client.with_options(timeout=3)
    assert view.reflect._engine.settings.timeout == 3
    assert client.reflect._engine.settings.timeout == 7
    assert view.reflect._engine.jobs is client.reflect._engine.jobs


async def test_keys_are_not_shared() -> None:
    async with Sandbox(api_key="reflexio-key") as box:
        client = AsyncReflexioClient(
            "reflexio-key", box.url, reflect_url=box.reflect_url, reflect_api_key=box.reflect_key
        )
        async with client:
            await client.whoami()
            await client.reflect.list_traces()
        sent = {record.path: record.headers["Authorization"] for record in box.requests}
        assert sent == {
            "/api/whoami": "Bearer reflexio-key",
            "/v1/projects/default/traces": f"Bearer {box.reflect_key}",
        }


async def test_closing_client_reflect_does_not_close_the_client() -> None:
    async with (
        Sandbox() as box,
        AsyncReflexioClient(
            url_endpoint=box.url, reflect_url=box.reflect_url, reflect_api_key=box.reflect_key
        ) as client,
    ):
        async with client.reflect as reflect:
            await reflect.list_traces()
        assert await reflect.aclose() == DrainSummary()
        await client.health()
        assert await reflect.list_traces() == []


async def test_closing_the_client_closes_both() -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, reflect=ReflectSettings(ingest_seconds=100)) as box:
        client = AsyncReflexioClient(
            url_endpoint=box.url, clock=clock, reflect_url=box.reflect_url, reflect_api_key=box.reflect_key
        )
        job = await client.reflect.create_trace(task="t", trajectory=[])
        waiting = asyncio.create_task(job.result(wait_timeout=90))
        await clock.sleep(1)
        assert (await client.aclose()).complete
        with pytest.raises(JobLost):
            await waiting
        with pytest.raises(ClientClosed):
            await client.reflect.list_traces()
        with pytest.raises(ClientClosed):
            await client.reflect.wait_for_trace(job.id)


async def test_reflect_of_a_closed_client_is_closed() -> None:
    client = reflexio()
    await client.aclose()
    with pytest.raises(ClientClosed):
        await client.reflect.list_traces()
    with pytest.raises(ClientClosed):
        await client.reflect.wait_for_trace("t")


async def test_job_of_the_reflexio_client_takes_the_token_of_a_trace() -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock) as box:
        client = AsyncReflexioClient(
            url_endpoint=box.url, clock=clock, reflect_url=box.reflect_url, reflect_api_key=box.reflect_key
        )
        async with client:
            job = await client.reflect.create_trace(task="t", trajectory=[], review_result="pass")
            assert job.token is not None
            resumed = client.job(job.token)
            assert isinstance(resumed, TraceJob)
            assert (await resumed).created_memory_id is not None


# --- closing


async def test_calls_of_a_closed_client_raise_client_closed() -> None:
    client = AsyncReflectClient(base_url=URL)
    await client.aclose()
    for call in (client.health(), client.wait_for_trace("t"), client.create_trace(task="t", trajectory=[])):
        with pytest.raises(ClientClosed):
            await call


async def test_closing_does_not_wait_for_traces() -> None:
    async with scene(ingest_seconds=10) as s:
        async with AsyncReflectClient(
            base_url=s.box.reflect_url, api_key=s.box.reflect_key, project_id="default", clock=s.clock
        ) as client:
            job = await client.create_trace(task="t", trajectory=[])
        assert s.clock.now() < 1
        assert (await s.client.wait_for_trace(job.id)).task == "t"
