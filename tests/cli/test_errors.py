"""Errors: one line on stderr in the words of the command line, JSON with --json, a traceback with --debug."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reflexio_async._engine import connection_errors
from reflexio_async.cli import errors
from reflexio_async.cli.errors import own_words
from reflexio_async.reflect.service import REFLECT
from reflexio_async.reflexio.service import REFLEXIO
from reflexio_async.sandbox import faults
from tests.cli.commands import COMMAND
from tests.hang import A_HANG

if TYPE_CHECKING:
    from reflexio_async.sandbox import Sandbox
    from tests.cli.commands import Run

NOTHING_LISTENS = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nonsense"], "no such command 'nonsense' (see reflexio-async --help)"),
        (["jobs", "stop"], "no such command 'stop' (see reflexio-async jobs --help)"),
        (["whoami", "--nonsense"], "no such option: --nonsense (see reflexio-async whoami --help)"),
        (["jobs", "wait"], "missing argument 'TOKEN' (see reflexio-async jobs wait --help)"),
        (["keys", "create", "x"], "missing option '--scope' (see reflexio-async keys create --help)"),
    ],
)
def test_a_mistyped_command_is_one_line_that_says_where_to_look(run: Run, args: list[str], said: str) -> None:
    done = run(*args)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"error: {said}\n")


def test_with_json_bad_input_is_an_object_on_stdout_too(run: Run) -> None:
    done = run("whoami", "--json", "--url", "localhost:8061")
    message = "--url 'localhost:8061' must start with http:// or https://"
    assert done.exit_code == 2
    assert json.loads(done.stdout) == {"error": {"type": "ConfigurationError", "message": message}}
    assert done.stderr == f"error: {message}\n"


def test_with_json_a_mistyped_command_is_an_object_too(run: Run) -> None:
    assert json.loads(run("whoami", "--json", "--nonsense").stdout)["error"]["type"] == "UsageError"


def test_json_tells_what_is_known_of_a_refusal(run: Run, box: Sandbox) -> None:
    box.faults.add(faults.status(403, {"detail": "not yours"}), path="/api/whoami")
    error = json.loads(run("whoami", "--json", "--url", box.url).stdout)["error"]
    assert (error["type"], error["status"], error["outcome_unknown"]) == ("PermissionDenied", 403, False)
    assert "not yours" in error["message"]


def test_json_tells_the_state_and_the_token_of_a_job(run: Run, box: Sandbox) -> None:
    who = ("--user", "u9", "--session", "s9", "--url", box.url)
    done = run("publish", "I like tea", *who, "--wait", "--wait-timeout", "0.1", "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["type"], error["status"]) == (1, "JobTimeout", "running")
    assert run("jobs", "wait", error["token"], "--url", box.url, "--wait-timeout", "0.1").exit_code == 1


def test_bytes_that_are_no_text_do_not_break_an_error(run: Run) -> None:
    done = run("whoami", "\udcff", "--json")
    assert done.exit_code == 2
    assert "got unexpected extra argument" in json.loads(done.stdout)["error"]["message"]


def test_a_system_error_is_named_as_the_system_does(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_command: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/var/data")

    monkeypatch.setattr("reflexio_async.cli.command.run", full)
    assert run("whoami").stderr == "error: /var/data: No space left on device\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["search", "x", "--limit", "0"], "value for '--limit': must be greater than or equal to 1"),
        (
            ["traces", "create", "-", "--task", "x", "--result", "maybe"],
            ": 'maybe' is not one of 'pass'",
        ),
        (
            ["store", "prune", "--store", "x.db", "--older-than", "1e300"],
            "must be less than or equal to 36500",
        ),
    ],
)
def test_an_option_out_of_bounds_is_named_without_the_words_of_pydantic(
    run: Run, args: list[str], said: str
) -> None:
    error = run(*args).stderr
    assert said in error
    assert "Input should" not in error
    assert "Value error" not in error


def test_with_json_the_errors_of_sandbox_are_objects_too(run: Run) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        done = run("sandbox", "--port", str(taken.getsockname()[1]), "--json")
    assert done.exit_code == 2
    assert "Address already in use" in json.loads(done.stdout)["error"]["message"]


def test_an_address_to_listen_at_that_is_none_is_named_with_the_reason(run: Run) -> None:
    error = run("mcp", "--user", "u", "--port", "0", "--host", "999.1.1.1").stderr
    assert error.startswith("error: cannot listen at 999.1.1.1, port 0: ")
    assert "Unknown error" not in error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_behind_stdout_is_one_line_on_stderr() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" > /dev/full', "sh", *COMMAND, "whoami", "--json", "--url", NOTHING_LISTENS],
        check=False,
        stderr=subprocess.PIPE,
        text=True,
        timeout=A_HANG,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_like_the_null_device(closed: str) -> None:
    args = [*COMMAND, "publish", "--user", "u", "--session", "s", "--json"]
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {closed}', "sh", *args],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=A_HANG,
    )
    message = "nothing to publish: the text is empty"
    assert done.returncode == 2
    assert done.stderr == ("" if "2>" in closed else f"error: {message}\n")
    shown = "" if " >" in f" {closed}" else message
    assert shown in done.stdout
    assert bool(shown) == bool(done.stdout)


def test_an_option_after_two_dashes_is_none(run: Run) -> None:
    done = run("jobs", "wait", "--", "--json")
    assert (done.exit_code, done.stdout) == (2, "")


def test_an_error_of_the_address_names_doctor(run: Run) -> None:
    done = run("whoami", "--url", NOTHING_LISTENS, "--json")
    assert done.stderr.endswith(" (reflexio-async doctor says more)\n")
    assert "doctor" not in json.loads(done.stdout)["error"]["message"]


def test_debug_shows_where_an_error_was_raised(run: Run) -> None:
    args = ("whoami", "--url", NOTHING_LISTENS)
    assert "Traceback" not in run(*args).stderr
    shown = run(*args, "--debug").stderr
    assert shown.startswith("Traceback (most recent call last)")
    assert shown.splitlines()[-1].startswith("error: GET /api/whoami: cannot connect to")


def test_a_defect_is_one_line_that_names_debug(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_command: object) -> None:
        message = "boom"
        raise KeyError(message)

    monkeypatch.setattr("reflexio_async.cli.command.run", broken)
    done = run("whoami")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith("(a defect of reflexio-async; --debug shows where)\n")


@pytest.mark.parametrize(
    ("message", "own"),
    [
        (f"401; {REFLEXIO.key_hint}", "401; pass --api-key, or set REFLEXIO_API_KEY"),
        (f"401; {REFLECT.key_hint}", "401; pass --api-key, or set REFLECT_API_KEY"),
        (REFLEXIO.url_hint, "is the base URL (--url, REFLEXIO_API_URL) the API host itself?"),
        (REFLECT.url_hint, "is the base URL (--url, REFLECT_API_URL) the API host itself?"),
        ("user_ids[0]: user_id: must not be empty", "--user: must not be empty"),
        ("top_k: must be at least 1", "--limit: must be at least 1"),
        ("source: must match", "--source: must match"),
        ("the source must match", "the source must match"),
        ("has it /v1/projects/{project_id}/traces?", "has it /v1/projects/{project_id}/traces?"),
    ],
)
def test_the_client_s_arguments_become_options(message: str, own: str) -> None:
    assert own_words(message) == own


def test_the_hint_about_certificates_is_still_the_client_s() -> None:
    """Else ``_PHRASES`` replaces nothing."""
    source = re.sub(r'"\s+"', "", Path(connection_errors.__file__).read_text(encoding="utf-8"))
    patterns = [phrase for phrase, _ in errors._PHRASES if "SSL_CERT_FILE" in phrase]
    assert [bool(re.search(pattern, source)) for pattern in patterns] == [True]
