"""Access without a key, and CORS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.behaviour.wire import Wire

_WHOAMI = "/api/whoami"
_PAGE = {"Origin": "http://localhost:3000"}
_FOREIGN_PAGE = {"Origin": "http://elsewhere.example"}
_PREFLIGHT = {**_FOREIGN_PAGE, "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.5:80"},
        {"Host": "LOCALHOST:8061"},
        {"Host": "[::1]:80"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "https://[::1]"},
        {"Origin": ""},
    ],
)
async def test_without_a_key_requests_from_this_machine_are_accepted(
    wire: Wire, headers: Mapping[str, str]
) -> None:
    assert (await wire.send("GET", _WHOAMI, headers=headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "elsewhere.example"},
        {"Host": "10.0.0.1"},
        {"Host": "localhost."},
        {"Host": "a.localhost"},
        {"Host": "[x"},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "http://localhost.elsewhere.example"},
        {"Origin": "chrome-extension://localhost"},
        {"Origin": "null"},
        {"Origin": "localhost"},
    ],
)
async def test_without_a_key_another_host_or_page_is_401(wire: Wire, headers: Mapping[str, str]) -> None:
    answer = await wire.send("GET", _WHOAMI, headers=headers)
    assert (answer.status, answer.json) == (401, {"detail": "Authentication required"})
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_health_is_open_to_every_host_and_page(wire: Wire) -> None:
    headers = {"Host": "elsewhere.example", **_FOREIGN_PAGE}
    assert (await wire.send("GET", "/health", headers=headers)).status == 200


async def test_with_the_key_every_host_and_page_is_accepted(keyed: Wire) -> None:
    headers = {"Authorization": "Bearer key-1", "Host": "elsewhere.example", **_FOREIGN_PAGE}
    assert (await keyed.send("GET", _WHOAMI, headers=headers)).status == 200


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (_WHOAMI, _PAGE, 200),
        (_WHOAMI, _FOREIGN_PAGE, 401),
        (_WHOAMI, {**_PAGE, "User-Agent": "curl"}, 403),
        ("/api/nope", _PAGE, 404),
    ],
)
async def test_any_page_may_read_any_answer(
    wire: Wire, path: str, headers: Mapping[str, str], status: int
) -> None:
    answer = await wire.send("GET", path, headers=headers)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, "*")


async def test_a_request_without_origin_gets_no_cors_headers(wire: Wire) -> None:
    assert "Access-Control-Allow-Origin" not in (await wire.get(_WHOAMI)).headers


async def test_a_crash_has_no_cors_headers(wire: Wire) -> None:
    body = {"user_id": "u", "start_time": "2026-01-01T00:00:00", "end_time": "2026-01-02T00:00:00Z"}
    answer = await wire.send("POST", "/api/get_interactions", json=body, headers=_PAGE)
    assert answer.status == 500
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/", _WHOAMI, "/api/publish_interaction", "/api/nope"])
@pytest.mark.parametrize(
    "more", [{}, {"User-Agent": "curl"}, {"User-Agent": ""}, {"Host": "elsewhere.example"}]
)
async def test_a_preflight_is_answered_before_all_else(
    wire: Wire, path: str, more: Mapping[str, str]
) -> None:
    asked = {**_PREFLIGHT, "Access-Control-Request-Headers": "authorization, x-y", **more}
    answer = await wire.send("OPTIONS", path, headers=asked)
    assert (answer.status, answer.text) == (200, "OK")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    names = ("Origin", "Methods", "Headers")
    assert [answer.headers[f"Access-Control-Allow-{name}"] for name in names] == [
        "*",
        "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY",
        "authorization, x-y",
    ]
    assert answer.headers["Access-Control-Max-Age"] == "600"


async def test_a_preflight_without_headers_gets_no_allowed_headers(wire: Wire) -> None:
    answer = await wire.send("OPTIONS", _WHOAMI, headers=_PREFLIGHT)
    assert answer.status == 200
    assert "Access-Control-Allow-Headers" not in answer.headers


async def test_a_preflight_for_an_unknown_method_is_400(wire: Wire) -> None:
    headers = {**_PREFLIGHT, "Access-Control-Request-Method": "FANCY"}
    answer = await wire.send("OPTIONS", _WHOAMI, headers=headers)
    assert (answer.status, answer.text) == (400, "Disallowed CORS method")


async def test_a_preflight_needs_no_key(keyed: Wire) -> None:
    assert (await keyed.send("OPTIONS", _WHOAMI, headers=_PREFLIGHT)).status == 200


@pytest.mark.parametrize(
    "headers",
    [{}, _FOREIGN_PAGE, {"Access-Control-Request-Method": "POST"}, {"Host": "elsewhere.example"}],
)
@pytest.mark.parametrize(("path", "status"), [(_WHOAMI, 405), ("/health", 405), ("/api/nope", 404)])
async def test_options_without_preflight_headers_needs_no_key_and_is_routed(
    keyed: Wire, headers: Mapping[str, str], path: str, status: int
) -> None:
    assert (await keyed.send("OPTIONS", path, headers=headers)).status == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", ["/api/nope", _WHOAMI])
async def test_other_methods_are_401_before_they_are_routed(keyed: Wire, method: str, path: str) -> None:
    assert (await keyed.send(method, path)).status == 401
