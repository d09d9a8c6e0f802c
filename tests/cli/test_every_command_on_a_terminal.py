"""Each command on a pseudo-terminal of 80 columns and in a pipe: good input, bad input, and Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import pytest

from reflexio_async.cli import demo
from tests.cli.commands import Terminal, outcomes_of, sandbox_in_thread
from tests.cli.terminal import on_terminal
from tests.cli.test_every_command import COMMANDS, options
from tests.cli.test_store import accept_unheard, account_in
from tests.hang import A_HANG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    from reflexio_async.sandbox import Sandbox
    from tests.cli.commands import Run, Start
    from tests.cli.terminal import Screen

    Things: TypeAlias = Callable[[tuple[str, ...]], list[str]]
    """Puts new things where words such as {trace} stand."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")

ANA = ("--user", "ana")
TALK = (*ANA, "--session", "s1")


class Good(NamedTuple):
    """What ends with exit code 0, and a pattern of what it shows. Words such as {trace} are new things."""

    args: tuple[str, ...]
    shows: str
    before: tuple[str, ...] = ()
    """A command that runs first."""


PUBLISH = ("publish", "I like sushi", *TALK, "--learn-now", "--wait")
ADD_PLAYBOOK = ("playbooks", "add", "Be kind", "--agent")
ENDING = {
    "config get": Good(("stride_size",), "8"),
    "config set": Good(("{config}",), "set successfully"),
    "config update": Good(("window_size=20",), "Configuration (set|unchanged)"),
    "context": Good(("sushi", *ANA), "I like sushi", PUBLISH),
    "demo": Good((), "What you just saw: 40 reruns asked for at once, 40 completed"),
    "doctor": Good((), "ok       address: "),
    "interactions add": Good(("I like tea", *TALK), r"^[0-9a-f]{32}$"),
    "interactions delete": Good(("--all", "--yes"), "deleted"),
    "interactions list": Good((), "I am u1"),
    "interactions search": Good(("sushi", *ANA), "sushi", PUBLISH),
    "jobs cancel": Good(("{running}",), "asked to stop"),
    "jobs status": Good((), "profile_generation"),
    "jobs wait": Good(("{token}",), "profiles_generated"),
    "keys create": Good(("laptop", "--scope", "traces:write"), r"^rf_live_\w+$"),
    "keys list": Good((), "laptop", ("keys", "create", "laptop", "--scope", "traces:write")),
    "keys revoke": Good(("{key}", "--yes"), ": revoked"),
    "memories query": Good(("Book a table",), "Solved: Book", ("traces", "wait", "{reviewed}", "--reviewed")),
    "outbox": Good(("--store", "{store}"), "waiting: 0"),
    "outbox assign": Good(("{account}", "self-host-org", "--store", "{outbox}"), "is sent by the clients of"),
    "outbox discard": Good(("{account}", "--store", "{outbox}"), "discarded: 1"),
    "outbox retry": Good(("--store", "{store}"), "^0 tried again: 0 waiting"),
    "playbooks add": Good(("Be kind", *ANA), "added 1 of 1"),
    "playbooks delete": Good(("--all", "--yes"), "deleted"),
    "playbooks list": Good(("--agent",), "Be kind", ADD_PLAYBOOK),
    "playbooks search": Good(("kind", "--agent"), "Be kind", ADD_PLAYBOOK),
    "profiles add": Good(("I like tea", *ANA), "added 1 of 1"),
    "profiles delete": Good(("--all", "--yes"), "deleted"),
    "profiles list": Good((), "I like tea", ("profiles", "add", "I like tea", *ANA)),
    "profiles search": Good(("tea", *ANA), "I like tea", ("profiles", "add", "I like tea", *ANA)),
    "publish": Good(("I like tea", *TALK, "--learn-now", "--wait"), "learning is over: done"),
    "rerun": Good(("u1", "u2"), "2 completed"),
    "search": Good(("tea", *ANA), "I like tea", ("profiles", "add", "I like tea", *ANA)),
    "store": Good(("--store", "{store}"), "1 completed"),
    "store prune": Good(("--store", "{store}"), "deleted 0 jobs"),
    "traces create": Good(("{trajectory}", "--task", "Book a table"), r"^[0-9a-f-]{36}$"),
    "traces get": Good(("{trace}",), "Book a table"),
    "traces list": Good((), "Book a table", ("traces", "get", "{trace}")),
    "traces review": Good(("{trace}", "pass"), ": reviewed; memory: "),
    "traces wait": Good(("{trace}",), '"ingest_status": ?"completed"'),
    "upgrade": Good((), "^promoted (1 profile|2 profiles),", ("rerun", "u1")),
    "whoami": Good((), "organisation: self-host-org"),
}


