"""Answers that are too large, elsewhere, or not the API's."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from reflexio_async import AsyncReflexioClient, NotFound, RequestRefused, RetryPolicy, UnexpectedResponse
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.transport.servers import WHOAMI, Arrived, Bytes, answer, raw_server, sequence

LARGE = WHOAMI | {"message": "x" * 20_000}


def locked(text: str = "database is locked") -> Any:
    return {"success": False, "user_profiles": [], "msg": text}


# --- size


@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
async def test_an_answer_larger_than_allowed_is_refused(clock: VirtualClock, *, chunked: bool) -> None:
    async with (
        raw_server(sequence(then=answer(LARGE, chunked=chunked))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, max_response_bytes=10_000) as client,
    ):
        with pytest.raises(UnexpectedResponse, match="max_response_bytes=10000") as caught:
            await client.whoami()
    assert caught.value.url == f"{server.url}/api/whoami"
    assert len(server.arrived) == 1


async def test_a_small_answer_that_unpacks_to_more_than_allowed_is_refused(clock: VirtualClock) -> None:
    packed = gzip.compress(json.dumps(WHOAMI | {"message": "x" * 50_000_000}).encode())
    assert len(packed) < 100_000
    reply = answer(packed, headers={"Content-Encoding": "gzip"})
    async with (
        raw_server(sequence(then=reply)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, max_response_bytes=10**6) as client,
    ):
        with pytest.raises(UnexpectedResponse, match="max_response_bytes=1000000"):
            await client.whoami()


@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
async def test_an_answer_of_exactly_the_size_allowed_is_read(clock: VirtualClock, *, chunked: bool) -> None:
    size = len(json.dumps(LARGE))
    async with (
        raw_server(sequence(then=answer(LARGE, chunked=chunked))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, max_response_bytes=size) as client,
    ):
        assert len((await client.whoami()).message) == 20_000


async def test_a_packed_answer_is_unpacked(clock: VirtualClock) -> None:
    reply = answer(gzip.compress(json.dumps(LARGE).encode()), headers={"Content-Encoding": "gzip"})
    async with (
        raw_server(sequence(then=reply)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        assert len((await client.whoami()).message) == 20_000


async def test_a_call_after_one_that_was_too_large_is_answered(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(answer(LARGE, chunked=True), then=answer(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, max_response_bytes=1000) as client,
    ):
        with pytest.raises(UnexpectedResponse):
            await client.whoami()
        assert (await client.whoami()).org_id == "org"


# --- the wrong place


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(clock: VirtualClock, status: int) -> None:
    elsewhere = {"Location": "https://login.example.test/?next=api"}
    async with (
        raw_server(sequence(then=answer(b"", status, headers=elsewhere))) as server,
        AsyncReflexioClient("SECRET", server.url, clock=clock) as client,
    ):
        with pytest.raises(UnexpectedResponse, match="redirect to https://login") as caught:
            await client.whoami()
    assert (caught.value.status, caught.value.url) == (status, f"{server.url}/api/whoami")
    assert len(server.arrived) == 1


async def test_a_web_page_with_status_200_names_who_answered(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.html())
        with pytest.raises(UnexpectedResponse, match="text/html") as caught:
            await client.whoami()
    assert f"{box.url}/api/whoami" in str(caught.value)
    assert "REFLEXIO_API_URL" in str(caught.value)


async def test_half_of_the_json_is_not_json(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.broken_json())
        with pytest.raises(UnexpectedResponse, match="not JSON"):
            await client.whoami()


async def test_an_unexpected_answer_is_not_asked_for_again(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.html(), times=None)
        with pytest.raises(UnexpectedResponse):
            await client.whoami()
        assert len(box.requests) == 1


@pytest.mark.parametrize("base", ["", "/", "/reflexio", "/reflexio/", "/a/b%2Fc"])
async def test_the_path_of_the_base_url_is_kept(clock: VirtualClock, base: str) -> None:
    async with (
        raw_server(sequence(then=answer({"status": "done"}))) as server,
        AsyncReflexioClient(url_endpoint=server.url + base, clock=clock) as client,
    ):
        await client.get_learning_status("r")
    assert [request.target for request in server.arrived] == [
        f"{base.rstrip('/')}/api/learning_status?request_id=r"
    ]


async def test_an_id_arrives_as_it_was_given(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        strange = "a/b ../?x=1&y=ü%2F#é+"
        with pytest.raises(NotFound):
            await client.get_learning_status(strange)
        assert dict(box.requests[-1].query) == {"request_id": strange}


# --- what is sent along


async def test_every_call_shows_the_token_the_user_agent_and_the_type(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(then=answer({"success": True}))) as server,
        AsyncReflexioClient("t", server.url, clock=clock, user_agent="my-agent/1") as client,
    ):
        await client.upgrade_profiles()
    [request] = server.arrived
    assert request.headers["authorization"] == "Bearer t"
    assert request.headers["user-agent"] == "my-agent/1"
    assert request.headers["accept"] == "application/json"
    assert request.headers["content-type"] == "application/json"


async def test_without_a_token_nothing_is_shown(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(then=answer(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
    [request] = server.arrived
    assert "authorization" not in request.headers
    assert "content-type" not in request.headers


async def test_cookies_are_not_kept(clock: VirtualClock) -> None:
    def script(_: Arrived) -> Bytes:
        return answer(WHOAMI, headers={"Set-Cookie": "session=1; Path=/"})

    async with (
        raw_server(script) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
        await client.whoami()
    assert all("cookie" not in request.headers for request in server.arrived)


# --- refusals with status 200


async def test_a_refusal_is_an_error_that_carries_the_answer(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.status(200, {"success": False, "user_profiles": [], "msg": "no storage"}))
        with pytest.raises(RequestRefused, match="no storage") as caught:
            await client.get_profiles(user_id="u")
    assert caught.value.response.success is False


async def test_a_refusal_is_returned_when_asked_for(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock, raise_on_refusal=False) as client,
    ):
        box.faults.add(faults.status(200, {"success": False, "user_profiles": [], "msg": "no storage"}))
        answered = await client.get_profiles(user_id="u")
    assert (answered.success, answered.msg) == (False, "no storage")


async def test_a_row_that_is_made_to_be_looked_at_returns_its_refusal(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        assert not (await client.upgrade_profiles()).success
        assert not (await client.get_operation_status()).success


async def test_a_refusal_that_holds_nothing_else_is_still_a_refusal(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.status(200, {"success": False, "msg": "no storage"}))
        with pytest.raises(RequestRefused, match="no storage"):
            await client.get_profiles(user_id="u")


@pytest.mark.parametrize("text", ["database is locked", "OperationalError: database is locked"])
async def test_a_locked_database_is_tried_again(clock: VirtualClock, text: str) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.seed("u")
        box.faults.add(faults.status(200, locked(text)), times=3)
        assert (await client.get_profiles(user_id="u")).success
        assert len(box.requests) == 4


async def test_a_locked_database_is_tried_again_whatever_the_call(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.refused("database is locked"), times=2)
        await client.upgrade_profiles()
        assert box.count("POST", "/api/upgrade_all_profiles") == 3


async def test_a_database_that_stays_locked_is_a_refusal_in_the_end(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.status(200, locked()), times=None)
        with pytest.raises(RequestRefused, match="database is locked") as caught:
            await client.get_profiles(user_id="u")
    assert caught.value.attempts == RetryPolicy().max_attempts


async def test_a_database_that_stays_locked_is_returned_when_refusals_are(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.status(200, locked()), times=None)
        quiet = client.with_options(raise_on_refusal=False)
        assert not (await quiet.get_profiles(user_id="u")).success
        assert len(box.requests) == RetryPolicy().max_attempts


async def test_a_row_made_to_be_looked_at_returns_a_lasting_lock_too(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(faults.refused("database is locked"), times=None)
        assert (await client.upgrade_profiles()).message == "database is locked"
