"""``rerun``: outcomes, exit codes, and messages."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from reflexio_async.sandbox import Sandbox, faults
from tests.cli.commands import (
    call_in,
    finish_reruns,
    outcomes_of,
    sandbox_in_thread,
    sandbox_whose_time_stands,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Run, Start

RERUN = ("POST", "/api/rerun_profile_generation")


def test_completes_all_users_of_a_file(run: Run, box: Sandbox, tmp_path: Path) -> None:
    users = tmp_path / "users.txt"
    users.write_bytes(b"\xef\xbb\xbfu1\r\n\n  # not u9\n u2 \nu3\nu4")
    done = run("rerun", "--users", str(users), "--url", box.url)
    assert (done.exit_code, done.stdout) == (0, "4 completed\n")
    assert "4 users to rerun" in done.stderr
    assert "reruns: 4 of 4 done" in done.stderr
    assert box.count(*RERUN, 200) == box.count(*RERUN) == len(box.operations()) == 4


def test_reads_users_from_standard_input(run: Run, box: Sandbox) -> None:
    assert run("rerun", "--users", "-", "--url", box.url, stdin="u1\nu2\n").stdout == "2 completed\n"


def test_takes_single_users_and_the_address_from_the_environment(
    run: Run, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFLEXIO_API_URL", box.url)
    assert run("rerun", "--user", "u1", "--user", "u2").stdout == "2 completed\n"


def test_goes_on_when_some_fail_and_lists_the_failed_ones(run: Run) -> None:
    with sandbox_in_thread(failing_users=["u2"]) as box:
        for user_id in ("u1", "u2", "u3"):
            box.seed(user_id, "hello")
        done = run("rerun", *("--user=u1", "--user=u2", "--user=[red]u9", "--user=u3"), "--url", box.url)
    assert done.exit_code == 1
    assert "2 completed, 2 failed" in done.stdout
    rows = [line.split("\t")[:2] for line in done.stdout.splitlines() if "\t" in line]
    assert rows == [["u2", "failed"], ["[red]u9", "failed"]]
    assert "Generation failed for 1 user(s)" in done.stdout


def test_writes_an_outcome_per_user_and_a_summary_as_json(run: Run, box: Sandbox) -> None:
    done = run("rerun", "--user", "u1", "--user", "nobody-ü", "--json", "--url", box.url)
    outcomes = outcomes_of(done.stdout)
    assert done.exit_code == 1
    assert outcomes["u1"]["state"] == "completed"
    assert outcomes["u1"]["result"]["profiles_generated"] == 1
    assert outcomes["nobody-ü"]["error"]["type"] == "JobFailed"
    assert "1 completed, 1 failed" in done.stderr
    *first, summary = map(json.loads, done.stdout.splitlines())
    assert {line["event"] for line in first} <= {"outcome", "progress"}
    assert summary == {
        "event": "summary",
        "exit_code": 1,
        "counts": {"completed": 1, "failed": 1},
        "failures": [
            {
                "state": "failed",
                "reason": "No interactions found matching the specified filters",
                "error": "JobFailed",
                "count": 1,
                "first": ["nobody-ü"],
            }
        ],
        "seconds": summary["seconds"],
        "batch_id": None,
        "continue_with": None,
    }


def test_estimates_the_duration_before_it_starts(run: Run, box: Sandbox) -> None:
    users = [f"--user=u{number}" for number in range(11)]
    said = run("rerun", *users, "--url", box.url).stderr
    assert "11 users to rerun: about 2 min where a server begins 5 a minute" in said


def test_promotes_once_when_all_completed(run: Run, box: Sandbox) -> None:
    done = run("rerun", "--user", "u1", "--user", "u2", "--upgrade", "--url", box.url)
    assert done.exit_code == 0
    assert "promoted 2 profiles" in done.stderr
    assert {profile.status for profile in box.stored_profiles} == {None}


def test_promotes_nothing_when_some_did_not_complete(run: Run, box: Sandbox) -> None:
    done = run("rerun", "--user", "u1", "--user", "nobody", "--upgrade", "--url", box.url)
    assert done.exit_code == 1
    assert "nothing was promoted" in done.stderr
    assert box.count("POST", "/api/upgrade_all_profiles") == 0


def test_exits_1_when_the_promotion_is_refused(run: Run, box: Sandbox) -> None:
    box.faults.add(faults.refused("not today"), path="/api/upgrade_all_profiles")
    done = run("rerun", "--user", "u1", "--upgrade", "--url", box.url)
    assert done.exit_code == 1
    assert "error: the promotion was refused: not today\n" in done.stderr


def test_waits_for_a_foreign_rerun_and_says_so(start: Start) -> None:
    with sandbox_whose_time_stands(rerun_seconds=0.0) as box:
        box.seed("u1", "hello")
        call_in(box, partial(box.start_foreign_operation, seconds=10.0))
        process = start("rerun", "--user", "u1", "--url", box.url)
        process.wait_for("another rerun is under way")
        call_in(box, lambda: box.advance(10.0))
        assert process.end()[0] == 0


@pytest.mark.parametrize("dialect", ["uncorrelated", "synchronous"])
def test_works_with_the_older_dialects(run: Run, dialect: str) -> None:
    with sandbox_in_thread(dialect=dialect) as box:
        box.seed("u1", "hello")
        box.seed("u2", "hello")
        assert run("rerun", "--user", "u1", "--user", "u2", "--url", box.url).stdout == "2 completed\n"


def test_a_timeout_prints_a_token_that_jobs_wait_takes(run: Run) -> None:
    with sandbox_whose_time_stands(rerun_seconds=1.0) as box:
        box.seed("u1", "hello")
        timed_out = run("rerun", "--user", "u1", "--wait-timeout", "0.2", "--json", "--url", box.url)
        assert timed_out.exit_code == 1
        outcome = outcomes_of(timed_out.stdout)["u1"]
        assert outcome["state"] == "timed_out"
        finish_reruns(box)
        done = run("jobs", "wait", outcome["token"], "--url", box.url)
        assert done.exit_code == 0
        assert json.loads(done.stdout)["profiles_generated"] == 1
        again = run("jobs", "cancel", outcome["token"], "--url", box.url)
        assert "had ended already: completed" in again.stderr


def test_the_token_of_a_user_that_timed_out_is_on_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with sandbox_in_thread(rerun_seconds=3600) as box:
        box.seed("u1", "hello")
        done = run("rerun", "--user", "u1", "--wait-timeout", "0.2", "--url", box.url)
        [operation] = box.operations()
    [line] = [line for line in done.stdout.splitlines() if line.startswith("u1 goes on at the server; ")]
    token = json.loads(line.partition("its token: ")[2])
    assert token["id"] == operation.operation_id


def test_a_wrong_key_is_one_error_before_anything_starts(run: Run) -> None:
    with sandbox_in_thread(api_key="right") as box:
        done = run("rerun", *(f"--user=u{n}" for n in range(9)), "--api-key", "wrong-123", "--url", box.url)
        assert done.exit_code == 1
        assert done.stderr.startswith("error: GET /api/get_operation_status answered 401")
        assert done.stderr.count("\n") == 1
        assert "wrong-123" not in done.output
        assert box.count(*RERUN) == 0
        box.seed("u1", "hello")
        assert run("rerun", "--user", "u1", "--api-key", "right", "--url", box.url).exit_code == 0


def test_the_error_for_a_web_page_instead_of_the_api_names_the_address(run: Run, box: Sandbox) -> None:
    box.faults.add(faults.html(), times=None)
    done = run("rerun", "--user", "u1", "--url", box.url)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert box.url in done.stderr


def test_the_error_for_an_unreachable_server_is_one_line(run: Run) -> None:
    done = run("rerun", "--user", "u1", "--url", "http://127.0.0.1:9")
    assert done.exit_code == 1
    assert done.stderr.startswith(
        "error: GET /api/get_operation_status: cannot connect to http://127.0.0.1:9"
    )
    assert done.stderr.count("\n") == 1


def test_verbose_shows_the_log_on_stderr(run: Run, box: Sandbox) -> None:
    box.faults.add(faults.crowded(0), path="/api/get_operation_status")
    quiet = run("rerun", "--user", "u1", "--url", box.url)
    box.faults.add(faults.crowded(0), path="/api/get_operation_status")
    loud = run("rerun", "--user", "u1", "--url", box.url, "-v")
    assert (quiet.exit_code, loud.exit_code) == (0, 0)
    assert "INFO GET /api/get_operation_status: try 1 failed (RateLimited)" in loud.stderr
    assert "INFO" not in quiet.stderr