class Serving(NamedTuple):
    """What runs until Ctrl-C: what it shows when it is ready, and its exit code then."""

    args: tuple[str, ...]
    ready: str
    exit_code: int = 0


SERVING = {
    "dashboard": Serving(("--store", "{store}", "--port", "0"), "(Ctrl-C to stop)"),
    "mcp": Serving((*ANA, "--port", "0"), "(Ctrl-C to stop)"),
    "sandbox": Serving(("--port", "0"), "export REFLECT_API_KEY"),
}
ELSEWHERE = {"worker"}
"""It needs a database: tests/durable/test_worker_command.py runs it."""
OTHER_BAD_INPUT = {
    "dashboard": (("--store", "missing.db"), "--store: "),
    "demo": (("--fast",), "no such option: --fast"),
    "mcp": ((*ANA, "--port", "many"), "'--port'"),
    "outbox assign": (("a", "b", "--store", "missing.db"), "--store: "),
    "outbox discard": (("a", "--store", "missing.db"), "--store: "),
    "sandbox": (("--port", "many"), "'--port'"),
    "store": (("--store", "missing.db"), "--store: "),
    "store prune": (("--older-than", "old", "--store", "missing.db"), "'--older-than'"),
    "worker": (("--store", "postgresql://localhost/db"), "missing option '--org'"),
}
"""Bad input other than a wrong address, which the other commands are given: the options, and what is said."""


def rerun_seconds(user_id: str) -> float:
    return 60.0 if user_id == "slow" else 0.02


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with sandbox_in_thread(rerun_seconds=rerun_seconds) as box:
        for user_id in ("u1", "u2", "slow"):
            box.seed(user_id, f"I am {user_id}")
        yield box


@pytest.fixture
def things(run: Run, box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Things:
    """A function that puts new things where words such as {trace} stand."""
    monkeypatch.setenv("REFLEXIO_API_URL", box.url)
    monkeypatch.setenv("REFLECT_API_URL", box.reflect_url)
    monkeypatch.setenv("REFLECT_API_KEY", box.reflect_key)
    monkeypatch.setattr(demo, "_rerun_seconds", 0.0)

    def done(*args: str) -> str:
        result = run(*args)
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    def file(content: str) -> str:
        path = tmp_path / uuid4().hex
        path.write_text(content, encoding="utf-8")
        return str(path)

    def store() -> str:
        path = str(tmp_path / uuid4().hex)
        done("rerun", "u1", "--store", path)
        return path

    def outbox() -> Path:
        path = tmp_path / uuid4().hex
        done("rerun", "u1", "--store", str(path))
        accept_unheard(path, box)
        outboxes.append(str(path))
        return path

    def trace(*more: str) -> str:
        found = done("traces", "create", file("done"), "--task", "Book a table", "--wait", "--json", *more)
        return str(json.loads(found)["trace_id"])

    def key() -> str:
        found = done("keys", "create", "ci", "--scope", "traces:write", "--json")
        return str(json.loads(found)["key"]["id"])

    def token(user: str) -> str:
        # It is over before the first poll: the job goes on at the server.
        found = run("rerun", user, "--json", "--wait-timeout", "0.01").stdout
        running.append(next(iter(outcomes_of(found).values()))["token"])
        return running[-1]

    outboxes, running = list[str](), list[str]()
    makers: dict[str, Callable[[], str]] = {
        "{config}": lambda: file(done("config", "get")),
        "{trajectory}": lambda: file("done"),
        "{store}": store,
        "{outbox}": outboxes.pop,
        "{account}": lambda: account_in(run, outbox(), box.url),
        "{trace}": trace,
        "{reviewed}": lambda: trace("--result", "pass"),
        "{key}": key,
        "{token}": lambda: token("u1"),
        "{running}": lambda: running[0] if running else token("slow"),
    }
    return lambda args: [makers[word]() if word in makers else word for word in args]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Screen]:
    return on_terminal(monkeypatch)


