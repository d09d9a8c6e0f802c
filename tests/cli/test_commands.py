"""The demo, and the commands that make one call."""

from __future__ import annotations

import json
import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest

import reflexio_async
from reflexio_async.cli import demo, main
from reflexio_async.sandbox import Sandbox, faults
from tests.cli.commands import COMMAND, sandbox_in_thread

if TYPE_CHECKING:
    from tests.cli.commands import Run, Start


def test_the_demo_succeeds_and_prints_the_counts_of_the_server(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes: list[Sandbox] = []

    class Watched(Sandbox):
        async def start(self) -> None:
            boxes.append(self)
            await super().start()

    monkeypatch.setattr(demo, "Sandbox", Watched)
    done = run("demo")
    assert done.exit_code == 0
    (box,) = boxes
    posts = box.count("POST", "/api/rerun_profile_generation")
    assert (posts, len(box.operations())) == (40, 40)
    assert "40 reruns asked for at once, 40 completed" in done.stdout
    assert "the server received 40 POSTs for 40 reruns, and refused 0." in done.stdout
    claimed = re.search(r"^(\d+) status requests", done.stdout, re.MULTILINE)
    assert claimed is not None
    assert int(claimed[1]) == box.count("GET", "/api/get_operation_status") < 40 * 5
    learnt = {profile.user_id: profile.content for profile in box.stored_profiles}
    rows = [line for line in done.stdout.splitlines() if line.strip().startswith("user-")]
    assert len(rows) == len(learnt) == 40
    assert all(learnt[row.split()[0]] in row and " completed " in row for row in rows)
    assert "reruns: 40 of 40 done" in done.stdout


def test_as_json_the_demo_writes_the_counts(run: Run) -> None:
    found = json.loads(run("demo", "--json").stdout)
    assert (found["reruns"], found["completed"], found["posts"], found["admitted"]) == (40, 40, 40, 40)


def test_the_demo_fails_when_not_all_complete(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unlucky(Sandbox):
        async def start(self) -> None:
            self.faults.add(faults.refused("no", field_name="msg"), path="/api/rerun_profile_generation")
            await super().start()

    monkeypatch.setattr(demo, "Sandbox", Unlucky)
    monkeypatch.setattr(demo, "_rerun_seconds", 0.0)
    done = run("demo")
    assert done.exit_code == 1
    assert "39 completed, 1 failed" in done.stdout
    assert "the server received 40 POSTs for 40 reruns, and refused 1." in done.stdout


def test_the_demo_shows_a_bar_on_a_terminal(start: Start) -> None:
    exit_code, out, err = start("demo", FORCE_COLOR="1", TERM="xterm").end()
    assert (exit_code, err) == (0, "")
    assert "━" in out
    assert "40/40" in out


def test_whoami_names_the_organisation(run: Run, box: Sandbox) -> None:
    done = run("whoami", "--url", box.url)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == [f"server: {box.url}", "organisation: self-host-org"]


def test_publish_prints_the_request_id_and_stores_the_text(run: Run, box: Sandbox) -> None:
    who = ("publish", "--user", "u9", "--session", "s9", "--url", box.url)
    for args, stdin in (
        (["I like tea", "--role", "assistant"], None),
        ([], "I like tea"),
        (["-"], "I like tea"),
    ):
        done = run(*who, *args, stdin=stdin)
        assert done.exit_code == 0
        stored = box.stored_requests[done.stdout.strip()]
        assert (stored.user_id, stored.session_id) == ("u9", "s9")
        assert [turn.content for turn in stored.interactions] == ["I like tea"]


def test_publish_waits_for_learning_when_asked_to(run: Run, box: Sandbox) -> None:
    who = ("publish", "--user", "u9", "--session", "s9", "--url", box.url, "I like tea", "--wait")
    done = run(*who, "--learn-now")
    assert done.exit_code == 0
    assert "learning is over: done" in done.stderr
    timed_out = run(*who, "--wait-timeout", "0.1")
    assert timed_out.exit_code == 1
    assert timed_out.stdout.strip() in box.stored_requests
    assert "the server waits for more from this user" in timed_out.stderr
    assert "error: learning " in timed_out.stderr


def test_a_publish_that_is_only_accepted_says_so(run: Run, box: Sandbox) -> None:
    body = {"success": True, "request_id": "r1"}
    box.faults.add(faults.status(202, body), path="/api/publish_interaction")
    done = run("publish", "--user", "u9", "--session", "s9", "--url", box.url, "hello")
    assert (done.exit_code, done.stdout) == (0, "r1\n")
    assert done.stderr == "accepted; the server has not stored it yet\n"


def test_a_refused_publish_is_an_error(run: Run, box: Sandbox) -> None:
    box.faults.add(faults.refused("disk\nfull"), path="/api/publish_interaction", times=None)
    done = run("publish", "--user", "u9", "--session", "s9", "--url", box.url, "hello")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "error: POST /api/publish_interaction was refused: disk full\n"


def test_jobs_status_shows_what_each_service_did_last(run: Run) -> None:
    with sandbox_in_thread(failing_users=["u1"]) as box:
        box.seed("u1", "hello")
        assert run("rerun", "--user", "u1", "--url", box.url).exit_code == 1
        done = run("jobs", "status", "--url", box.url)
        one = run("jobs", "status", "--service", "playbook_generation", "--url", box.url)
    assert done.exit_code == 0
    rows = {row[0]: row for line in done.stdout.splitlines() if (row := line.split())}
    assert rows["profile_generation"][1:6] == ["failed", "0", "of", "1,", "1"]
    assert "No operation found" in done.stdout
    assert "profile_generation " not in one.stdout


def test_jobs_cancel_asks_the_server(run: Run) -> None:
    with sandbox_in_thread(rerun_seconds=3600) as box:
        box.seed("u1", "hello")
        timed_out = run("rerun", "--user", "u1", "--wait-timeout", "0.1", "--json", "--url", box.url)
        events = map(json.loads, timed_out.stdout.splitlines())
        token = next(event["token"] for event in events if event["event"] == "outcome")
        done = run("jobs", "cancel", token, "--url", box.url)
        assert done.exit_code == 0
        assert "asked to stop" in done.stderr
        assert box.operations()[0].cancel_requested


def test_mcp_keeps_stdout_for_its_protocol(run: Run) -> None:
    done = run("mcp", "--user", "ana", "--json")
    assert done.exit_code == 2
    assert "name a port with --port" in done.stderr


def test_help_and_version(run: Run) -> None:
    done = run("--help")
    assert done.exit_code == 0
    for command in ("demo", "rerun", "publish", "whoami", "sandbox", "jobs"):
        assert f" {command} " in done.stdout
        assert run(command, "--help").exit_code == 0
    assert run("--version").stdout == f"reflexio-async {reflexio_async.__version__}\n"


def test_main_reads_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["whatever", "--version"])
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        signal.signal(signal.SIGINT, handler)
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"reflexio-async {reflexio_async.__version__}\n"


def test_the_package_runs_as_a_module(start: Start) -> None:
    """``COMMAND`` is ``python -m reflexio_async``, so every test that starts a process goes this way."""
    assert COMMAND[-2:] == ["-m", "reflexio_async"]
    exit_code, out, err = start("--version").end()
    assert (exit_code, out, err) == (0, f"reflexio-async {reflexio_async.__version__}\n", "")
