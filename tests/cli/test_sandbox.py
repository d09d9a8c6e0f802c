"""The command ``sandbox``: what it prints, what it keeps, and its faults."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.cli.commands import eventually
from tests.hang import A_HANG

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.cli.commands import Process, Run, Start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


def announced(process: Process) -> tuple[dict[str, str], str]:
    """The variables that it exports, and everything that it printed up to the last of them."""
    said: list[str] = []
    exported: dict[str, str] = {}
    assert process.child.stdout is not None
    for line in process.child.stdout:
        said.append(line)
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").strip().partition("=")
            exported[name] = value
        if "export REFLECT_API_KEY=" in line:
            return exported, "".join(said)
    return exported, "".join(said)


def asked(url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", "User-Agent": "tests", **(headers or {})}
    try:
        with urlopen(Request(url, data, sent), timeout=A_HANG) as response:  # noqa: S310  # http, to ourselves
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def published(url: str, request_id: str, text: str = "I like tea") -> bool:
    turns = [{"role": "user", "content": text}]
    body = {"user_id": "u", "session_id": "s", "request_id": request_id, "interaction_data_list": turns}
    return bool(asked(f"{url}/api/publish_interaction", body)[1]["success"])


def stored(url: str) -> set[str]:
    _, answer = asked(f"{url}/api/get_requests", {"top_k": 1000})
    sessions = answer["sessions"]
    return {entry["request"]["request_id"] for session in sessions for entry in session["requests"]}


def test_it_serves_both_services_and_prints_their_addresses(start: Start) -> None:
    process = start("sandbox", "--port", "0", "--reflect-port", "0")
    exported, said = announced(process)
    assert set(exported) == {"REFLEXIO_API_URL", "REFLECT_API_URL", "REFLECT_API_KEY"}
    assert "forgets everything when it ends" in said
    assert asked(f"{exported['REFLEXIO_API_URL']}/health")[0] == 200
    shown = {"Authorization": f"Bearer {exported['REFLECT_API_KEY']}"}
    status, traces = asked(f"{exported['REFLECT_API_URL']}/v1/projects/p/traces", headers=shown)
    assert (status, traces) == (200, [])
    process.signal(signal.SIGTERM)
    assert process.end() == (0, "stopped\n", "")


def test_as_json_it_prints_one_object(start: Start) -> None:
    process = start("sandbox", "--port", "0", "--json")
    assert process.child.stdout is not None
    found = json.loads(process.child.stdout.readline())
    assert asked(f"{found['url']}/api/whoami")[0] == 200
    assert found["reflect_api_key"]
    process.signal(signal.SIGTERM)
    assert process.end()[:2] == (0, "")


def test_its_keys_are_needed_and_never_printed(start: Start) -> None:
    process = start("sandbox", "--port=0", "--api-key", "k3y", "--reflect-api-key", "m4ster")
    exported, said = announced(process)
    assert set(exported) == {"REFLEXIO_API_URL", "REFLECT_API_URL"}
    assert "\n# export REFLEXIO_API_KEY=… (the key you gave with --api-key)\n" in said
    assert said.endswith("\n# export REFLECT_API_KEY=… (the key you gave with --reflect-api-key)\n")
    whoami = f"{exported['REFLEXIO_API_URL']}/api/whoami"
    assert asked(whoami)[0] == 401
    assert asked(whoami, headers={"Authorization": "Bearer k3y"})[0] == 200
    traces = f"{exported['REFLECT_API_URL']}/v1/projects/p/traces"
    assert asked(traces)[0] == 401
    assert asked(traces, headers={"Authorization": "Bearer m4ster"})[0] == 200
    process.signal(signal.SIGINT)
    exit_code, out, err = process.end()
    assert exit_code == 0
    assert "k3y" not in said + out + err
    assert "m4ster" not in said + out + err


def test_reflect_listens_one_port_above_by_default(start: Start) -> None:
    port = _two_free_ports()
    exported, _ = announced(start("sandbox", "--port", str(port)))
    assert exported["REFLEXIO_API_URL"] == f"http://127.0.0.1:{port}"
    assert exported["REFLECT_API_URL"] == f"http://127.0.0.1:{port + 1}"


def _two_free_ports() -> int:
    while True:
        with closing(socket.socket()) as first, closing(socket.socket()) as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def test_the_error_for_a_port_in_use_names_the_option(start: Start) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        exit_code, out, err = start("sandbox", "--port", "0", "--reflect-port", str(port)).end()
    assert (exit_code, out) == (2, "")
    said = f"cannot listen on port {port}: Address already in use (--reflect-port 0 picks a free one)"
    assert err == f"error: {said}\n"


def test_answered_publishes_survive_kill_9(start: Start, tmp_path: Path) -> None:
    data = str(tmp_path / "box.db")
    process = start("sandbox", "--port=0", "--data", data, "--rate-limits=off")
    exported, said = announced(process)
    assert f"keeps everything in {data}" in said
    url = exported["REFLEXIO_API_URL"]
    acknowledged: set[str] = set()
    enough = asyncio.Event()

    async def publish_until_it_is_killed(writer: int) -> None:
        number = 0
        while True:
            request_id = f"{writer}-{number}"
            try:
                await asyncio.to_thread(published, url, request_id)
            except (OSError, ValueError):
                return
            acknowledged.add(request_id)
            if len(acknowledged) == 60:
                enough.set()
            number += 1

    async def write_and_kill() -> None:
        writers = [asyncio.create_task(publish_until_it_is_killed(writer)) for writer in range(4)]
        await enough.wait()
        process.signal(signal.SIGKILL)
        await asyncio.gather(*writers)

    asyncio.run(write_and_kill())
    assert process.end()[0] == -signal.SIGKILL
    exported, _ = announced(start("sandbox", "--port=0", "--data", data))
    assert acknowledged <= stored(exported["REFLEXIO_API_URL"])


def test_an_operation_that_was_killed_keeps_its_slot(start: Start, tmp_path: Path) -> None:
    data = str(tmp_path / "box.db")
    options = ("sandbox", "--port=0", "--data", data, "--rerun-seconds=3600")
    process = start(*options)
    url = announced(process)[0]["REFLEXIO_API_URL"]
    assert published(url, "r")
    assert asked(f"{url}/api/rerun_profile_generation", {"user_id": "u"})[1]["success"]
    process.signal(signal.SIGKILL)
    process.end()
    url = announced(start(*options))[0]["REFLEXIO_API_URL"]
    _, found = asked(f"{url}/api/get_operation_status?service_name=profile_generation")
    assert found["operation_status"]["status"] == "in_progress"
    assert not asked(f"{url}/api/rerun_profile_generation", {"user_id": "u"})[1]["success"]


def test_background_work_is_kept_without_a_further_request(start: Start, tmp_path: Path) -> None:
    data = tmp_path / "box.db"
    process = start("sandbox", "--port=0", "--data", str(data), "--rerun-seconds=0.2")
    url = announced(process)[0]["REFLEXIO_API_URL"]
    assert published(url, "r")
    assert asked(f"{url}/api/rerun_profile_generation", {"user_id": "u"})[1]["success"]
    wal = data.with_name("box.db-wal")
    eventually(lambda: b"User mentioned: I like tea" in wal.read_bytes())
    process.signal(signal.SIGKILL)
    process.end()
    url = announced(start("sandbox", "--port=0", "--data", str(data)))[0]["REFLEXIO_API_URL"]
    _, found = asked(f"{url}/api/get_profiles", {"user_id": "u", "status_filter": ["pending"]})
    assert [row["content"] for row in found["user_profiles"]] == ["User mentioned: I like tea"]


def test_scripted_faults_happen(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "faults.toml"
    script.write_text("[[fault]]\naction = 'status'\ncode = 503\npath = '/health'\ntimes = 2\n")
    process = start("sandbox", "--port=0", "--faults", str(script))
    exported, said = announced(process)
    assert "1 fault is scripted" in said
    statuses = [asked(f"{exported['REFLEXIO_API_URL']}/health")[0] for _ in range(3)]
    assert statuses == [503, 503, 200]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[[fault]\n", "faults.toml: not TOML: "),
        (b"[[fault]]\naction = 'frieze'\n", "faults.toml: fault 1: action: 'frieze' is unknown"),
        (b"\xff\xfe", "faults.toml: not UTF-8 text"),
        (b"[[fault]]\naction = 'delay'\nseconds = " + b"9" * 400, "(delay): seconds: expected a number"),
        (b"[[fault]]\naction = 'delay'\nseconds = 0x" + b"f" * 5000, "(delay): seconds: expected a number"),
        (b"[[fault]]\naction = 'delay'\nseconds = " + b"9" * 5000, "faults.toml: not TOML: "),
        (b"a = " + b"[" * 20_000, "faults.toml: not TOML: nested too deep"),
    ],
    ids=[
        "not TOML",
        "an unknown action",
        "not UTF-8",
        "400 digits",
        "5000 digits in base 16",
        "5000 digits",
        "too deep",
    ],
)
def test_a_bad_script_of_faults_is_an_error(run: Run, tmp_path: Path, content: bytes, said: str) -> None:
    script = tmp_path / "faults.toml"
    script.write_bytes(content)
    done = run("sandbox", "--port=0", "--faults", str(script))
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_missing_script_of_faults_is_an_error(run: Run, tmp_path: Path) -> None:
    done = run("sandbox", "--port=0", "--faults", str(tmp_path / "none.toml"))
    assert done.exit_code == 2
    assert done.stderr.endswith("none.toml: cannot be read: No such file or directory\n")


def test_a_file_that_is_no_data_file_is_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear diary, " * 100)
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as database:
        database.execute("CREATE TABLE theirs (x)")
    for name, said in (("diary.txt", "not a SQLite file"), ("theirs.db", "not one of a sandbox")):
        done = run("sandbox", "--port=0", "--data", str(tmp_path / name))
        assert (done.exit_code, done.stdout) == (2, "")
        assert said in done.stderr


def test_a_data_file_in_use_is_an_error(start: Start, tmp_path: Path) -> None:
    options = ("sandbox", "--port=0", "--data", str(tmp_path / "box.db"))
    first = start(*options)
    announced(first)
    exit_code, out, err = start(*options).end()
    assert (exit_code, out) == (2, "")
    assert err.endswith("box.db: in use by another running sandbox\n")
    first.signal(signal.SIGTERM)
    assert first.end()[0] == 0
    assert announced(start(*options))[0]