def test_every_command_is_here() -> None:
    assert {*ENDING, *SERVING, *ELSEWHERE} == set(COMMANDS)
    without_address = {name for name, command in COMMANDS.items() if "--url" not in options(command)}
    assert without_address <= set(OTHER_BAD_INPUT)


@pytest.mark.parametrize("name", sorted(ENDING))
def test_good_input(name: str, run: Run, terminal: Callable[..., Screen], things: Things) -> None:
    args, shows, before = ENDING[name]
    if before:
        assert run(*things(before)).exit_code == 0
    screen = terminal(*name.split(), *things(args), columns=80)
    assert screen.exit_code == 0, screen.text
    assert re.search(shows, screen.text, re.MULTILINE), screen.text
    assert "Traceback" not in screen.text
    if before:
        assert run(*things(before)).exit_code == 0
    piped = run(*name.split(), *things(args))
    assert piped.exit_code == 0, piped.output
    assert re.search(shows, piped.output, re.MULTILINE), piped.output
    assert "\x1b" not in piped.output


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_bad_input_is_one_readable_line(
    name: str, run: Run, terminal: Callable[..., Screen], things: Things
) -> None:
    if name in OTHER_BAD_INPUT:
        args, text = OTHER_BAD_INPUT[name]
    else:
        text = "must start with http:// or https://"
        args = (*things(ENDING[name].args), "--url", "localhost:8061")
    words = [*name.split(), *args]
    screen = terminal(*words, columns=80)
    piped = run(*words)
    for exit_code, lines in ((screen.exit_code, screen.lines), (piped.exit_code, piped.output.splitlines())):
        assert exit_code == 2
        (line,) = lines
        assert line.startswith("error: ")
        assert text in line


@pytest.mark.parametrize("name", sorted(SERVING))
def test_ctrl_c_ends_what_runs_until_then(name: str, things: Things) -> None:
    if name == "mcp":
        pytest.importorskip("mcp")
    args, ready, exit_code = SERVING[name]
    assert interrupted(Terminal(name, *things(args)), ready) == exit_code


@pytest.mark.parametrize("name", sorted(SERVING))
def test_a_signal_ends_it_in_a_pipe_too(name: str, start: Start, things: Things) -> None:
    if name == "mcp":
        pytest.importorskip("mcp")
    args, _, exit_code = SERVING[name]
    process = start(name, *things(args), "--json")
    assert process.child.stdout is not None
    assert "http://127.0.0.1:" in process.child.stdout.readline()
    process.signal(signal.SIGINT)
    code, out, err = process.end()
    assert code == exit_code
    assert "Traceback" not in out + err


def interrupted(shown: Terminal, ready: str) -> int:
    """Press Ctrl-C when ``ready`` is shown, and return the exit code."""
    shown.wait_for(ready)
    shown.type("\x03")
    exit_code = shown.end()
    assert "Traceback" not in shown.text
    return exit_code


def test_ctrl_c_ends_the_demo() -> None:
    assert interrupted(Terminal("demo"), "/40") == 130


@pytest.mark.parametrize("name", ["doctor", "whoami"])
def test_ctrl_c_ends_what_waits_for_a_silent_server(name: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        silent.settimeout(A_HANG)
        shown = Terminal(name, "--url", f"http://127.0.0.1:{silent.getsockname()[1]}")
        connection, _ = silent.accept()
        with closing(connection):
            shown.type("\x03")
            assert shown.end() == 130
    assert "Traceback" not in shown.text
