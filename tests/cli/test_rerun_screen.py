"""What ``rerun`` shows: on terminals of any width, in a pipe, in a log and as JSON."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import Terminal, call_in, eventually, sandbox_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reflexio_async.sandbox import Sandbox
    from tests.cli.commands import Run, Start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")

USERS = [f"u{number}" for number in range(1, 8)]
COLOUR = re.compile(r"\x1b\[[0-9;]*(?<![0-9])(3[0-79]|9[0-7]|38;[0-9;]+)m")


@pytest.fixture
def limited_box() -> Iterator[Sandbox]:
    with sandbox_in_thread(rate_limits=True, rerun_seconds=0.05) as box:
        for user_id in USERS:
            box.seed(user_id, "hello")
        yield box


# --- on a terminal


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal_of_any_width_shows_the_count_and_the_whole_reason(
    limited_box: Sandbox, columns: int
) -> None:
    terminal = Terminal("rerun", *USERS, "--url", limited_box.url, columns=columns)
    terminal.wait_for("5/7 quota opens in ")
    shown = " ".join(terminal.text.split())
    terminal.type("\x03")
    assert terminal.end() == 130
    assert re.search(
        r"reruns ━+.* 5/7 quota opens in \d+ s \(5 per 60 s\), [\d.]+ s, about \d+ s to go", shown
    )
    frames = [line for line in re.split(r"[\r\n]+", terminal.text) if "━" in line or "quota" in line]
    assert max(map(len, frames)) <= columns
    assert "stopping: nothing more is started" in " ".join(terminal.text.split())
    assert "Traceback" not in terminal.text


@pytest.fixture
def talkative() -> Iterator[tuple[Sandbox, list[str]]]:
    """A server at which each of many users fails: the lines about them are more than a terminal buffers."""
    users = [f"{'x' * 120}-{number}" for number in range(300)]
    with sandbox_in_thread(failing_users=users, rerun_seconds=0.0) as box:
        for user in users:
            box.seed(user, "hello")
        yield box, users


def test_a_terminal_that_is_stopped_does_not_stop_the_batch(talkative: tuple[Sandbox, list[str]]) -> None:
    box, users = talkative
    terminal = Terminal("rerun", *users, "--url", box.url)
    eventually(box.operations)
    terminal.freeze()
    eventually(lambda: len(box.operations()) == len(users))
    terminal.thaw()
    assert terminal.end() == 1
    assert f"{users[-1]}: failed" in "".join(terminal.text.split("\r\n"))


def test_signals_end_a_command_on_a_terminal_that_is_stopped(talkative: tuple[Sandbox, list[str]]) -> None:
    box, users = talkative
    terminal = Terminal("rerun", *users, "--url", box.url)
    terminal.freeze()
    eventually(lambda: len(box.operations()) == len(users))
    for _ in range(3):
        terminal.child.send_signal(signal.SIGTERM)
        time.sleep(0.2)  # signals of one kind that arrive together are one
    assert terminal.child.wait(30) == 143
    terminal.thaw()
    terminal.end()


def test_the_second_ctrl_c_on_a_terminal_leaves_at_once() -> None:
    with sandbox_in_thread(rerun_seconds=3600) as box:
        box.seed("u1", "hello")
        terminal = Terminal("rerun", "u1", "--url", box.url)
        eventually(box.operations)
        terminal.type("\x03")
        terminal.wait_for("stopping")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert "left at once: 0 of 1 had ended" in terminal.text


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {}], ids=["NO_COLOR", "colour"])
def test_colour_is_for_terminals_whose_user_wants_it(environment: dict[str, str]) -> None:
    with sandbox_in_thread() as box:
        box.seed("u1", "hello")
        terminal = Terminal("rerun", "u1", "nobody", "--url", box.url, environment=environment)
        assert terminal.end() == 1
    assert "nobody: failed: " in terminal.text
    assert bool(COLOUR.search(terminal.shown)) is not bool(environment)


def test_json_on_a_terminal_has_no_bar_between_its_lines() -> None:
    with sandbox_in_thread() as box:
        box.seed("u1", "hello")
        terminal = Terminal("rerun", "u1", "--json", "--url", box.url, columns=200)
        assert terminal.end() == 0
    assert "━" not in terminal.shown


# --- in a pipe, in a log, as JSON


def test_in_a_pipe_there_are_lines_without_codes(run: Run, box: Sandbox) -> None:
    done = run("rerun", "u1", "nobody", "--url", box.url)
    assert "\x1b" not in done.output
    assert re.search(r"^reruns: 2 of 2 done, 1 failed, ", done.stderr, re.MULTILINE)


def test_what_is_in_the_way_is_a_line_at_once_everywhere(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "night.log"
    with sandbox_in_thread() as box:
        box.seed("u1", "hello")
        call_in(box, partial(box.start_foreign_operation, seconds=3600.0))
        process = start("rerun", "u1", "--json", "--log", str(log), "--url", box.url)
        process.wait_for("reruns: 0 of 1 done, slot held by another client since ")
        process.signal(signal.SIGINT)
        code, out, _ = process.end()
    assert code == 130
    events = [json.loads(line) for line in out.splitlines()]
    waits = [event["waiting_for"] for event in events if event["event"] == "progress"]
    (held,) = [each for each in waits if each and each["reason"] == "slot_taken"]
    assert held["text"].startswith("slot held by another client since ")
    assert set(held) == {"reason", "text", "since", "seconds", "jobs", "detail"}
    assert "INFO reruns: 0 of 1 done, slot held by another client since " in log.read_text()


def test_a_server_that_is_away_is_named_with_its_time_and_the_next_try(start: Start) -> None:
    with sandbox_in_thread(rerun_seconds=60.0) as box:
        box.seed("u1", "hello")
        process = start("rerun", "u1", "--url", box.url)
        eventually(box.operations)
    process.wait_for("server unreachable since ")
    process.child.kill()


def test_a_failure_is_a_line_as_soon_as_it_happens(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "night.log"
    with sandbox_in_thread(rerun_seconds=3600.0) as box:
        box.seed("u1", "hello")
        process = start("rerun", "nobody", "u1", "--log", str(log), "--url", box.url)
        process.wait_for("nobody: failed: No interactions found")
        eventually(lambda: "WARNING nobody: failed: No interactions found" in log.read_text())
        process.child.kill()


def test_the_summary_counts_the_reasons(run: Run, box: Sandbox, tmp_path: Path) -> None:
    log = tmp_path / "night.log"
    done = run("rerun", "u1", "no-1", "no-2", "--log", str(log), "--url", box.url)
    reason = "2 failed: No interactions found matching the specified filters: no-1, no-2"
    assert reason in done.stdout.splitlines()
    assert f"INFO {reason}\n" in log.read_text()


# --- playbooks


def test_playbooks_of_agent_versions(run: Run, box: Sandbox) -> None:
    done = run("rerun", "--playbooks", "agent-v0", "agent-v9", "--json", "--url", box.url)
    *_, summary = map(json.loads, done.stdout.splitlines())
    assert summary["counts"] == {"completed": 1, "failed": 1}
    assert "2 agent versions to rerun" in done.stderr
    assert box.count("POST", "/api/rerun_playbook_generation", 200) == 2
    assert box.count("POST", "/api/rerun_profile_generation") == 0


def test_playbooks_are_promoted_when_all_have_completed(run: Run, box: Sandbox) -> None:
    done = run("rerun", "--playbooks", "agent-v0", "--upgrade", "--url", box.url)
    assert done.exit_code == 0
    assert re.search(r"promoted \d+ playbooks? of the whole organisation", done.stderr)
    assert box.count("POST", "/api/upgrade_all_user_playbooks") == 1


def test_users_and_agent_versions_of_the_same_name_are_two_batches(
    run: Run, box: Sandbox, tmp_path: Path
) -> None:
    box.seed("agent-v0", "hello")
    common = ("agent-v0", "--store", str(tmp_path / "night.db"), "--url", box.url)
    for options in ([], ["--playbooks"]):
        assert run("rerun", *options, *common).exit_code == 0
    assert len(box.operations()) == 1
    assert len(box.operations("playbook_generation")) == 1
    status = run("rerun", "--status", *common[1:]).stdout
    assert "1 user since" in status
    assert "1 agent version since" in status
