"""Responses that are too large, from another server, or refusals."""

from __future__ import annotations

import asyncio
import gzip
import json
import secrets
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from reflexio_async import (
    APIConnectionError,
    AsyncReflexioClient,
    NotFound,
    ReflexioError,
    RequestRefused,
    RetryPolicy,
    UnexpectedResponse,
)
from reflexio_async._engine.decompression import Decompressor
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.transport.servers import WHOAMI, RawReply, ReceivedRequest, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGE = WHOAMI | {"message": "x" * 20_000}


def locked(text: str = "database is locked") -> Any:
    return {"success": False, "user_profiles": [], "msg": text}


# --- broken


def head(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    """A response with these headers and the body ``{}``."""
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"Content-Length: 2", b"", b"{}"])


BROKEN = {
    "a length of 5,000 digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nx",
    "a length in other digits": b"HTTP/1.1 200 OK\r\nContent-Length: \xd9\xa3\r\n\r\nx",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
    "two lengths": head(b"Content-Length: 3"),
    "a chunk of no size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk of absurd size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
    "a header of 20,000 bytes": head(b"X: " + b"a" * 20_000),
    "a null byte in a header": head(b"X\0: x"),
    "bytes that are no text": head(b"Content-Type: \xff\xfe", status=b"400 \xff\xfe"),
    "an unknown charset": head(b"Content-Type: text/plain; charset=no-such-charset", status=b"400 Bad"),
    "an unknown encoding": head(b"Content-Encoding: " + b"z" * 5000),
    "a redirect to nowhere": head(b"Location: \xff://[::", status=b"302 Found"),
    "a cookie of no date": head(b"Set-Cookie: a=\xff; expires=Wed, 99 Foo 99999 99:99:99"),
    "dates outside of the calendar": head(
        b"Date: Wed, 18 Nov 99999999999 11:06:40 GMT",
        b"Retry-After: Wed, 18 Nov 99999999999 11:06:40 GMT",
        b"X-RateLimit-Remaining: 0",
        b"X-RateLimit-Reset: nan",
        status=b"429 Too Many",
    ),
    "a status of six digits": head(status=b"999999 OK"),
    "another protocol": b"\x16\x03\x01" * 100,
    "a switch of the protocol": head(b"Upgrade: websocket", b"Connection: upgrade", status=b"101 Switching"),
    "empty lines": b"\r\n" * 5000,
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_response_is_an_error_of_ours_on_one_line(clock: VirtualClock, name: str) -> None:
    async with (
        raw_server(sequence(then=RawReply(BROKEN[name], close=True))) as server,
        AsyncReflexioClient(
            url_endpoint=server.url, clock=clock, retry=RetryPolicy(max_attempts=1)
        ) as client,
    ):
        with pytest.raises(ReflexioError) as caught:
            await client.whoami()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


# --- size


@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
async def test_a_response_larger_than_allowed_is_an_error(clock: VirtualClock, *, chunked: bool) -> None:
    async with (
        raw_server(sequence(then=reply_with(LARGE, chunked=chunked))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, max_response_bytes=10_000) as client,
    ):
        with pytest.raises(UnexpectedResponse, match="max_response_bytes=10000") as caught:
            await client.whoami()
    assert caught.value.url == f"{server.url}/api/whoami"
    assert len(server.arrived) == 1


async def test_a_compressed_response_larger_than_allowed_is_an_error(clock: VirtualClock) -> None:
    packed = gzip.compress(json.dumps(WHOAMI | {"message": "x" * 50_000_000}).encode())
    assert len(packed) < 100_000
    reply = reply_with(packed, headers={"Content-Encoding": "gzip"})
    async with (
        raw_server(sequence(then=reply)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, max_response_bytes=10**6) as client,
    ):
        with pytest.raises(UnexpectedResponse, match="max_response_bytes=1000000"):
            await client.whoami()


@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
async def test_a_response_of_exactly_the_allowed_size_is_read(clock: VirtualClock, *, chunked: bool) -> None:
    size = len(json.dumps(LARGE))
    async with (
        raw_server(sequence(then=reply_with(LARGE, chunked=chunked))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, max_response_bytes=size) as client,
    ):
        assert len((await client.whoami()).message) == 20_000


@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
async def test_a_compressed_response_never_fills_the_memory(clock: VirtualClock, *, chunked: bool) -> None:
    """200 KB arrive at once; decompressed they are 200 MB."""
    compressed = gzip.compress(b'{"message": "' + b"x" * 200_000_000, compresslevel=1)
    reply = reply_with(compressed, headers={"Content-Encoding": "gzip"}, chunked=chunked)
    async with (
        raw_server(sequence(reply_with(WHOAMI), then=reply)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, max_response_bytes=10**6) as client,
    ):
        await client.whoami()
        tracemalloc.start()
        try:
            with pytest.raises(UnexpectedResponse, match="max_response_bytes=1000000"):
                await client.whoami()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8_000_000


async def test_other_tasks_run_while_a_response_is_decompressed(clock: VirtualClock) -> None:
    """All of it arrives at once, and is 20 MB when it is decompressed."""
    compressed = gzip.compress(json.dumps(WHOAMI | {"message": "x" * 20_000_000}).encode())
    assert len(compressed) < 64 * 1024
    reply = reply_with(compressed, headers={"Content-Encoding": "gzip"})
    passes = 0

    async def count() -> None:
        nonlocal passes
        while True:
            await asyncio.sleep(0)
            passes += 1

    async with (
        raw_server(sequence(reply_with(WHOAMI), then=reply)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
        gaps: list[int] = []
        with patch.object(Decompressor, "feed", _counting(Decompressor.feed, lambda: passes, gaps)):
            counting = asyncio.create_task(count())
            await client.whoami()
            counting.cancel()
    assert len(gaps) > 50
    assert min(gaps[1:]) > 0


def _counting(
    feed: Callable[[Decompressor, bytes], Iterator[bytes]], passes: Callable[[], int], gaps: list[int]
) -> Callable[[Decompressor, bytes], Iterator[bytes]]:
    """``feed``, which also notes how often other tasks ran between two pieces."""

    def counting(self: Decompressor, data: bytes) -> Iterator[bytes]:
        for piece in feed(self, data):
            before = passes()
            yield piece
            gaps.append(passes() - before)

    return counting


@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress)],
)
async def test_a_compressed_response_is_read(
    clock: VirtualClock, encoding: str, compress: Callable[[bytes], bytes], *, chunked: bool
) -> None:
    compressed = compress(json.dumps(LARGE).encode())
    reply = reply_with(compressed, headers={"Content-Encoding": encoding}, chunked=chunked)
    async with (
        raw_server(sequence(then=reply)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        assert len((await client.whoami()).message) == 20_000
    assert server.arrived[0].headers["accept-encoding"] == "gzip, deflate"


async def test_a_response_that_is_compressed_in_another_way_is_an_error(clock: VirtualClock) -> None:
    reply = reply_with(b"\x0b\x02\x80{}\x03", headers={"Content-Encoding": "br"})
    async with (
        raw_server(sequence(then=reply)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with pytest.raises(UnexpectedResponse, match="Content-Encoding 'br', not gzip, deflate"):
            await client.whoami()


@pytest.mark.parametrize("cut", [1, 8, 100], ids=["checksum", "trailer", "content"])
async def test_a_compressed_response_that_ends_early_is_a_broken_connection(
    clock: VirtualClock, cut: int
) -> None:
    compressed = gzip.compress(json.dumps(WHOAMI | {"message": secrets.token_hex(500)}).encode())
    reply = reply_with(compressed[:-cut], headers={"Content-Encoding": "gzip"})
    async with (
        raw_server(sequence(then=reply)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with pytest.raises(APIConnectionError, match="broke") as caught:
            await client.upgrade_profiles()
    assert caught.value.outcome_unknown


async def test_a_call_after_a_response_that_was_too_large_works(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(reply_with(LARGE, chunked=True), then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, max_response_bytes=1000) as client,
    ):
        with pytest.raises(UnexpectedResponse):
            await client.whoami()
        assert (await client.whoami()).org_id == "org"


# --- another server


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(clock: VirtualClock, status: int) -> None:
    elsewhere = {"Location": "https://login.example.test/?next=api"}
    async with (
        raw_server(sequence(then=reply_with(b"", status, headers=elsewhere))) as server,
        AsyncReflexioClient("SECRET", server.url, clock=clock) as client,
    ):
        with pytest.raises(UnexpectedResponse, match="redirect to https://login") as caught:
            await client.whoami()
    assert (caught.value.status, caught.value.url) == (status, f"{server.url}/api/whoami")
    assert len(server.arrived) == 1


async def test_a_web_page_with_status_200_is_an_error_that_names_its_url(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.html())
        with pytest.raises(UnexpectedResponse, match="text/html") as caught:
            await client.whoami()
    assert f"{box.url}/api/whoami" in str(caught.value)
    assert "REFLEXIO_API_URL" in str(caught.value)


async def test_incomplete_json_is_an_error(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.broken_json())
        with pytest.raises(UnexpectedResponse, match="not JSON"):
            await client.whoami()


async def test_after_an_unexpected_response_the_call_is_not_retried(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.html(), times=None)
        with pytest.raises(UnexpectedResponse):
            await client.whoami()
        assert len(box.requests) == 1


@pytest.mark.parametrize("base", ["", "/", "/reflexio", "/reflexio/", "/a/b%2Fc"])
async def test_paths_begin_with_the_path_of_the_base_url(clock: VirtualClock, base: str) -> None:
    async with (
        raw_server(sequence(then=reply_with({"status": "done"}))) as server,
        AsyncReflexioClient(url_endpoint=server.url + base, clock=clock) as client,
    ):
        await client.get_learning_status("r")
    assert [request.target for request in server.arrived] == [
        f"{base.rstrip('/')}/api/learning_status?request_id=r"
    ]


async def test_an_id_with_any_characters_arrives_unchanged(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        strange = "a/b ../?x=1&y=ü%2F#é+"
        with pytest.raises(NotFound):
            await client.get_learning_status(strange)
        assert dict(box.requests[-1].query) == {"request_id": strange}


# --- headers


async def test_every_call_sends_the_token_the_user_agent_and_the_content_type(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(then=reply_with({"success": True}))) as server,
        AsyncReflexioClient("t", server.url, clock=clock, user_agent="my-agent/1") as client,
    ):
        await client.upgrade_profiles()
    [request] = server.arrived
    assert request.headers["authorization"] == "Bearer t"
    assert request.headers["user-agent"] == "my-agent/1"
    assert request.headers["accept"] == "application/json"
    assert request.headers["content-type"] == "application/json"


async def test_headers_of_ones_own_are_sent_with_every_call(clock: VirtualClock) -> None:
    mine = {"X-Team": "blue", "accept": "application/vnd.mine+json", "User-Agent": "mine/1"}
    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient("t", server.url, clock=clock, headers=mine) as client,
    ):
        await client.whoami()
        await client.upgrade_profiles()
    for request in server.arrived:
        assert request.headers["x-team"] == "blue"
        assert request.headers["accept"] == "application/vnd.mine+json"
        assert request.headers["user-agent"] == "mine/1"
        assert request.headers["authorization"] == "Bearer t"
        assert request.header_names.count("accept") == request.header_names.count("user-agent") == 1


async def test_without_a_token_no_authorization_is_sent(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
    [request] = server.arrived
    assert "authorization" not in request.headers
    assert "content-type" not in request.headers


async def test_cookies_are_not_sent_back(clock: VirtualClock) -> None:
    def script(_: ReceivedRequest) -> RawReply:
        return reply_with(WHOAMI, headers={"Set-Cookie": "session=1; Path=/"})

    async with (
        raw_server(script) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
        await client.whoami()
    assert all("cookie" not in request.headers for request in server.arrived)


# --- refusals with status 200


async def test_a_refusal_is_an_error_that_has_the_response(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.status(200, {"success": False, "user_profiles": [], "msg": "no storage"}))
        with pytest.raises(RequestRefused, match="no storage") as caught:
            await client.get_profiles(user_id="u")
    assert caught.value.response.success is False


async def test_without_raise_on_refusal_a_refusal_is_returned(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock, raise_on_refusal=False) as client,
    ):
        box.faults.add(faults.status(200, {"success": False, "user_profiles": [], "msg": "no storage"}))
        response = await client.get_profiles(user_id="u")
    assert (response.success, response.msg) == (False, "no storage")


async def test_endpoints_with_refusal_return_return_a_refusal(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        assert not (await client.upgrade_profiles()).success
        assert not (await client.get_operation_status()).success


async def test_a_refusal_without_the_other_fields_is_an_error(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.status(200, {"success": False, "msg": "no storage"}))
        with pytest.raises(RequestRefused, match="no storage"):
            await client.get_profiles(user_id="u")


@pytest.mark.parametrize("text", ["database is locked", "OperationalError: database is locked"])
async def test_a_call_is_retried_while_the_database_is_locked(clock: VirtualClock, text: str) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.seed("u")
        box.faults.add(faults.status(200, locked(text)), times=3)
        assert (await client.get_profiles(user_id="u")).success
        assert len(box.requests) == 4


async def test_a_call_that_is_not_repeatable_is_retried_while_the_database_is_locked(
    clock: VirtualClock,
) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.refused("database is locked"), times=2)
        await client.upgrade_profiles()
        assert box.count("POST", "/api/upgrade_all_profiles") == 3


async def test_a_database_that_stays_locked_is_a_refusal_after_the_last_try(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.status(200, locked()), times=None)
        with pytest.raises(RequestRefused, match="database is locked") as caught:
            await client.get_profiles(user_id="u")
    assert caught.value.attempts == RetryPolicy().max_attempts


async def test_without_raise_on_refusal_a_database_that_stays_locked_is_returned(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.status(200, locked()), times=None)
        quiet = client.with_options(raise_on_refusal=False)
        assert not (await quiet.get_profiles(user_id="u")).success
        assert len(box.requests) == RetryPolicy().max_attempts


async def test_endpoints_with_refusal_return_return_a_lasting_lock(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.refused("database is locked"), times=None)
        assert (await client.upgrade_profiles()).message == "database is locked"
