"""HTTP: refusals, sizes, identity and connections."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.hang import A_HANG

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire

_WHOAMI = "/api/whoami"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", {"service": "Reflexio API", "docs": "/docs", "health": "/health"}),
        ("/health", {"status": "healthy"}),
        ("/health/live", {"status": "alive"}),
        ("/health/ready", {"status": "healthy"}),
        (
            "/meta/version",
            {"server_version": "0.0.0-dev", "api_version": "v1", "min_client_version": "0.1.0"},
        ),
    ],
)
async def test_probes(wire: Wire, path: str, body: dict[str, str]) -> None:
    answer = await wire.get(path)
    assert (answer.status, answer.json) == (200, body)


async def test_whoami(wire: Wire) -> None:
    assert (await wire.get(_WHOAMI)).json == {
        "success": True,
        "org_id": "self-host-org",
        "storage_type": "sqlite",
        "storage_label": "<default sqlite>",
        "storage_configured": True,
        "message": "",
    }


async def test_an_unknown_path_is_404(wire: Wire) -> None:
    answer = await wire.get("/api/nope")
    assert (answer.status, answer.json) == (404, {"detail": "Not Found"})


async def test_a_server_without_logins_has_no_login_route(wire: Wire) -> None:
    answer = await wire.send("POST", "/token", data={"username": "a", "password": "b"})
    assert (answer.status, answer.json) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/publish_interaction", "POST"),
        ("POST", _WHOAMI, "GET"),
        ("HEAD", "/health", "GET"),
        ("OPTIONS", _WHOAMI, "GET"),
    ],
)
async def test_another_method_is_405_with_the_allowed_ones(
    wire: Wire, method: str, path: str, allowed: str
) -> None:
    answer = await wire.send(method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)


async def test_a_trailing_slash_is_redirected(wire: Wire) -> None:
    answer = await wire.get("/health/")
    assert (answer.status, answer.headers["Location"], answer.text) == (307, f"{wire.url}/health", "")


@pytest.mark.parametrize("agent", ["curl/8.5", "robotics-client", "My Scraper"])
async def test_a_suspicious_user_agent_is_refused(wire: Wire, agent: str) -> None:
    answer = await wire.send("GET", _WHOAMI, headers={"User-Agent": agent})
    assert (answer.status, answer.json) == (403, {"detail": "Forbidden: Suspicious user agent"})


async def test_an_empty_user_agent_is_refused(wire: Wire) -> None:
    answer = await wire.send("GET", _WHOAMI, headers={"User-Agent": ""})
    assert (answer.status, answer.json) == (403, {"detail": "Forbidden: Missing user agent"})


async def test_health_needs_no_user_agent(wire: Wire) -> None:
    assert (await wire.send("GET", "/health", headers={"User-Agent": "curl/8.5"})).status == 200


async def test_a_body_of_more_than_ten_mebibytes_is_413(wire: Wire) -> None:
    size = 10 * 1024 * 1024 + 1
    status, text = await _uploaded(wire, f"Content-Length: {size}", b" " * size)
    assert (status, text) == ("413", b'{"detail":"Request body too large"}')


async def test_a_streamed_body_of_more_than_ten_mebibytes_is_400(wire: Wire) -> None:
    chunks = (b"100000\r\n" + b" " * 1024 * 1024 + b"\r\n") * 11 + b"0\r\n\r\n"
    status, text = await _uploaded(wire, "Transfer-Encoding: chunked", chunks)
    assert (status, text) == ("400", b'{"detail":"There was an error parsing the body"}')


async def _uploaded(wire: Wire, header: str, body: bytes) -> tuple[str, bytes]:
    """The answer to an upload, which may come before all of it was sent."""
    head = "POST /api/get_requests HTTP/1.1\r\nHost: localhost\r\nUser-Agent: tests\r\n"
    reader, writer = await _raw(wire)
    writer.write(f"{head}Content-Type: application/json\r\n{header}\r\n\r\n".encode() + body)
    try:
        answer, text = await _answer(reader)
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return answer.split()[1], text


async def test_every_answer_has_a_correlation_id_of_the_servers_making(wire: Wire) -> None:
    mine = {"x-correlation-id": "mine"}
    paths = ("/health", "/api/nope", _WHOAMI)
    ids = [(await wire.send("GET", path, headers=mine)).headers["x-correlation-id"] for path in paths]
    assert len(set(ids)) == 3
    assert "mine" not in ids


async def test_a_forwarded_caller_needs_a_key(wire: Wire) -> None:
    answer = await wire.send("GET", _WHOAMI, headers={"X-Forwarded-For": "10.0.0.1"})
    assert (answer.status, answer.json) == (401, {"detail": "Authentication required"})
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def _raw(wire: Wire) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    url = urlsplit(wire.url)
    return await asyncio.open_connection(url.hostname, url.port)


async def _answer(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    [length] = [line.split(":")[1] for line in head.split("\r\n") if line.startswith("content-length:")]
    return head, await reader.readexactly(int(length))


async def test_a_crash_is_500_in_plain_text_and_closes_the_connection_unannounced(wire: Wire) -> None:
    body = b'{"start_time": "2020-01-01T00:00:00", "end_time": "2020-01-02T00:00:00Z"}'
    head = (
        "POST /api/rerun_profile_generation HTTP/1.1\r\nHost: localhost\r\nUser-Agent: tests\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await _raw(wire)
    writer.write(head.encode() + body)
    answer, text = await _answer(reader)
    assert answer.startswith("http/1.1 500")
    assert text == b"Internal Server Error"
    assert "content-type: text/plain" in answer
    assert "x-correlation-id" not in answer
    assert "connection:" not in answer
    assert await asyncio.wait_for(reader.read(), A_HANG) == b""
    writer.close()


@pytest.mark.slow
async def test_an_idle_connection_is_closed_after_five_seconds(wire: Wire) -> None:
    reader, writer = await _raw(wire)
    writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await _answer(reader)
    answered = time.monotonic()
    assert await asyncio.wait_for(reader.read(), A_HANG) == b""
    assert 4.5 < time.monotonic() - answered < 5 + A_HANG / 4
    writer.close()
