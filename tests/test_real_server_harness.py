"""The harness of the real server, which other tests rely on."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from blockbuster import BlockingError

import reflexio_async
from reflexio_async.testing.real_server import AccessEntry, parse_access_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async.testing import RealServer
    from tests.real_server import StartServer

RERUN = "/api/rerun_profile_generation"


def call(
    server: RealServer, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        connection.request(
            method,
            path,
            None if body is None else json.dumps(body),
            {"Content-Type": "application/json", "User-Agent": "reflexio-async-tests", **(headers or {})},
        )
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def publish(server: RealServer, user_id: str) -> None:
    turn = {"role": "user", "content": "I like sushi"}
    body = {"user_id": user_id, "session_id": "s1", "interaction_data_list": [turn]}
    assert call(server, "POST", "/api/publish_interaction", body)[0] == 200


def interactions(server: RealServer, user_id: str) -> list[Any]:
    status, answer = call(server, "POST", "/api/get_interactions", {"user_id": user_id})
    assert status == 200
    found: list[Any] = answer["interactions"]
    return found


@pytest.mark.real
def test_the_shared_server_answers_without_limits(real_server: RealServer) -> None:
    before = real_server.access_log().count(AccessEntry("POST", RERUN, 200))
    statuses = [call(real_server, "POST", f"{RERUN}?n={n}", {})[0] for n in range(7)]
    assert statuses == [200] * 7
    assert real_server.access_log().count(AccessEntry("POST", RERUN, 200)) == before + 7


@pytest.mark.real
def test_each_user_of_the_shared_server_has_separate_data(real_server: RealServer) -> None:
    ana, bob = (f"user-{uuid4()}" for _ in range(2))
    publish(real_server, ana)
    assert len(interactions(real_server, ana)) == 1
    assert interactions(real_server, bob) == []


@pytest.mark.real
def test_rate_limits_are_on_by_default_and_a_key_is_required(real_server_factory: StartServer) -> None:
    server = real_server_factory(api_key="open sesame")
    key = {"Authorization": "Bearer open sesame"}
    assert call(server, "POST", RERUN, {})[0] == 401
    statuses = [call(server, "POST", RERUN, {}, key)[0] for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    assert [entry.status for entry in server.access_log() if entry.path == RERUN] == [401, *statuses]


@pytest.mark.real
def test_data_and_address_survive_a_restart_and_a_kill(real_server_factory: StartServer) -> None:
    server = real_server_factory(rate_limits=False)
    url, first = server.url, server.pid
    publish(server, "ana")
    server.restart()
    assert (server.url, len(interactions(server, "ana"))) == (url, 1)
    assert server.pid != first
    server.kill()
    with pytest.raises(ConnectionRefusedError):
        call(server, "GET", "/health")
    server.restart()
    assert (server.url, len(interactions(server, "ana"))) == (url, 1)


@pytest.mark.real
def test_a_killed_server_can_forget_its_operations_and_leases(real_server_factory: StartServer) -> None:
    server = real_server_factory(rate_limits=False)
    publish(server, "ana")
    assert call(server, "POST", RERUN, {"user_id": "ana"})[0] == 200
    server.kill()
    server.forget_operations()
    server.forget_leases()
    server.restart()
    _, answer = call(server, "GET", "/api/get_operation_status?service_name=profile_generation")
    assert answer.get("operation_status") is None
    assert len(interactions(server, "ana")) == 1
    status, answer = call(server, "POST", "/api/manual_profile_generation", {"user_id": "ana"})
    assert (status, answer["success"]) == (200, True)


@pytest.mark.real
def test_a_server_that_cannot_start_shows_its_log(
    real_server: RealServer, real_server_factory: StartServer
) -> None:
    port = urlsplit(real_server.url).port
    with pytest.raises(RuntimeError, match="address already in use"):
        real_server_factory(port=port)


def test_the_access_log_is_read_without_queries_and_without_other_lines() -> None:
    lines = [
        "INFO:     Application startup complete.",
        'INFO:     127.0.0.1:34432 - "GET /api/get_operation_status?service_name=x HTTP/1.1" 200 OK',
        'INFO:     10.0.0.7:0 - "POST /api/nope HTTP/1.1" 404 Not Found',
        'INFO:     127.0.0.1:34446 - "DELETE /api/half-written HTTP',
    ]
    assert list(parse_access_log(lines)) == [
        AccessEntry("GET", "/api/get_operation_status", 200),
        AccessEntry("POST", "/api/nope", 404),
    ]


async def test_blocking_calls_are_errors_in_the_package_and_not_in_tests() -> None:
    def run_as(path: str) -> None:
        exec(compile("import time; time.sleep(0)", path, "exec"))  # noqa: S102

    run_as(__file__)
    with pytest.raises(BlockingError, match=r"time\.sleep"):
        run_as(str(reflexio_async.__file__))
