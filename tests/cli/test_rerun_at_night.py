"""``rerun`` while nobody watches: its log, its limits, and a server that is away."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reflexio_async.sandbox import Sandbox, faults
from tests.cli.commands import outcomes_of, sandbox_in_thread
from tests.transport.servers import closed_port

if TYPE_CHECKING:
    from tests.cli.commands import Run, Start

RERUN = ("POST", "/api/rerun_profile_generation")
TIMED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4} ")


def lines_of(log: Path) -> list[str]:
    """The lines of a log, without their times."""
    lines = log.read_text().splitlines()
    assert all(TIMED.match(line) for line in lines)
    return [TIMED.sub("", line) for line in lines]


# --- --log


def test_the_log_tells_the_plan_each_failure_and_the_end(run: Run, box: Sandbox, tmp_path: Path) -> None:
    log = tmp_path / "night.log"
    done = run("rerun", "--user", "u1", "--user", "nobody", "--log", str(log), "--url", box.url)
    assert done.exit_code == 1
    plan, failure, progress, summary = lines_of(log)
    assert plan == "INFO 2 users to rerun"
    assert failure == "WARNING nobody: failed: No interactions found matching the specified filters"
    assert progress.startswith("INFO reruns: 2 of 2 done, 1 failed, ")
    assert summary == "INFO 1 completed, 1 failed"


def test_a_log_is_appended_to(run: Run, box: Sandbox, tmp_path: Path) -> None:
    log = tmp_path / "night.log"
    for _ in range(2):
        run("rerun", "--user", "u1", "--log", str(log), "--url", box.url)
    assert lines_of(log).count("INFO 1 completed") == 2


def test_an_error_before_the_start_is_in_the_log(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "night.log"
    done = run("rerun", "--user", "u1", "--log", str(log), "--url", "http://127.0.0.1:9")
    assert done.exit_code == 1
    assert lines_of(log)[-1].startswith("ERROR GET /api/get_operation_status: cannot connect to")


def test_what_the_client_says_about_the_server_is_in_the_log(run: Run, box: Sandbox, tmp_path: Path) -> None:
    log = tmp_path / "night.log"
    box.faults.add(faults.crowded(0), path="/api/get_operation_status")
    run("rerun", "--user", "u1", "--log", str(log), "--url", box.url)
    assert lines_of(log)[0].startswith("INFO GET /api/get_operation_status: try 1 failed (RateLimited)")


def test_a_control_character_in_an_id_cannot_begin_a_line_of_the_log(
    run: Run, box: Sandbox, tmp_path: Path
) -> None:
    log = tmp_path / "night.log"
    run("rerun", "--user", "no\nbody\x1b[2J", "--log", str(log), "--url", box.url)
    assert any(r"no body\x1b[2J: failed: " in line for line in lines_of(log))


def test_the_log_holds_no_key(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "night.log"
    with sandbox_in_thread(api_key="top-secret-1") as box:
        box.seed("u1", "hello")
        run("rerun", "--user", "u1", "--api-key", "top-secret-1", "--log", str(log), "--url", box.url)
    assert "top-secret-1" not in log.read_text()


@pytest.mark.parametrize("name", ["", "no/such/folder/x.log", "a\0b"])
def test_a_log_that_cannot_be_written_is_one_error_before_anything_starts(
    run: Run, box: Sandbox, name: str
) -> None:
    done = run("rerun", "--user", "u1", "--log", name, "--url", box.url)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --log: ")
    assert done.stderr.count("\n") == 1
    assert not box.requests


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_does_not_end_the_run(run: Run, box: Sandbox) -> None:
    done = run("rerun", "--user", "u1", "--log", "/dev/full", "--url", box.url)
    assert (done.exit_code, done.stdout) == (0, "1 completed\n")
    assert done.stderr.count("error: --log: the file cannot be written any more; the run goes on") == 1


# --- --max-failures


def test_after_that_many_failures_nothing_more_is_started(run: Run, box: Sandbox) -> None:
    users = [f"--user={name}" for name in ("nobody", "u1", "no one", "u2", "u3")]
    done = run("rerun", *users, "--max-failures", "2", "--concurrency", "1", "--json", "--url", box.url)
    states = {key: row["state"] for key, row in outcomes_of(done.stdout).items()}
    assert done.exit_code == 1
    assert states == {
        "nobody": "failed",
        "u1": "completed",
        "no one": "failed",
        "u2": "cancelled",
        "u3": "cancelled",
    }
    said = "2 did not complete, the most that --max-failures allows: nothing more is started\n"
    assert done.stderr.count(said) == 1


def test_fewer_failures_stop_nothing(run: Run, box: Sandbox) -> None:
    users = [f"--user={name}" for name in ("nobody", "u1", "u2")]
    done = run("rerun", *users, "--max-failures", "2", "--url", box.url)
    assert "2 completed, 1 failed" in done.stdout


def test_no_failures_at_all_is_no_number_of_failures(run: Run) -> None:
    assert run("rerun", "--user", "u", "--max-failures", "0").exit_code == 2


# --- --dry-run


def test_a_dry_run_starts_nothing_and_shows_the_plan(run: Run, box: Sandbox) -> None:
    users = [f"--user=u{number}" for number in range(11)]
    done = run("rerun", *users, "--dry-run", "--url", box.url)
    assert done.exit_code == 0
    plan = "about 2 min where a server begins 5 a minute (the published limit), sooner where it begins more"
    assert done.stdout.splitlines() == [
        f"{box.url} answers, and takes this key",
        f"11 users to rerun: {plan}",
        "would send: POST /api/rerun_profile_generation, 11 times, one after another",
        "the first: 'u0', 'u1', 'u2', 'u3', 'u4', …",
        "nothing was started, because of --dry-run",
    ]
    assert box.count(*RERUN) == 0


def test_a_dry_run_for_programs(run: Run, box: Sandbox) -> None:
    done = run("rerun", "--user", "u1", "--dry-run", "--json", "--url", box.url)
    assert json.loads(done.stdout) == {
        "event": "plan",
        "server": box.url,
        "users": 1,
        "first": ["u1"],
        "request": "POST /api/rerun_profile_generation",
        "requests": 1,
        "per_minute": 5,
        "seconds": 0.0,
        "batch": None,
    }


def test_a_dry_run_with_a_wrong_key_is_an_error(run: Run) -> None:
    with sandbox_in_thread(api_key="right") as box:
        done = run("rerun", "--user", "u1", "--dry-run", "--api-key", "wrong-123", "--url", box.url)
    assert done.exit_code == 1
    assert "answered 401" in done.stderr


# --- --wait-for-server


def test_it_waits_for_a_server_that_is_not_there_yet(start: Start) -> None:
    port = closed_port()
    process = start("rerun", "--user=u1", "--wait-for-server", "--url", f"http://127.0.0.1:{port}")
    process.wait_for(
        "waiting for the server (Ctrl-C to stop): GET /api/get_operation_status: cannot connect to "
        f"http://127.0.0.1:{port} (Connection refused); is it running? is the base URL (--url, REFLEXIO_API"
    )
    with sandbox_in_thread(port=port) as box:
        box.seed("u1", "hello")
        exit_code, out, err = process.end()
    assert (exit_code, out) == (0, "1 completed\n")
    assert "the server answers\n" in err


def test_it_does_not_wait_for_a_server_that_refuses_the_key(run: Run) -> None:
    with sandbox_in_thread(api_key="right") as box:
        done = run("rerun", "--user", "u1", "--wait-for-server", "--api-key", "wrong-123", "--url", box.url)
    assert done.exit_code == 1
    assert "answered 401" in done.stderr


# --- what it waits for


def test_the_progress_says_when_the_limit_opens(start: Start) -> None:
    with sandbox_in_thread(rate_limits=True, rerun_seconds=0.01) as box:
        users = [f"u{number}" for number in range(7)]
        for user in users:
            box.seed(user, "hello")
        process = start("rerun", *(f"--user={user}" for user in users), "--url", box.url)
        process.wait_for("quota opens in ")
        process.child.kill()
