"""Ctrl-C and SIGTERM, on commands in processes of their own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from reflexio_async.cli import sandbox
from reflexio_async.sandbox import Sandbox, faults
from tests.cli.commands import (
    COMMAND,
    TAKE_TERMINAL,
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
    from pathlib import Path

    from tests.cli.commands import Process, Run, Start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

USERS = ("u1", "u2", "u3", "u4")


@pytest.fixture
def slow_box() -> Iterator[Sandbox]:
    with sandbox_whose_time_stands(rerun_seconds=1.5) as box:
        for user_id in USERS:
            box.seed(user_id, "hello")
        yield box


def reruns_under_way(start: Start, box: Sandbox) -> Process:
    process = start("rerun", *(f"--user={user_id}" for user_id in USERS), "--json", "--url", box.url)
    process.wait_for("4 users to rerun")
    eventually(box.operations)
    return process


SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_after_the_first_signal_the_running_rerun_finishes(
    start: Start, slow_box: Sandbox, number: signal.Signals, code: int
) -> None:
    process = reruns_under_way(start, slow_box)
    process.signal(number)
    process.wait_for("stopping: nothing more is started")
    finish_reruns(slow_box)
    exit_code, out, err = process.end()
    states = {key: row["state"] for key, row in outcomes_of(out).items()}
    assert exit_code == code
    assert states == {"u1": "completed", "u2": "cancelled", "u3": "cancelled", "u4": "cancelled"}
    assert "1 completed, 3 cancelled" in err
    assert "Traceback" not in err
    assert len(slow_box.operations()) == 1


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_the_second_signal_stops_at_once(start: Start, number: signal.Signals, code: int) -> None:
    with sandbox_in_thread(rerun_seconds=3600) as box:
        for user_id in USERS:
            box.seed(user_id, "hello")
        process = reruns_under_way(start, box)
        process.signal(number)
        process.wait_for("stopping")
        process.signal(number)
        exit_code, out, err = process.end()
    assert exit_code == code
    assert {row["state"] for row in outcomes_of(out).values()} <= {"cancelled"}
    (message,) = [line for line in err.splitlines() if not line.startswith("reruns: ")]
    assert re.fullmatch(r"left at once: \d of 4 had ended; what runs goes on at the server", message)


def test_a_signal_before_the_first_start_ends_the_command_quietly(start: Start, slow_box: Sandbox) -> None:
    slow_box.faults.add(faults.freeze(), path="/api/get_operation_status")
    process = start("rerun", "--user=u1", "--url", slow_box.url)
    eventually(lambda: slow_box.requests)
    process.signal(signal.SIGINT)
    assert process.end() == (130, "", "")
    assert not slow_box.operations()


def test_a_closed_terminal_leaves_the_log_and_the_running_rerun_finishes(
    slow_box: Sandbox, tmp_path: Path
) -> None:
    log = tmp_path / "night.log"
    users = [f"--user={user_id}" for user_id in USERS]
    controller, terminal = pty.openpty()
    args = [*COMMAND, "rerun", *users, "--log", str(log), "--url", slow_box.url]
    take_terminal = [sys.executable, "-c", TAKE_TERMINAL, *args]
    with subprocess.Popen(take_terminal, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        eventually(slow_box.operations)
        os.close(controller)  # the kernel sends SIGHUP to who controls the terminal
        eventually(lambda: "stopping" in log.read_text())
        finish_reruns(slow_box)
        assert process.wait(A_HANG) == 129
    assert len(slow_box.operations()) == 1
    assert "1 completed, 3 cancelled" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_under_nohup_a_closed_terminal_stops_nothing(slow_box: Sandbox) -> None:
    args = ["nohup", *COMMAND, "rerun", "--user=u1", "--user=u2", "--url", slow_box.url]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(slow_box.operations)
        process.send_signal(signal.SIGHUP)
        finish_reruns(slow_box, 2)
        out, _ = process.communicate(timeout=A_HANG)
    assert (process.returncode, out) == (0, "2 completed\n")


def test_a_closed_stdout_ends_the_command_quietly(slow_box: Sandbox) -> None:
    args = [*COMMAND, "rerun", *(f"--user={user_id}" for user_id in USERS), "--json", "--url", slow_box.url]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        finish_reruns(slow_box)
        err = process.stderr.read()
        assert process.wait(A_HANG) == 1
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_serves_until_it_is_stopped(start: Start, number: signal.Signals) -> None:
    process = start(
        "sandbox", "--port", "0", "--api-key", "k3y", "--rate-limits", "off", "--dialect=uncorrelated"
    )
    assert process.child.stdout is not None
    for line in process.child.stdout:
        if line.startswith("export REFLEXIO_API_URL="):
            break
    else:
        pytest.fail("it names no address")
    url = line.strip().partition("=")[2]
    who = subprocess.run(
        [*COMMAND, "whoami", "--url", url, "--api-key", "k3y"], check=True, capture_output=True, text=True
    )
    assert who.stdout.splitlines()[0] == f"server: {url}"
    process.signal(number)
    exit_code, out, err = process.end()
    assert (exit_code, err) == (0, "")
    assert out.endswith("stopped\n")
    assert "k3y" not in out


def test_the_sandbox_names_the_port_in_use(start: Start, slow_box: Sandbox) -> None:
    port = slow_box.url.rpartition(":")[2]
    exit_code, out, err = start("sandbox", "--port", port).end()
    assert (exit_code, out) == (2, "")
    assert err == f"error: cannot listen on port {port}: Address already in use (--port 0 picks a free one)\n"


def test_signals_reach_a_command_in_this_process_too(run: Run, slow_box: Sandbox) -> None:
    def interrupt() -> None:
        eventually(slow_box.operations)
        os.kill(os.getpid(), signal.SIGINT)
        finish_reruns(slow_box)

    before = signal.getsignal(signal.SIGINT)  # ignored, where the tests run in the background of a shell
    thread = threading.Thread(target=interrupt)
    thread.start()
    done = run("rerun", *(f"--user={user_id}" for user_id in USERS), "--url", slow_box.url)
    thread.join()
    assert done.exit_code == 130
    assert "1 completed, 3 cancelled" in done.stdout
    assert signal.getsignal(signal.SIGINT) is before


def test_the_sandbox_command_in_this_process(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Sandbox):
        async def start(self) -> None:
            await super().start()
            asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(sandbox, "Sandbox", Interrupted)
    done = run("sandbox", "--port", "0", "--api-key", "k3y")
    assert done.exit_code == 0
    assert "k3y" not in done.output
    assert done.stdout.endswith("stopped\n")
