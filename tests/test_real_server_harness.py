"""The harness around the real server does what other tests rely on."""

from __future__ import annotations

import http.client
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from blockbuster import BlockingError

import reflexio_async
from tests import real_server as harness
from tests.real_server import AccessEntry, NoPython, find_python, parse_access_log, server_python

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.real_server import RealServer, StartServer

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
def test_each_user_of_the_shared_server_has_data_apart(real_server: RealServer) -> None:
    ana, bob = (f"user-{uuid4()}" for _ in range(2))
    publish(real_server, ana)
    assert len(interactions(real_server, ana)) == 1
    assert interactions(real_server, bob) == []


@pytest.mark.real
def test_limits_are_on_unless_lifted_and_a_key_is_demanded(real_server_factory: StartServer) -> None:
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
def test_a_server_that_cannot_start_shows_its_log(
    real_server: RealServer, real_server_factory: StartServer
) -> None:
    port = urlsplit(real_server.url).port
    with pytest.raises(RuntimeError, match="address already in use"):
        real_server_factory(port=port)


def test_the_access_log_is_read_without_queries_and_other_lines() -> None:
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


def test_a_missing_interpreter_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find_python("3.99") is None
    monkeypatch.setattr(harness, "PYTHON", "3.99")
    monkeypatch.setenv("REFLEXIO_SERVER_VENV", str(tmp_path / "server"))
    with pytest.raises(NoPython, match=r"needs Python 3\.99"):
        server_python()


FAKE_UV = """#!/bin/sh -eu
echo "$1" >> "{log}"
[ "$1" = venv ] || exit {status}
for home; do :; done
mkdir -p "$home/bin" "$home/lib/python{python}/site-packages/reflexio_ai-0.2.32.dist-info"
ln -s /bin/sh "$home/bin/python"
sleep 0.2
"""


@pytest.fixture
def server_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    home = tmp_path / "cache" / "server"
    monkeypatch.setenv("REFLEXIO_SERVER_VENV", str(home))
    # Where there is no 3.12, any interpreter does for an environment that is not run.
    monkeypatch.setattr(harness, "PYTHON", "{}.{}".format(*sys.version_info))
    monkeypatch.setattr(harness, "find_uv_bin", lambda: str(tmp_path / "uv"))
    return home


def fake_uv(folder: Path, status: int) -> Path:
    """Stand in for uv; its "pip" ends with this status. Returns its log."""
    log = folder / "uv.log"
    (folder / "uv").write_text(FAKE_UV.format(log=log, status=status, python=harness.PYTHON))
    (folder / "uv").chmod(0o755)
    return log


def test_builders_that_meet_build_once(server_home: Path, tmp_path: Path) -> None:
    log = fake_uv(tmp_path, status=0)
    with ThreadPoolExecutor() as builders:
        found = {future.result() for future in [builders.submit(server_python) for _ in range(3)]}
    assert found == {server_home / "bin/python"}
    assert log.read_text().split() == ["venv", "pip"]


def test_an_interrupted_build_is_not_used(server_home: Path, tmp_path: Path) -> None:
    fake_uv(tmp_path, status=1)
    with pytest.raises(RuntimeError, match=r"uv pip install .* failed"):
        server_python()
    assert not server_home.exists()
    fake_uv(tmp_path, status=0)
    assert server_python().exists()


def test_a_folder_with_something_else_is_left_alone(server_home: Path, tmp_path: Path) -> None:
    log = fake_uv(tmp_path, status=0)
    server_home.mkdir(parents=True)
    with pytest.raises(RuntimeError, match="delete it, or set REFLEXIO_SERVER_VENV"):
        server_python()
    assert not log.exists()


async def test_blocking_the_loop_is_caught_in_the_package_alone() -> None:
    def run_as(path: str) -> None:
        exec(compile("import time; time.sleep(0)", path, "exec"))  # noqa: S102

    run_as(__file__)
    with pytest.raises(BlockingError, match=r"time\.sleep"):
        run_as(str(reflexio_async.__file__))
