"""A night in miniature: 200 users, a quota, a server that restarts, and a command that is ended in every way.

Whatever happens, the same command goes on, and the server's own list of what it has started has each user
once. These are two tests, since a virtual clock is part of one process, and kill -9 needs another one: the
first has the real quota and an hour's outage on virtual time, the second a quota with shorter windows.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.cli import rerun
from reflexio_async.cli.reporting import reporting
from reflexio_async.cli.rerun import Rerun
from reflexio_async.cli.signals import Signals
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from reflexio_async.sandbox.reflexio import rate_limits
from reflexio_async.sandbox.reflexio.routes import ROUTER
from tests.cli.commands import Terminal, eventually, outcomes_of, sandbox_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reflexio_async.cli.reporting import Reporter
    from tests.cli.commands import Start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

USERS = [f"user-{number:03}" for number in range(200)]
RERUN = ("POST", "/api/rerun_profile_generation")


def started(box: Sandbox) -> Counter[str]:
    """How often the server has started each user."""
    return Counter(operation.params["user_id"] for operation in box.operations())


def seeded(box: Sandbox) -> None:
    for user in USERS:
        box.seed(user, f"I like tea, says {user}")


# --- on virtual time: the real quota, and an outage of an hour


def test_forty_minutes_of_quota_an_outage_and_three_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, log = VirtualClock(), tmp_path / "night.log"
    monkeypatch.setattr(rerun, "AsyncReflexioClient", partial(AsyncReflexioClient, clock=clock))
    with reporting(str(log)) as reporter:
        asyncio.run(three_runs(clock, tmp_path, reporter))
    out = capsys.readouterr().out
    last = out[out.rindex('"event": "summary"') :]
    assert '"counts": {"completed": 200}' in last
    logged = log.read_text()
    assert logged.count("continue with: reflexio-async rerun --users users.txt --store night.db") == 2
    assert "200 completed" in logged
    assert (tmp_path / "night.html").exists()


async def three_runs(clock: VirtualClock, folder: Path, reporter: Reporter) -> None:
    """The first run is ended by Ctrl-C. In the second the server is away, and SIGTERM ends it."""

    async def run(events: dict[float, Callable[[], object]]) -> int:
        """Run the command. ``events`` happen so many virtual seconds after its beginning."""
        signals = Signals()
        timers = [clock.call_at(clock.now() + seconds, event) for seconds, event in events.items()]
        with signals.handled():
            command = Rerun(
                ids=USERS,
                reporter=reporter,
                url=box.url,
                store=str(folder / "night.db"),
                report=str(folder / "night.html"),
                json_lines=True,
                command="reflexio-async rerun --users users.txt --store night.db",
            )
            code = await asyncio.create_task(signals.run(command.run))
        for timer in timers:
            timer.cancel()
        return code

    def kill(number: signal.Signals) -> Callable[[], None]:
        return lambda: os.kill(os.getpid(), number)

    async def away(seconds: float) -> None:
        """The server is stopped while nothing runs in it, since the quota is closed."""
        await box.stop()
        await clock.sleep(seconds)
        await box.start()

    outages: list[asyncio.Task[None]] = []

    def outage() -> None:
        outages.append(asyncio.create_task(away(3600.0)))

    async with Sandbox(clock=clock, rate_limits=True, rerun_seconds=2.0) as box:
        seeded(box)
        box.start_foreign_operation(seconds=100.0)
        assert await run({600.0: kill(signal.SIGINT)}) == 130
        after_first = len(started(box))
        assert await run({640.0: outage, 5000.0: kill(signal.SIGTERM)}) == 143
        await asyncio.gather(*outages)
        after_second = len(started(box))
        assert 20 < after_first < after_second < 200
        assert await run({}) == 0
        counts = started(box)
        counts.pop("None", None)
        assert {user: counts[user] for user in USERS} == dict.fromkeys(USERS, 1)
        assert box.count(*RERUN, 429) == 1


# --- in processes: kill -9, a restarted server, and a terminal that is closed


@pytest.fixture
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty starts a second instead of five a minute."""
    monkeypatch.setattr(rate_limits, "WINDOW", 1.0)
    monkeypatch.setattr(rate_limits, "PERIOD", "1 second")
    (route,) = [route for route in ROUTER.routes if (route.method, route.path) == RERUN]
    monkeypatch.setattr(route, "per_minute", 30)


@pytest.mark.usefixtures("short_windows")
def test_after_kill_9_a_restart_and_a_closed_terminal_the_same_command_ends_it(
    start: Start, tmp_path: Path
) -> None:
    with sandbox_in_thread(rate_limits=True) as box:
        seeded(box)
        (tmp_path / "users.txt").write_text("\n".join(USERS))
        command = ["rerun", "--users", str(tmp_path / "users.txt"), "--store", str(tmp_path / "night.db")]
        command += ["--log", str(tmp_path / "night.log"), "--url", box.url, "--wait-for-server"]

        killed = start(*command)
        eventually(lambda: len(box.operations()) >= 20)
        killed.signal(signal.SIGKILL)
        killed.end()

        terminal = Terminal(*command)
        eventually(lambda: len(box.operations()) >= 70)
        # At a status request no rerun is under way: it would be dead in its slot.
        box.faults.add(faults.restart(), path="/api/get_operation_status")
        eventually(lambda: len(box.operations()) >= 90)
        assert terminal.hang_up() == 129

        assert 90 <= len(box.operations()) < 200
        code, out, err = start(*command, "--json", "--report", str(tmp_path / "night.html")).end()
        assert code == 0
        assert {row["state"] for row in outcomes_of(out).values()} == {"completed"}
        assert set(outcomes_of(out)) == set(USERS)
        assert "200 completed" in err
        assert started(box) == dict.fromkeys(USERS, 1)
    log = (tmp_path / "night.log").read_text()
    assert "Traceback" not in log
    assert log.count("200 users to rerun") == 1
    assert re.search(r"rerun-\w+: \d+ of 200 have ended", log)
    assert "200 completed" in log
    assert (tmp_path / "night.html").exists()
