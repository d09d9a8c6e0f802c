"""Connections: when they fail, whether bytes may have left, and when they are used again."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from reflexio_async import APIConnectionError, APITimeout, AsyncReflexioClient, RetryPolicy
from reflexio_async._engine import http
from reflexio_async._engine.models import Empty
from reflexio_async._engine.wire import Endpoint, encode
from reflexio_async.reflexio.models.identity import WhoamiResponse
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.hang import A_HANG, until
from tests.transport.held_clock import HeldClock
from tests.transport.servers import (
    HANG_UP,
    TURNS,
    WHOAMI,
    RawReply,
    ReceivedRequest,
    closed_port,
    crash,
    loop_errors_ignored,
    raw_server,
    reply_with,
    sequence,
)

ONCE = RetryPolicy(max_attempts=1)
SERVER_CLOSES_IDLE_AFTER = 5.0  # server-behaviour: Connections


PATH = "/api/get_profiles"


# --- nothing was sent


async def test_after_a_refused_connection_the_outcome_is_known(clock: VirtualClock) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    async with AsyncReflexioClient(url_endpoint=url, clock=clock) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.whoami()
    assert not caught.value.outcome_unknown
    assert caught.value.attempts == 5
    assert "cannot connect" in str(caught.value)
    assert url in str(caught.value)


async def test_a_refused_connection_names_the_option_of_the_address(clock: VirtualClock) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    async with AsyncReflexioClient(url_endpoint=url, reflect_url=url, clock=clock) as client:
        with pytest.raises(APIConnectionError, match=r"is the base URL \(url_endpoint, REFLEXIO_API_URL\)"):
            await client.whoami()
        names = r"is the base URL \(base_url or reflect_url, REFLECT_API_URL\)"
        with pytest.raises(APIConnectionError, match=names):
            await client.reflect.health()


async def test_with_an_unknown_host_the_outcome_is_known(clock: VirtualClock) -> None:
    async with AsyncReflexioClient(url_endpoint="http://no-such-host.invalid", clock=clock) as client:
        with pytest.raises(
            APIConnectionError, match=r"cannot connect to http://no-such-host\.invalid"
        ) as caught:
            await client.with_options(retry=ONCE).whoami()
    assert not caught.value.outcome_unknown


async def test_any_call_is_retried_when_nothing_was_sent(clock: VirtualClock) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    async with AsyncReflexioClient(url_endpoint=url, clock=clock) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.upgrade_profiles()
    assert caught.value.attempts == 5


async def test_after_waiting_in_vain_for_a_free_connection_the_outcome_is_known() -> None:
    async with raw_server(sequence()) as server:
        async with AsyncReflexioClient(url_endpoint=server.url, max_connections=1, timeout=0.1) as client:
            first = asyncio.create_task(client.with_options(timeout=A_HANG).whoami())
            await server.until_arrived()
            with pytest.raises(APITimeout, match=r"waited 0\.1 s for a free connection") as caught:
                await client.upgrade_profiles()
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
        assert server.counts == {"GET /api/whoami": 1}
    assert not caught.value.outcome_unknown


async def test_virtual_time_passes_while_calls_queue_for_a_connection(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock, max_connections=1) as client,
    ):
        box.faults.add(faults.delay(10), times=None)
        async with asyncio.timeout(A_HANG):
            await asyncio.gather(*(client.whoami() for _ in range(3)))
    assert clock.now() == pytest.approx(30)


# --- bytes may have reached the server


async def test_a_lost_response_leaves_the_outcome_unknown(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(then=HANG_UP)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with pytest.raises(APIConnectionError) as caught:
            await client.upgrade_profiles()
    assert caught.value.outcome_unknown
    assert len(server.arrived) == caught.value.attempts == 1


async def test_a_repeatable_call_is_retried(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(HANG_UP, HANG_UP, then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        assert (await client.whoami()).org_id == "org"
    assert server.counts == {"GET /api/whoami": 3}


async def test_attempts_is_the_number_of_requests_sent(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(then=HANG_UP)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with pytest.raises(APIConnectionError) as caught:
            await client.whoami()
    assert len(server.arrived) == caught.value.attempts == 5


async def test_an_unknown_outcome_stays_unknown_after_later_tries(clock: VirtualClock) -> None:
    """A later try that cannot connect does not exclude an effect of the first try."""
    box = Sandbox(clock=clock)
    await box.start()
    box.faults.add(faults.answer_lost())
    async with AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        call = asyncio.create_task(client.cancel_operation())
        await box.arrived("POST", "/api/cancel_operation")
        await box.stop()
        with pytest.raises(APIConnectionError, match="cannot connect") as caught:
            await call
    assert caught.value.attempts == 5
    assert caught.value.outcome_unknown


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"suc',
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    ],
    ids=["short body", "short chunk", "half a head", "no status", "not HTTP", "not gzip", "no length"],
)
async def test_an_incomplete_response_leaves_the_outcome_unknown(clock: VirtualClock, raw: bytes) -> None:
    async with (
        raw_server(sequence(then=RawReply(raw, close=True))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with pytest.raises(APIConnectionError, match="broke") as caught:
            await client.upgrade_profiles()
    assert caught.value.outcome_unknown
    assert len(server.arrived) == 1


async def test_no_response_in_time_leaves_the_outcome_unknown(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock, timeout=10) as client,
    ):
        box.faults.add(faults.freeze(), times=None)
        with pytest.raises(APITimeout, match="waited 10 s for a response from http") as caught:
            await client.whoami()
        assert clock.now() == 10
        assert len(box.requests) == 1
    assert caught.value.outcome_unknown
    assert isinstance(caught.value, TimeoutError)


async def test_a_body_that_stops_halfway_ends_in_the_timeout() -> None:
    half = RawReply(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    clock = HeldClock()
    async with (
        raw_server(sequence(then=half)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        call = asyncio.create_task(client.whoami())
        await server.until_arrived()
        await asyncio.sleep(0.05)  # half of the body is read
        clock.expire()
        with pytest.raises(APITimeout) as caught:
            await call
    assert caught.value.outcome_unknown


async def test_the_rest_of_a_request_is_not_sent_after_the_timeout() -> None:
    size = 9_000_000  # more than the buffers of the sockets hold
    connected, may_read = asyncio.Event(), asyncio.Event()
    arrived = asyncio.get_running_loop().create_future()
    clock = HeldClock()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await may_read.wait()
        count = 0
        with suppress(ConnectionError):  # the client closed the connection
            while chunk := await reader.read(size):
                count += len(chunk)
        writer.transport.abort()
        arrived.set_result(count)

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    async with await asyncio.start_server(serve, sock=listening):
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with AsyncReflexioClient(url_endpoint=url, clock=clock, retry=ONCE) as client:
            turns = [{"role": "user", "content": "x" * (size // 9)}] * 9
            with loop_errors_ignored():  # aiohttp before 3.14 leaves one
                call = asyncio.create_task(client.publish_interaction("u", turns, session_id="s"))
                await connected.wait()
                await asyncio.sleep(0.1)  # the buffers are full
                clock.expire()
                with pytest.raises(APITimeout):
                    await call
                may_read.set()
                assert await asyncio.wait_for(arrived, A_HANG) < size


async def test_a_large_request_arrives_whole_and_warns_of_nothing(clock: VirtualClock) -> None:
    turns = [{"role": "user", "content": "x" * 1_000_000}] * 5
    async with (
        raw_server(sequence(then=reply_with({"success": True}))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.publish_interaction("u", turns, session_id="s")
        await client.publish_interaction("u", TURNS, session_id="s")
    large, small = server.arrived
    assert len(large.json["interaction_data_list"]) == 5
    assert large.headers["content-length"] == str(len(large.body))
    assert large.headers["content-type"] == small.headers["content-type"]
    assert large.connection == small.connection


async def test_a_call_that_is_cancelled_closes_its_connection() -> None:
    async with raw_server(sequence(None, then=reply_with(WHOAMI))) as server:
        async with AsyncReflexioClient(url_endpoint=server.url) as client:
            call = asyncio.create_task(client.whoami())
            await server.until_arrived()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await client.whoami()
        assert [request.connection for request in server.arrived] == [1, 2]


# --- connections that are used again


async def test_one_connection_serves_one_call_after_another(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        for _ in range(10):
            await client.whoami()
    assert (server.connections, len(server.arrived)) == (1, 10)


async def test_there_are_at_most_max_connections(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, max_connections=3) as client,
    ):
        await asyncio.gather(*(client.whoami() for _ in range(30)))
    assert (server.connections, len(server.arrived)) == (3, 30)


def test_idle_connections_are_closed_before_the_server_closes_them() -> None:
    assert http._KEEPALIVE < SERVER_CLOSES_IDLE_AFTER


async def test_a_connection_that_was_idle_for_too_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server(sequence(then=reply_with(WHOAMI))) as server:
        for seconds, connections in ((A_HANG, 1), (0.05, 2)):
            monkeypatch.setattr(http, "_KEEPALIVE", seconds)
            before = server.connections
            async with AsyncReflexioClient(url_endpoint=server.url) as client:
                await client.whoami()
                await asyncio.sleep(0.1)
                await client.whoami()
            assert server.connections - before == connections


@pytest.mark.parametrize("after", [0, 50, 99])
async def test_a_repeatable_call_survives_a_connection_that_died_while_idle(
    clock: VirtualClock, after: int
) -> None:
    def script(_: ReceivedRequest) -> RawReply:
        return reply_with(WHOAMI, close=len(server.arrived) == after + 1)

    async with (
        raw_server(script) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        for _ in range(100):
            await client.whoami()
    assert 100 <= len(server.arrived) <= 101


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_post_after_a_500_that_closed_the_connection_works(*, chunked: bool) -> None:
    """Each 500 is followed at once by a POST that must not be sent twice."""

    def script(request: ReceivedRequest) -> RawReply:
        if request.target == "/api/upgrade_all_user_playbooks":
            return reply_with(b"Internal Server Error", 500, kind="text/plain", close=True, chunked=chunked)
        return reply_with({"success": True})

    async with (
        raw_server(script) as server,
        AsyncReflexioClient(url_endpoint=server.url, retry=ONCE) as client,
    ):
        for _ in range(100):
            with pytest.raises(Exception, match="answered 500"):
                await client.upgrade_user_playbooks()
            assert (await client.upgrade_profiles()).success
    assert server.counts == {
        "POST /api/upgrade_all_user_playbooks": 100,
        "POST /api/upgrade_all_profiles": 100,
    }


async def test_posts_at_the_same_time_as_a_500_work(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock, retry=ONCE, max_connections=5) as client,
    ):
        box.faults.add(faults.internal_error(), path="/api/upgrade_all_user_playbooks", times=None)
        calls = [
            client.upgrade_user_playbooks() if i % 3 == 0 else client.upgrade_profiles() for i in range(150)
        ]
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, APIConnectionError) for result in results) == 0
    assert sum(isinstance(result, Exception) for result in results) == 50


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_no_connection_that_carried_a_5xx_is_used_again(clock: VirtualClock, status: int) -> None:
    """This holds even when the server leaves the connection open."""
    async with (
        raw_server(sequence(reply_with({"detail": "no"}, status), then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
    assert [request.connection for request in server.arrived] == [1, 2]


async def test_a_connection_that_carried_a_4xx_is_used_again(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(reply_with({"detail": "no"}, 404), then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with pytest.raises(Exception, match="404"):
            await client.whoami()
        await client.whoami()
    assert server.connections == 1


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "POST"])
async def test_aiohttp_sends_nothing_twice(method: str) -> None:
    """When a pooled connection dies, aiohttp's session would send GET, PUT and DELETE again."""
    async with (
        raw_server(sequence(reply_with(WHOAMI), HANG_UP, then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, retry=ONCE) as client,
    ):
        await client.whoami()
        endpoint = Endpoint(method, "/x", WhoamiResponse, repeatable=True)
        with pytest.raises(APIConnectionError):
            await client._engine.caller.send(endpoint, encode(endpoint, Empty()), client._engine.settings)
    assert server.counts == {"GET /api/whoami": 1, f"{method} /x": 1}
    assert server.connections == 1


async def test_crash_after_crash_is_retried_on_fresh_connections(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(crash(), crash(), then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
    assert server.connections == 3


async def test_leaving_closes_every_connection() -> None:
    async with raw_server(sequence(then=reply_with(WHOAMI))) as server:
        async with AsyncReflexioClient(url_endpoint=server.url) as client:
            await asyncio.gather(*(client.whoami() for _ in range(5)))
            assert server.open == server.connections >= 1
        await until(lambda: server.open == 0)


async def test_publishing_is_one_post(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        await client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
        assert [record.path for record in box.requests] == ["/api/publish_interaction"]
