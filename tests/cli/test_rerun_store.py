"""``rerun --store``: whatever ends it, the same command goes on, and no user is run twice."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reflexio_async.sandbox import faults
from tests.cli.commands import (
    COMMAND,
    eventually,
    finish_reruns,
    outcomes_of,
    sandbox_in_thread,
    sandbox_whose_time_stands,
)
from tests.hang import A_HANG

if sys.platform != "win32":
    import pty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reflexio_async.sandbox import Sandbox
    from tests.cli.commands import Process, Run, Start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

USERS = [f"u{number}" for number in range(1, 7)]
RERUN = ("POST", "/api/rerun_profile_generation")


@pytest.fixture
def slow_box() -> Iterator[Sandbox]:
    with sandbox_in_thread(rerun_seconds=0.4) as box:
        for user_id in USERS:
            box.seed(user_id, "hello")
        yield box


@pytest.fixture
def command(tmp_path: Path, slow_box: Sandbox) -> list[str]:
    """The command of all tests: six users in a file, kept in a store."""
    users = tmp_path / "users.txt"
    users.write_text("\n".join(USERS))
    return ["rerun", "--users", str(users), "--url", slow_box.url, "--store", str(tmp_path / "night.db")]


def starts(box: Sandbox) -> Counter[str]:
    """How often the server has admitted a start, by user."""
    return Counter(operation.params["user_id"] for operation in box.operations())


def under_way(start: Start, command: list[str], box: Sandbox, operations: int = 2) -> Process:
    process = start(*command)
    # After a kill, the lease of the process that is gone ends first.
    eventually(lambda: len(box.operations()) >= operations or process.child.poll() is not None)
    assert process.child.poll() is None
    return process


# --- whatever ends it


def test_after_kills_the_same_command_goes_on_and_starts_no_user_twice(
    start: Start, slow_box: Sandbox, command: list[str]
) -> None:
    for operations in (1, 3):
        process = under_way(start, command, slow_box, operations)
        process.signal(signal.SIGKILL)
        process.end()
    code, out, err = start(*command).end()
    assert (code, out) == (0, "6 completed\n")
    assert " of 6 have ended" in err
    assert starts(slow_box) == dict.fromkeys(USERS, 1)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_after_a_signal_it_says_how_to_go_on_and_that_command_does(
    start: Start, slow_box: Sandbox, command: list[str], number: signal.Signals, code: int
) -> None:
    process = under_way(start, command, slow_box)
    process.signal(number)
    exit_code, _, err = process.end()
    assert exit_code == code
    assert "Traceback" not in err
    (said,) = [line for line in err.splitlines() if line.startswith("continue with: ")]
    again = shlex.split(said.removeprefix("continue with: "))
    assert again == ["reflexio-async", *command]
    code, out, _ = start(*again[1:]).end()
    assert (code, out) == (0, "6 completed\n")
    assert starts(slow_box) == dict.fromkeys(USERS, 1)


def test_after_two_signals_it_says_how_to_go_on_and_that_command_does(
    start: Start, slow_box: Sandbox, command: list[str]
) -> None:
    process = under_way(start, command, slow_box)
    process.signal(signal.SIGINT)
    process.wait_for("stopping")
    process.signal(signal.SIGINT)
    exit_code, _, err = process.end()
    assert exit_code == 130
    assert f"continue with: {shlex.join(['reflexio-async', *command])}\n" in err
    assert start(*command).end()[0] == 0
    assert starts(slow_box) == dict.fromkeys(USERS, 1)


def test_a_closed_terminal_leaves_a_batch_that_goes_on(
    start: Start, slow_box: Sandbox, command: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "night.log"
    controller, terminal = pty.openpty()
    args = [*COMMAND, *command, "--log", str(log)]
    with subprocess.Popen(
        args, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    ) as process:
        os.close(terminal)
        eventually(lambda: len(slow_box.operations()) >= 2)
        os.close(controller)
        process.send_signal(signal.SIGHUP)
        assert process.wait(A_HANG) == 129
    assert "continue with: reflexio-async rerun" in log.read_text()
    assert start(*command).end()[:2] == (0, "6 completed\n")
    assert starts(slow_box) == dict.fromkeys(USERS, 1)


def test_after_a_signal_while_it_waits_for_the_server_it_says_how_to_go_on(
    start: Start, tmp_path: Path
) -> None:
    command = ["rerun", "--user=u1", f"--store={tmp_path / 'night.db'}", "--wait-for-server"]
    process = start(*command, "--url=http://127.0.0.1:9")
    process.wait_for("waiting for the server (Ctrl-C to stop)")
    process.signal(signal.SIGTERM)
    exit_code, _, err = process.end()
    assert exit_code == 143
    assert "left while the server was away: nothing was started\n" in err
    assert "continue with: reflexio-async rerun --user u1 " in err


def test_a_reader_of_the_output_that_is_gone_leaves_the_way_to_go_on_in_the_log(
    command: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "night.log"
    args = [*COMMAND, *command, "--json", "--log", str(log)]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(A_HANG) == 1
    assert "left at once: the reader of the output is gone" in log.read_text()
    assert f"continue with: {shlex.join(['reflexio-async', *command])}" in log.read_text()


def test_a_second_process_with_the_same_command_watches(start: Start, tmp_path: Path) -> None:
    with sandbox_whose_time_stands(rerun_seconds=1.0) as box:
        for user_id in USERS[:3]:
            box.seed(user_id, "hello")
        users = [f"--user={user_id}" for user_id in USERS[:3]]
        command = ["rerun", *users, f"--store={tmp_path / 'night.db'}", f"--url={box.url}"]
        first = under_way(start, command, box, 1)
        second = start(*command)
        second.wait_for("another process drives these jobs")
        finish_reruns(box, 3)
        assert second.end()[:2] == (0, "3 completed\n")
        assert first.end()[:2] == (0, "3 completed\n")
        assert starts(box) == dict.fromkeys(USERS[:3], 1)


def test_on_a_terminal_it_shows_a_bar_and_how_to_go_on(slow_box: Sandbox, command: list[str]) -> None:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    args = [*COMMAND, *command]
    with subprocess.Popen(args, stdin=terminal, stdout=terminal, stderr=terminal, env=environment) as process:
        os.close(terminal)
        eventually(lambda: len(slow_box.operations()) >= 2)
        process.send_signal(signal.SIGINT)
        shown = "".join(everything_of(controller))
        assert process.wait(A_HANG) == 130
    assert "━" in shown
    assert f"continue with: {shlex.join(['reflexio-async', *command])}\r\n" in shown
    assert "Traceback" not in shown


def everything_of(terminal: int) -> Iterator[str]:
    """What is written to a terminal, until it is closed."""
    with suppress(OSError), os.fdopen(terminal, "rb", buffering=0) as file:
        while piece := file.read(4096):
            yield piece.decode(errors="replace")


# --- the same command again


def test_a_batch_that_is_done_is_not_run_again(run: Run, slow_box: Sandbox, command: list[str]) -> None:
    assert run(*command).exit_code == 0
    again = run(*command)
    assert (again.exit_code, again.stdout) == (0, "6 completed\n")
    assert "6 of 6 have ended (6 completed)\n" in again.stderr
    assert "nothing is left to start; with another --batch-id all are run anew" in again.stderr
    assert starts(slow_box) == dict.fromkeys(USERS, 1)


def test_another_batch_id_runs_all_anew(run: Run, slow_box: Sandbox, command: list[str]) -> None:
    for name in ("monday", "tuesday"):
        assert run(*command, "--batch-id", name).exit_code == 0
    assert starts(slow_box) == dict.fromkeys(USERS, 2)


def test_the_order_of_the_users_does_not_matter(run: Run, box: Sandbox, tmp_path: Path) -> None:
    common = ("--store", str(tmp_path / "night.db"), "--url", box.url)
    run("rerun", "--user", "u1", "--user", "u2", *common)
    run("rerun", "--user", "u2", "--user", "u1", *common)
    assert starts(box) == {"u1": 1, "u2": 1}


@pytest.mark.parametrize("other", [["--user", "u3"], ["--source", "chat"]], ids=["users", "source"])
def test_other_users_or_options_are_another_batch(
    run: Run, box: Sandbox, tmp_path: Path, other: list[str]
) -> None:
    common = ("--user", "u1", "--store", str(tmp_path / "night.db"), "--url", box.url)
    run("rerun", *common)
    run("rerun", *common, *other)
    assert starts(box)["u1"] == 2


def test_a_batch_in_the_store_needs_its_id_alone(start: Start, slow_box: Sandbox, command: list[str]) -> None:
    process = under_way(start, [*command, "--batch-id", "night"], slow_box)
    process.signal(signal.SIGINT)
    process.end()
    code, out, _ = start("rerun", *command[3:], "--batch-id", "night").end()
    assert (code, out) == (0, "6 completed\n")
    assert starts(slow_box) == dict.fromkeys(USERS, 1)


def test_a_batch_that_is_not_in_the_store_needs_users(run: Run, box: Sandbox, tmp_path: Path) -> None:
    done = run("rerun", "--batch-id", "x", "--store", str(tmp_path / "night.db"), "--url", box.url)
    assert done.exit_code == 2
    assert done.stderr == (
        "error: --batch-id: the store has no batch 'x'; name its users with --users or --user\n"
    )


def test_every_user_has_a_line_of_json_whenever_it_ended(run: Run, command: list[str]) -> None:
    first, again = (run(*command, "--json") for _ in range(2))
    for done in (first, again):
        rows = list(outcomes_of(done.stdout).values())
        assert {row["key"] for row in rows if row["state"] == "completed"} == set(USERS)
        assert all(row["result"]["profiles_generated"] == 1 for row in rows)


# --- what did not complete


def test_retry_failed_runs_those_again_that_did_not_complete(run: Run, box: Sandbox, tmp_path: Path) -> None:
    command = ("rerun", "--user=u1", "--user=u9", f"--store={tmp_path / 'night.db'}", f"--url={box.url}")
    done = run(*command)
    assert done.exit_code == 1
    (hint,) = [line for line in done.stderr.splitlines() if line.startswith("run again those")]
    again = shlex.split(hint.partition(": ")[2])
    assert again[-1] == "--retry-failed"
    assert run(*command).exit_code == 1
    box.seed("u9", "hello")
    retried = run(*again[1:])
    assert (retried.exit_code, retried.stdout) == (0, "2 completed\n")
    assert starts(box)["u1"] == 1


@pytest.mark.parametrize("plan", [(), ("--dry-run",)])
def test_retry_failed_of_a_batch_that_is_not_there_names_those_that_are_and_starts_nothing(
    run: Run, box: Sandbox, tmp_path: Path, plan: tuple[str, ...]
) -> None:
    command = ("rerun", "--user=u1", f"--store={tmp_path / 'night.db'}", f"--url={box.url}")
    for name in ("monday", "tuesday"):
        assert run(*command, f"--batch-id={name}").exit_code == 0
    done = run(*command, "--retry-failed", "--batch-id=tusday", *plan)
    said = "error: --retry-failed: the store has no batch 'tusday'; it has tuesday, monday\n"
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", said)
    others = run(*command, "--user=u2", "--retry-failed", *plan)  # whose batch is none of these two
    assert others.exit_code == 2
    default = "' (the default name for these ids, this --source and this server)"
    assert others.stderr.endswith(f"{default}; it has tuesday, monday\n")
    assert starts(box) == {"u1": 2}


def test_retry_failed_without_the_store_is_refused_and_makes_none(
    run: Run, box: Sandbox, tmp_path: Path
) -> None:
    store = tmp_path / "night.db"
    done = run("rerun", "--user=u1", "--retry-failed", f"--store={store}", f"--url={box.url}")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --store: ")
    assert done.stderr.count("\n") == 1
    assert not store.exists()
    assert not box.operations()


def test_retry_failed_with_an_empty_store_says_that_it_has_no_batch(
    run: Run, box: Sandbox, tmp_path: Path
) -> None:
    common = (f"--store={tmp_path / 'night.db'}", f"--url={box.url}")
    assert run("rerun", "--batch-id=none", *common).exit_code == 2  # which makes the store
    done = run("rerun", "--user=u1", "--batch-id=x", "--retry-failed", *common)
    said = "error: --retry-failed: the store has no batch 'x'; it has none\n"
    assert (done.exit_code, done.stderr) == (2, said)


def test_failures_of_an_earlier_run_do_not_count(run: Run, slow_box: Sandbox, tmp_path: Path) -> None:
    users = [f"--user={name}" for name in ("x1", "x2", *USERS)]
    command = ["rerun", *users, f"--store={tmp_path / 'night.db'}", f"--url={slow_box.url}"]
    stopped = run(*command, "--max-failures=2")
    assert stopped.exit_code == 1
    assert "continue with: " in stopped.stderr
    assert len(slow_box.operations()) < len(users)
    done = run(*command, "--max-failures=2")
    assert "6 completed, 2 failed" in done.stdout


def test_a_token_is_found_with_the_store(run: Run, command: list[str]) -> None:
    done = run(*command, "--wait-timeout", "0.1", "--json")
    row = next(row for row in outcomes_of(done.stdout).values() if row["state"] == "timed_out")
    waited = run("jobs", "wait", row["token"], *command[3:])
    assert waited.exit_code == 0
    assert json.loads(waited.stdout)["profiles_generated"] == 1


# --- --status


def test_the_status_is_seen_while_another_process_runs(
    run: Run, start: Start, slow_box: Sandbox, command: list[str]
) -> None:
    process = under_way(start, [*command, "--batch-id", "night"], slow_box)
    requests = len(slow_box.requests)
    shown = run(*command, "--status")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("night: 6 users since ")
    assert " completed" in shown.stdout
    row = json.loads(run("rerun", *command[5:], "--status", "--batch-id", "night", "--json").stdout)
    assert (row["id"], row["users"]) == ("night", 6)
    assert sum(row["jobs"].values()) == 6
    assert requests > 0
    assert process.end()[0] == 0


def test_the_status_of_one_batch_shows_why_users_failed(run: Run, box: Sandbox, tmp_path: Path) -> None:
    store = f"--store={tmp_path / 'night.db'}"
    run("rerun", "--user=u1", "--user=nobody", "--batch-id=night", store, f"--url={box.url}")
    shown = run("rerun", "--status", "--batch-id=night", store).stdout
    assert "1 completed, 1 failed" in shown
    assert "No interactions found" in shown


def test_the_status_sends_nothing(run: Run, box: Sandbox, tmp_path: Path) -> None:
    store = f"--store={tmp_path / 'night.db'}"
    run("rerun", "--user=u1", store, f"--url={box.url}")
    asked = len(box.requests)
    run("rerun", "--status", store, f"--url={box.url}")
    assert len(box.requests) == asked


def test_the_status_of_a_batch_that_is_not_there(run: Run, box: Sandbox, tmp_path: Path) -> None:
    store = f"--store={tmp_path / 'night.db'}"
    run("rerun", "--user=u1", store, f"--url={box.url}")
    done = run("rerun", "--status", "--batch-id=x", store)
    (kept,) = [json.loads(line) for line in run("rerun", "--status", store, "--json").stdout.splitlines()]
    said = f"error: --batch-id: the store has no batch 'x'; it has {kept['id']}\n"
    assert (done.exit_code, done.stderr) == (2, said)


# --- --dry-run


def test_a_dry_run_makes_no_store(run: Run, box: Sandbox, tmp_path: Path) -> None:
    store = tmp_path / "night.db"
    done = run("rerun", "--user=u1", "--dry-run", f"--store={store}", f"--url={box.url}")
    assert done.exit_code == 0
    assert not store.exists()


def test_a_dry_run_says_that_the_store_cannot_be_made(run: Run, box: Sandbox, tmp_path: Path) -> None:
    store = tmp_path / "missing" / "night.db"
    done = run("rerun", "--user=u1", "--dry-run", f"--store={store}", f"--url={box.url}")
    problem = f"--store: '{store}' cannot be made: there is no folder {store.parent}. Make it first"
    assert (done.exit_code, done.stderr) == (2, f"error: {problem}\n")


def test_a_dry_run_says_how_far_the_batch_is_and_starts_nothing(
    start: Start, run: Run, slow_box: Sandbox, command: list[str]
) -> None:
    process = under_way(start, command, slow_box)
    process.signal(signal.SIGINT)
    process.end()
    started = len(slow_box.operations())
    done = run(*command, "--dry-run")
    assert done.exit_code == 0
    assert " of 6 have ended (" in done.stdout
    assert len(slow_box.operations()) == started
    assert json.loads(run(*command, "--dry-run", "--json").stdout)["batch"]["users"] == 6


# --- stores that cannot be used


def one_error(run: Run, command: list[str]) -> str:
    done = run(*command)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_file_of_a_newer_release_is_one_error(run: Run, slow_box: Sandbox, command: list[str]) -> None:
    with sqlite3.connect(command[6]) as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    assert "newer release" in one_error(run, command)
    assert slow_box.count(*RERUN) == 0


def test_a_file_that_another_program_has_locked_is_one_error_and_the_way_to_go_on(
    run: Run, slow_box: Sandbox, command: list[str]
) -> None:
    run("rerun", "--user=u1", *command[3:])
    started = slow_box.count(*RERUN)
    with sqlite3.connect(command[6], isolation_level=None) as connection:
        connection.execute("begin exclusive")
        done = run(*command)
    connection.close()
    assert (done.exit_code, done.stdout) == (1, "")
    *_, way, error = done.stderr.splitlines()
    assert way == f"continue with: {shlex.join(['reflexio-async', *command])}"
    assert error.startswith("error: ")
    assert f"{command[6]} cannot be used: another program keeps it locked" in error
    assert slow_box.count(*RERUN) == started


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--user=u", "--status"], "--status, --retry-failed and --batch-id are about a store"),
        (["--user=u", "--batch-id=x"], "--status, --retry-failed and --batch-id are about a store"),
        (["--user=u", "--retry-failed"], "--status, --retry-failed and --batch-id are about a store"),
        (["--store=f", "--status", "--dry-run"], "leave out --dry-run and --retry-failed"),
        (["--store=no-such-file", "--status"], "there is no file 'no-such-file'"),
        (
            ["--store=f"],
            "no users: name them, or a file with --users, or a batch of the store with --batch-id",
        ),
        (["--user=u", "--store="], "store must be a path as text, or a postgresql:// URL"),
        (["--user=u", "--store=:memory:"], "store=':memory:' would keep nothing"),
    ],
)
def test_bad_options_of_a_store(run: Run, args: list[str], said: str) -> None:
    done = run("rerun", *args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_way_to_go_on_shows_no_key(start: Start, slow_box: Sandbox, command: list[str]) -> None:
    process = under_way(start, [*command, "--api-key", "hunter2"], slow_box)
    process.signal(signal.SIGINT)
    _, out, err = process.end()
    assert "continue with: " in err
    assert "hunter2" not in out + err


def test_users_from_standard_input_need_not_be_given_again(
    start: Start, slow_box: Sandbox, command: list[str]
) -> None:
    args = [*COMMAND, "rerun", "--users", "-", *command[3:]]
    with (
        Path(command[2]).open() as users,
        subprocess.Popen(args, stdin=users, stderr=subprocess.PIPE, text=True) as process,
    ):
        eventually(slow_box.operations)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=A_HANG)
    (said,) = [line for line in err.splitlines() if line.startswith("continue with: ")]
    code, out, _ = start(*shlex.split(said.removeprefix("continue with: "))[1:]).end()
    assert (code, out) == (0, "6 completed\n")
    assert starts(slow_box) == dict.fromkeys(USERS, 1)


def test_the_password_of_a_database_is_not_shown(start: Start) -> None:
    store = "postgresql://ana:geheim@127.0.0.1:9/db"
    code, out, err = start("rerun", "--user=u", "--store", store, "--url", "http://127.0.0.1:9").end()
    assert code in (1, 2)
    assert err.count("\n") == 1
    assert "geheim" not in out + err


# --- promoting


def test_a_batch_that_is_run_twice_is_promoted_once(run: Run, box: Sandbox, tmp_path: Path) -> None:
    store = str(tmp_path / "night.db")
    args = ("rerun", "--user", "u1", "--user", "u2", "--upgrade", "--store", store, "--url", box.url)
    assert [run(*args).exit_code for _ in range(2)] == [0, 0]
    assert box.count("POST", "/api/upgrade_all_profiles") == 1


def test_a_promotion_of_a_stored_batch_that_is_refused_is_exit_code_1(
    run: Run, box: Sandbox, tmp_path: Path
) -> None:
    store = str(tmp_path / "night.db")
    box.faults.add(faults.refused("not today"), path="/api/upgrade_all_profiles")
    done = run("rerun", "--user", "u1", "--upgrade", "--store", store, "--url", box.url)
    assert done.exit_code == 1
    assert "not today" in done.stderr
