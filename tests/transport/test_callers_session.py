"""A client on the caller's own ``aiohttp.ClientSession``: it is used as it is, and left open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from reflexio_async import (
    APIConnectionError,
    APITimeout,
    AsyncReflectClient,
    AsyncReflexioClient,
    ConfigurationError,
    NotFound,
    RetryPolicy,
    UnexpectedResponse,
)
from reflexio_async._engine.models import Empty
from reflexio_async._engine.wire import Endpoint, encode
from reflexio_async.reflexio.models.identity import WhoamiResponse
from reflexio_async.sandbox import Sandbox
from tests.transport.certificates import Authority
from tests.transport.forward_proxy import forward_proxy
from tests.transport.held_clock import HeldClock
from tests.transport.servers import (
    HANG_UP,
    TURNS,
    WHOAMI,
    RawReply,
    ReceivedRequest,
    closed_port,
    raw_server,
    reply_with,
    sequence,
)

if TYPE_CHECKING:
    from types import SimpleNamespace

ONCE = RetryPolicy(max_attempts=1)


async def send(client: AsyncReflexioClient, method: str) -> WhoamiResponse:
    endpoint = Endpoint(method, "/x", WhoamiResponse)
    return await client._engine.caller.send(endpoint, encode(endpoint, Empty()), client._engine.settings)


# --- whose it is


async def test_the_session_is_used_and_not_closed() -> None:
    async with raw_server(sequence(then=reply_with(WHOAMI))) as server, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with AsyncReflexioClient("t", server.url, session=session) as client:
                await client.whoami()
        assert not session.closed
        async with session.get(server.url) as response:
            await response.read()
        assert server.connections == 1
    assert [request.headers.get("authorization") for request in server.arrived] == [
        "Bearer t",
        "Bearer t",
        None,
    ]


async def test_two_clients_may_share_a_session() -> None:
    async with Sandbox() as box, aiohttp.ClientSession() as session:
        async with (
            AsyncReflexioClient(url_endpoint=box.url, session=session) as client,
            AsyncReflectClient(base_url=box.reflect_url, api_key=box.reflect_key, session=session) as reflect,
        ):
            await client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
            await reflect.query_memories(task="x")
        assert not session.closed


async def test_the_sessions_own_headers_cookies_and_traces_are_used() -> None:
    started: list[str] = []

    async def on_start(_s: Any, _c: SimpleNamespace, params: aiohttp.TraceRequestStartParams) -> None:
        started.append(params.method)

    traces = aiohttp.TraceConfig()
    traces.on_request_start.append(on_start)
    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        aiohttp.ClientSession(
            headers={"X-Team": "blue", "User-Agent": "theirs"}, cookies={"a": "1"}, trace_configs=[traces]
        ) as session,
        AsyncReflexioClient(url_endpoint=server.url, session=session) as client,
    ):
        await client.whoami()
    [request] = server.arrived
    assert (request.headers["x-team"], request.headers["cookie"]) == ("blue", "a=1")
    assert request.headers["user-agent"].startswith("reflexio-async/")
    assert started == ["GET"]


async def test_the_sessions_middlewares_are_run() -> None:
    async def sign(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        request.headers["X-Signed"] = "yes"
        response: aiohttp.ClientResponse = await handler(request)
        return response

    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        aiohttp.ClientSession(middlewares=[sign]) as session,
        AsyncReflexioClient(url_endpoint=server.url, session=session) as client,
    ):
        await client.whoami()
    assert server.arrived[0].headers["x-signed"] == "yes"


async def test_a_session_with_a_base_url_reaches_the_clients_server() -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        aiohttp.ClientSession("http://elsewhere.invalid/api/") as session,
        AsyncReflexioClient(url_endpoint=server.url, session=session) as client,
    ):
        assert (await client.whoami()).org_id == "org"


async def test_max_connections_bounds_the_requests_over_it() -> None:
    most = 0

    def script(_: ReceivedRequest) -> RawReply:
        nonlocal most
        most = max(most, server.open)
        return reply_with(WHOAMI)

    async with (
        raw_server(script) as server,
        aiohttp.ClientSession() as session,
        AsyncReflexioClient(url_endpoint=server.url, session=session, max_connections=2) as client,
    ):
        await asyncio.gather(*(client.whoami() for _ in range(20)))
    assert most == 2


# --- the client's own rules hold on it


async def test_a_redirect_is_an_error() -> None:
    async with (
        raw_server(sequence(then=reply_with(b"", 307, headers={"Location": "/elsewhere"}))) as server,
        aiohttp.ClientSession() as session,
        AsyncReflexioClient(url_endpoint=server.url, session=session) as client,
    ):
        with pytest.raises(UnexpectedResponse, match="redirect"):
            await client.whoami()
    assert len(server.arrived) == 1


async def test_a_session_that_raises_for_status_does_not_hide_what_the_server_said() -> None:
    async with (
        raw_server(sequence(then=reply_with({"detail": "no such thing"}, 404))) as server,
        aiohttp.ClientSession(raise_for_status=True) as session,
        AsyncReflexioClient(url_endpoint=server.url, session=session) as client,
    ):
        with pytest.raises(NotFound, match="no such thing"):
            await client.whoami()


async def test_the_timeout_of_the_call_holds_and_not_the_sessions() -> None:
    clock = HeldClock()
    async with (
        raw_server(sequence(None, None, then=reply_with(WHOAMI))) as server,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.05)) as session,
        AsyncReflexioClient(url_endpoint=server.url, session=session, timeout=0.2, clock=clock) as client,
    ):
        call = asyncio.create_task(client.upgrade_profiles())
        await server.until_arrived()
        await asyncio.sleep(0.1)  # longer than the session's
        clock.expire()
        with pytest.raises(APITimeout, match=r"waited 0\.2 s for a response") as caught:
            await call
    assert caught.value.outcome_unknown


async def test_connect_timeout_bounds_connecting() -> None:
    async with (
        raw_server(sequence()) as server,
        aiohttp.ClientSession() as session,
        AsyncReflexioClient(
            url_endpoint=server.url.replace("http", "https"), session=session, connect_timeout=0.1, retry=ONCE
        ) as client,
    ):
        with pytest.raises(APITimeout, match=r"connect_timeout=0\.1 s") as caught:
            await client.upgrade_profiles()
    assert not caught.value.outcome_unknown


async def test_the_cap_on_responses_holds() -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI | {"message": "x" * 5000}, chunked=True))) as server,
        aiohttp.ClientSession() as session,
        AsyncReflexioClient(url_endpoint=server.url, session=session, max_response_bytes=1000) as client,
    ):
        with pytest.raises(UnexpectedResponse, match="max_response_bytes=1000"):
            await client.whoami()


# --- proxy and TLS go with each request


async def test_the_options_proxy_and_ssl_are_used_on_it() -> None:
    authority = Authority()
    async with (
        raw_server(sequence(then=reply_with(WHOAMI)), tls=authority.server()) as server,
        forward_proxy(server.url) as proxy,
        aiohttp.ClientSession() as session,
        AsyncReflexioClient(
            url_endpoint="https://memory.internal",
            session=session,
            proxy=proxy.url,
            ssl=authority.client(),
            retry=ONCE,
        ) as client,
    ):
        assert (await client.whoami()).org_id == "org"
    assert proxy.asked == ["CONNECT memory.internal:443"]


async def test_the_sessions_own_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment does not overrule it."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        forward_proxy(server.url) as proxy,
        aiohttp.ClientSession(proxy=proxy.url) as session,
        AsyncReflexioClient(url_endpoint="http://memory.internal", session=session, retry=ONCE) as client,
    ):
        assert (await client.whoami()).org_id == "org"
    assert proxy.asked == ["GET http://memory.internal/api/whoami"]


# --- what is known when a connection breaks


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_that_is_not_there_has_been_sent_nothing(method: str) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    async with (
        aiohttp.ClientSession() as session,
        AsyncReflexioClient(url_endpoint=url, session=session, retry=ONCE) as client,
    ):
        with pytest.raises(APIConnectionError, match="cannot connect") as caught:
            await send(client, method)
    assert not caught.value.outcome_unknown


async def test_a_dead_pooled_connection_leaves_the_outcome_of_a_post_unknown() -> None:
    async with (
        raw_server(sequence(reply_with(WHOAMI), then=HANG_UP)) as server,
        aiohttp.ClientSession() as session,
        AsyncReflexioClient(url_endpoint=server.url, session=session) as client,
    ):
        await client.whoami()
        with pytest.raises(APIConnectionError) as caught:
            await client.upgrade_profiles()
    assert caught.value.outcome_unknown
    assert caught.value.attempts == 1
    assert server.counts == {"GET /api/whoami": 1, "POST /api/upgrade_all_profiles": 1}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_what_aiohttp_may_have_sent_before_is_not_said_to_be_unsent(method: str) -> None:
    """It went out on a connection that died, and then again to a server that was gone by then."""

    def script(request: ReceivedRequest) -> RawReply:
        if request.target == "/x":
            server.stop_listening()
            return HANG_UP
        return reply_with(WHOAMI)

    async with (
        raw_server(script) as server,
        aiohttp.ClientSession() as session,
        AsyncReflexioClient(url_endpoint=server.url, session=session, retry=ONCE) as client,
    ):
        await client.whoami()
        with pytest.raises(APIConnectionError, match="cannot connect") as caught:
            await send(client, method)
    assert server.counts[f"{method} /x"] == 1
    assert caught.value.outcome_unknown


# --- a session that cannot be used


async def test_a_closed_session_is_a_configuration_error() -> None:
    session = aiohttp.ClientSession()
    await session.close()
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:1", session=session) as client:
        with pytest.raises(ConfigurationError, match="session that was given to this client is closed"):
            await client.whoami()


async def test_a_session_that_is_closed_under_a_call_ends_it_with_an_error_of_ours() -> None:
    session = aiohttp.ClientSession()
    async with (
        raw_server(sequence()) as server,
        AsyncReflexioClient(url_endpoint=server.url, session=session, max_connections=1) as client,
    ):
        calls = [asyncio.ensure_future(client.upgrade_profiles()) for _ in range(2)]
        await server.until_arrived()
        await session.close()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [APIConnectionError, ConfigurationError]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # newer versions of aiohttp want a header
async def test_a_session_with_credentials_of_its_own_is_a_configuration_error() -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        aiohttp.ClientSession(auth=aiohttp.BasicAuth("ana", "SECRET")) as session,
        AsyncReflexioClient("t", server.url, session=session) as client,
    ):
        with pytest.raises(ConfigurationError, match="adds credentials to those of the client") as caught:
            await client.whoami()
    assert "SECRET" not in repr(caught.value)
    assert server.arrived == []
