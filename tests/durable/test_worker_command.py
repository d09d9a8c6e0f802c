"""The command ``worker``, in a process of its own."""

from __future__ import annotations

import asyncio
import inspect
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.cli.worker_app import worker
from reflexio_async.sandbox import Sandbox
from reflexio_async.worker import LANES
from tests.cli.commands import Process, Terminal
from tests.transport.servers import TURNS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        if process.child.poll() is None:
            process.child.kill()
        process.child.communicate()


def test_ctrl_c_ends_it_on_a_terminal(postgres_url: str) -> None:
    terminal = Terminal("worker", "--store", postgres_url, "--org", "acme=http://127.0.0.1:9")
    terminal.wait_for("for acme (Ctrl-C to stop) driving: nothing")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert terminal.text.splitlines()[-1] == "stopped"
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize(("number", "options"), [(signal.SIGINT, []), (signal.SIGTERM, ["--json"])])
async def test_it_drives_a_store_until_it_is_stopped(
    processes: list[Process], postgres_url: str, number: signal.Signals, options: list[str]
) -> None:
    async with Sandbox(api_key="k3y-of-acme") as box:
        args = ["worker", "--store", postgres_url, "--org", f"acme={box.url},ACME_KEY", *options]
        process = await asyncio.to_thread(Process, *args, ACME_KEY="k3y-of-acme")
        processes.append(process)
        await asyncio.to_thread(process.wait_for, " for acme (Ctrl-C to stop)")
        async with AsyncReflexioClient("k3y-of-acme", box.url, store=postgres_url) as client:
            await client.publish_later("u1", TURNS, session_id="s1")
        await box.arrived("POST", "/api/publish_interaction")
        process.signal(number)
        code, out, err = await asyncio.to_thread(process.end)
    assert (code, err.splitlines()[-1]) == (0, "stopped")
    assert "k3y-of-acme" not in out + err
    assert "pass-word" not in out + err
    if options:
        rows: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
        assert rows[0] == {"driving": [], "without_key": [], "unknown": 0}
    else:
        assert out == ""


async def test_it_drives_a_rerun_of_another_process(processes: list[Process], postgres_url: str) -> None:
    async with Sandbox() as box:
        for user_id in ("u1", "u2"):
            box.seed(user_id, "hello")
        args = ["worker", "--store", postgres_url, "--org", f"acme={box.url}"]
        processes.append(await asyncio.to_thread(Process, *args))
        options = ["--user=u1", "--user=u2", "--store", postgres_url, "--url", box.url]
        rerun = await asyncio.to_thread(Process, "rerun", *options)
        processes.append(rerun)
        code, out, err = await asyncio.to_thread(rerun.end)
        assert (code, out) == (0, "2 completed\n")
        assert "pass-word" not in err
        assert len(box.operations()) == 2


async def test_a_database_that_is_away_is_one_error(processes: list[Process]) -> None:
    args = ["worker", "--store", "postgresql://ana:geheim@127.0.0.1:9/db", "--org", "a=http://127.0.0.1:9"]
    process = await asyncio.to_thread(Process, *args)
    processes.append(process)
    code, out, err = await asyncio.to_thread(process.end)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("error: ")
    assert "geheim" not in err


async def test_a_file_needs_no_worker(processes: list[Process]) -> None:
    process = await asyncio.to_thread(
        Process, "worker", "--store", "night.db", "--org", "a=http://127.0.0.1:9"
    )
    processes.append(process)
    code, _, err = await asyncio.to_thread(process.end)
    assert code == 2
    assert "a worker needs a store in Postgres" in err


def test_the_default_of_its_lanes_is_that_of_the_class() -> None:
    assert inspect.signature(worker).parameters["lanes"].default == LANES
