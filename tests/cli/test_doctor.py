"""``doctor``: for every mistake it says what is wrong and what to fix."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async.sandbox import faults
from tests.cli.commands import sandbox_in_thread
from tests.hang import A_HANG
from tests.transport.certificates import Authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator

    from reflexio_async.sandbox import Sandbox
    from tests.cli.commands import Run


@contextmanager
def server(answer: bytes, tls: ssl.SSLContext | None = None) -> Generator[str]:
    """A server that gives one answer to everything. Yields its host and port."""
    ready = threading.Event()
    found: list[Any] = []

    async def serve() -> None:
        async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1000)
            writer.write(answer)
            writer.close()

        listener = await asyncio.start_server(respond, "127.0.0.1", 0, ssl=tls)
        stopped = asyncio.Event()
        found.extend([listener.sockets[0].getsockname()[1], asyncio.get_running_loop(), stopped])
        ready.set()
        await stopped.wait()
        listener.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(A_HANG)
        yield f"127.0.0.1:{found[0]}"
        found[1].call_soon_threadsafe(found[2].set)
    finally:
        thread.join(A_HANG)


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", "")
    return "\r\n".join(lines).encode() + body


def checks(run: Run, *args: str, exit_code: int) -> dict[str, dict[str, str]]:
    """The checks by name, as ``--json`` has them."""
    done = run("doctor", "--json", *args)
    assert done.exit_code == exit_code, done.output
    found = json.loads(done.stdout)
    assert found["ok"] == (exit_code == 0)
    return {check.pop("name"): check for check in found["checks"]}


def problem(run: Run, url: str, name: str = "address") -> dict[str, str]:
    """The only problem."""
    found = checks(run, "--url", url, exit_code=1)
    assert [name for name, check in found.items() if check["state"] == "problem"] == [name]
    return found[name]


def test_all_is_well(run: Run, box: Sandbox) -> None:
    done = run("doctor", "--url", box.url)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[-1] == "all is well"
    assert {line.split()[0] for line in lines[:-1]} == {"ok"}
    assert f"address: {box.url} answers in" in done.stdout
    assert "key: none is needed; organisation self-host-org" in done.stdout


def test_it_checks_reflect_where_there_is_one(
    run: Run, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFLECT_API_URL", box.reflect_url)
    monkeypatch.setenv("REFLECT_API_KEY", box.reflect_key)
    assert checks(run, "--url", box.url, exit_code=0)["reflect"]["state"] == "ok"
    monkeypatch.setenv("REFLECT_API_KEY", "another")
    refused = checks(run, "--url", box.url, exit_code=1)["reflect"]
    assert "refuses the key" in refused["detail"]
    assert "REFLECT_API_KEY" in refused["fix"]


def test_nothing_listens_there(run: Run) -> None:
    found = problem(run, "http://127.0.0.1:9")
    assert found["detail"].startswith("cannot connect to http://127.0.0.1:9 (")
    assert found["fix"].startswith("start the server, or correct host and port in --url or REFLEXIO_API_URL")
    assert "reflexio-async sandbox" in found["fix"]


def test_the_hosted_service_is_named_where_no_address_is_set(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REFLEXIO_API_URL")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing is sent to it
    assert "hosted service" in checks(run, exit_code=1)["address"]["fix"]


def test_https_where_the_server_speaks_http(run: Run, box: Sandbox) -> None:
    assert problem(run, box.url.replace("http:", "https:"))["fix"] == f"use {box.url}"


def test_http_where_the_server_speaks_https(run: Run) -> None:
    with server(http("200 OK", b"{}"), tls=Authority().server()) as place:
        assert problem(run, f"http://{place}")["fix"] == f"use https://{place}"


def test_a_certificate_of_an_unknown_authority(run: Run) -> None:
    with server(http("200 OK", b"{}"), tls=Authority().server()) as place:
        found = problem(run, f"https://{place}", "certificate")
    assert "is not valid" in found["detail"]
    assert "set SSL_CERT_FILE" in found["fix"]


def test_another_server_at_that_port(run: Run) -> None:
    with server(http("404 Not Found", b"<html>nginx</html>")) as place:
        found = problem(run, f"http://{place}")
    assert "answers 404, not as a Reflexio server does" in found["detail"]
    assert "correct host, port and path" in found["fix"]


def test_a_proxy_without_a_server_behind_it(run: Run) -> None:
    with server(http("502 Bad Gateway", b"<html>nginx</html>")) as place:
        assert "does not reach it" in problem(run, f"http://{place}")["fix"]


def test_a_redirect_names_the_place(run: Run) -> None:
    answer = http("308 Permanent Redirect", b"", "Location: https://api.example/health")
    with server(answer) as place:
        assert problem(run, f"http://{place}")["fix"] == "use https://api.example"


def test_what_is_no_http_server(run: Run) -> None:
    with server(b"220 mail.example ESMTP\r\n") as place:
        assert problem(run, f"http://{place}")["fix"].startswith("start the server, or correct host and port")


def test_a_reflect_server_in_place_of_reflexio(run: Run, box: Sandbox) -> None:
    found = problem(run, box.reflect_url)
    assert "not of Reflexio" in found["detail"]
    assert "REFLECT_API_URL" in found["fix"]


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_clock_that_is_wrong(run: Run, box: Sandbox, seconds: int) -> None:
    box.skew(seconds)
    found = problem(run, box.url, "clock")
    assert f"60 min {'behind' if seconds > 0 else 'ahead of'} the server's" in found["detail"]
    assert "NTP" in found["fix"]


def test_a_key_that_is_missing(run: Run) -> None:
    with sandbox_in_thread(api_key="right") as box:
        found = problem(run, box.url, "key")
    assert found["detail"] == "there is none, and the server wants one"
    assert "REFLEXIO_API_KEY" in found["fix"]


def test_a_key_that_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFLEXIO_API_KEY", "wrong-key")
    with sandbox_in_thread(api_key="right") as box:
        done = run("doctor", "--url", box.url)
    assert done.exit_code == 1
    assert "problem  key: the server refuses it\n         → make a new key; or" in done.stdout
    assert done.stdout.endswith("1 problem\n")
    assert "wrong-key" not in done.output


def test_learning_that_has_stopped(run: Run, box: Sandbox) -> None:
    box.faults.add(faults.status(200, {"stalled": True, "reason": "billing"}), path="/stall_state")
    found = problem(run, box.url, "learning")
    assert "has stopped: billing" in found["detail"]
    assert "language model" in found["fix"]


def test_a_limit_that_is_reached(run: Run, box: Sandbox) -> None:
    answer = faults.status(429, {"error": "Rate limit exceeded: 5 per 1 minute"})
    box.faults.add(answer, path="/api/get_operation_status", times=None)
    assert "wait a minute" in problem(run, box.url, "limits")["fix"]


def test_a_server_of_january(run: Run) -> None:
    with sandbox_in_thread() as box:
        box.faults.add(faults.status(404, {"detail": "Not Found"}), path="/meta/version", times=None)
        assert checks(run, "--url", box.url, exit_code=0)["version"]["state"] == "warning"


def test_a_proxy_of_the_environment_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(http("403 Forbidden")) as place:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@{place}")
        done = run("doctor", "--url", "http://reflexio.invalid")
    assert done.exit_code == 1
    assert f"proxy: http://{place}, of the environment" in done.stdout
    assert "secret" not in done.output


def test_an_address_that_is_none_is_bad_input(run: Run) -> None:
    done = run("doctor", "--url", "localhost:8061")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "error: --url 'localhost:8061' must start with http:// or https://\n"
