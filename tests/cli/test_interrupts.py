"""Ctrl-C at any moment ends a command quietly with 130, and a terminal that goes away ends nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, eventually, sandbox_in_thread
from tests.hang import A_HANG

if sys.platform != "win32":
    import pty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

INTERRUPTED_WHILE_LOADING = """
import os, signal, sys
class Interrupter:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupter())
sys.argv = ["reflexio-async", *{args!r}]
from reflexio_async.cli import main
main()
"""

AFTER_THE_COMMAND = """
import asyncio, os, signal, sys
from reflexio_async.cli import main
shutdown = asyncio.base_events.BaseEventLoop.shutdown_asyncgens
async def interrupted(loop):
    for _ in range({times}):
        os.kill(os.getpid(), signal.SIGINT)
    await shutdown(loop)
asyncio.base_events.BaseEventLoop.shutdown_asyncgens = interrupted
sys.argv = ["reflexio-async", "whoami", "--url", {url!r}]
main()
"""


IGNORING_SIGHUP = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""


def program(code: str) -> tuple[int, str, str]:
    args = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(args, check=False, capture_output=True, text=True, timeout=A_HANG)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("typer", "whoami"),
        ("rich.console", "rerun"),
        ("reflexio_async.cli.app", "sandbox"),
        ("asyncio", "jobs"),
        ("reflexio_async.client", "whoami"),
    ],
)
def test_while_modules_are_loaded(module: str, command: str) -> None:
    code = INTERRUPTED_WHILE_LOADING.format(module=module, args=[command, "--help"])
    code = code.replace("--help", "--url=http://127.0.0.1:9") if module.endswith("client") else code
    assert program(code) == (130, "", "")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("args", [["rerun", "--users", "-"], ["publish", "--user=u", "--session=s", "-"]])
def test_while_standard_input_is_read(args: list[str]) -> None:
    with subprocess.Popen(
        [*COMMAND, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        eventually(lambda: _sleeps(process.pid))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=A_HANG)
    assert (process.returncode, out, err) == (130, "", "")


def _sleeps(pid: int) -> bool:
    """Whether the process waits, as far as three looks can tell."""
    for _ in range(3):
        if "S (sleeping)" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8"):
            return False
        time.sleep(0.05)
    return True


def test_while_the_event_loop_ends_the_result_stands() -> None:
    with sandbox_in_thread() as box:
        code, out, err = program(AFTER_THE_COMMAND.format(times=1, url=box.url))
    assert (code, err) == (0, "")
    assert out.startswith("server: ")


def test_a_second_one_while_the_event_loop_ends_does_not_wait_for_that() -> None:
    with sandbox_in_thread() as box:
        code, _, err = program(AFTER_THE_COMMAND.format(times=2, url=box.url))
    assert (code, err) == (130, "")


def test_a_terminal_that_is_gone_ends_nothing_where_sighup_is_ignored(tmp_path: Path) -> None:
    log = tmp_path / "night.log"
    with sandbox_in_thread(rerun_seconds=0.5) as box:
        for user in ("u1", "u2", "u3"):
            box.seed(user, "hello")
        controller, terminal = pty.openpty()
        users = ["--user=u1", "--user=nobody", "--user=u2", "--user=u3"]
        args = [*COMMAND, "rerun", *users, "--log", str(log), "--url", box.url]
        args = [sys.executable, "-c", IGNORING_SIGHUP, *args]
        with subprocess.Popen(
            args, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
        ) as process:
            os.close(terminal)
            eventually(box.operations)
            os.close(controller)
            assert process.wait(A_HANG) == 1
        assert len(box.operations()) == 4
    assert "nobody: failed" in log.read_text()
    assert "3 completed, 1 failed" in log.read_text()
    assert "Traceback" not in log.read_text()
