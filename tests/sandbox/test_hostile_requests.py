"""Malformed requests, and fault scripts that raise: each gets an answer and a record."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.behaviour.wire import Answer, Wire

if TYPE_CHECKING:
    from tests.sandbox.conftest import Opens

PUBLISH = "/api/publish_interaction"
TOO_DEEP = b"[" * 100_000
UNREADABLE = {"detail": "There was an error parsing the body"}
SURROGATE = b'{"user_id":"u","content":"x","source":"\\ud83d"}'


async def send(wire: Wire, body: bytes, path: str = PUBLISH, **headers: str) -> Answer:
    return await wire.send("POST", path, data=body, headers={"Content-Type": "application/json", **headers})


async def test_a_body_nested_too_deep_cannot_be_parsed(opened: Opens) -> None:
    async with opened() as (box, wire):
        answer = await send(wire, TOO_DEEP)
        assert (answer.status, answer.json) == (400, UNREADABLE)
        [record] = box.requests
        assert (record.status, record.body) == (400, TOO_DEEP.decode())


async def test_a_body_nested_too_deep_needs_a_key_and_a_route_like_any_other(opened: Opens) -> None:
    async with opened(api_key="key") as (box, wire):
        assert (await send(wire, TOO_DEEP)).status == 401
        answer = await send(wire, TOO_DEEP, "/api/nowhere", Authorization="Bearer key")
        assert answer.status == 404
        assert [record.status for record in box.requests] == [401, 404]


async def test_the_reflect_server_cannot_parse_a_body_nested_too_deep_either(opened: Opens) -> None:
    async with opened() as (box, wire):
        reflect = Wire(box.reflect_url, wire.session)
        path = "/v1/projects/default/traces"
        answer = await send(reflect, TOO_DEEP, path, Authorization=f"Bearer {box.reflect_key}")
        assert (answer.status, answer.json) == (400, UNREADABLE)


@pytest.mark.parametrize("packed", [gzip.compress(b"{}"), b"\x1f\x8b broken"], ids=["whole", "broken"])
async def test_a_compressed_body_cannot_be_parsed(
    opened: Opens, packed: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened() as (box, wire):
        answer = await send(wire, packed, **{"Content-Encoding": "gzip"})
        assert (answer.status, answer.json) == (400, UNREADABLE)
        assert [record.status for record in box.requests] == [400]
    assert not caplog.records


async def test_a_request_with_expect_continue_gets_100(opened: Opens) -> None:
    async with opened() as (_, wire):
        body = {"user_id": "u"}
        answer = await wire.send("POST", "/api/get_profiles", json=body, expect100=True)
        assert answer.status == 200


async def test_a_request_without_expect_continue_gets_no_100(opened: Opens) -> None:
    async with opened() as (box, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(box.url.rpartition(":")[2]))
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        await writer.wait_closed()


def crashed(answer: Answer) -> bool:
    """Whether it is the server's own 500."""
    return (answer.status, answer.text) == (500, "Internal Server Error") and answer.headers[
        "Content-Type"
    ] == "text/plain; charset=utf-8"


PROFILE = {
    "profile_id": "p",
    "user_id": "u",
    "content": "tea",
    "last_modified_timestamp": 1,
    "generated_from_request_id": "r",
}


async def test_text_that_utf_8_cannot_encode_crashes_the_response(
    opened: Opens, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened() as (box, wire):
        profile = json.dumps({**PROFILE, "custom_features": {"x": "\ud83d"}})
        body = f'{{"user_profiles":[{profile}]}}'.encode()
        assert (await send(wire, body, "/api/add_user_profile")).status == 200
        assert crashed(await wire.post("/api/get_profiles", user_id="u"))
        assert box.requests[-1].status == 500
        assert (await wire.post("/api/get_profiles", user_id="other")).status == 200
    assert [record.message for record in caplog.records] == ["500 for POST /api/get_profiles"]


async def test_a_crashed_answer_ends_the_connection(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, aiohttp.ClientSession() as session:
        wire = Wire(box.url, session)
        assert crashed(await wire.get("/api/storage_stats", user_id=""))
        await asyncio.sleep(0.01)
        await wire.get("/health")
        assert len({record.connection for record in box.requests}) == 2


async def test_a_fault_whose_condition_raises_crashes_the_request(
    opened: Opens, caplog: pytest.LogCaptureFixture
) -> None:
    def where(record: Any) -> bool:
        return bool(record.body["user_id"])

    async with opened() as (box, wire):
        box.faults.add(faults.freeze(), where=where, path="/health")
        assert crashed(await wire.get("/health"))
        assert [record.status for record in box.requests] == [500]
        assert (await wire.get("/health/live")).status == 200
    assert [record.message for record in caplog.records] == ["500 for GET /health"]
