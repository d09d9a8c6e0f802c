"""Tasks of Celery that run an event loop each, on one client of their module."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from reflexio_async.sandbox import Sandbox
    from tests.loops.conftest import Program

pytestmark = pytest.mark.slow

TASKS = """
import asyncio, os, sys
from celery import Celery
from reflexio_async import AsyncReflexioClient

client = AsyncReflexioClient(url_endpoint=os.environ["SANDBOX"])

async def generated():
    job = await client.rerun_profile_generation(user_id="u")
    return (await job).profiles_generated

def run_generation():
    return asyncio.run(generated())

def make_app(**settings):
    app = Celery("tasks", set_as_current=False)
    app.conf.update(settings)
    return app, app.task(run_generation, name="rerun")
"""

EAGER = """
app, rerun = make_app(task_always_eager=True)
assert [rerun.delay().get() for _ in range(2)] == [1, 2]
"""

SOLO = """
from celery.contrib.testing.worker import start_worker

app, rerun = make_app(broker_url="memory://", result_backend="cache+memory://")
with start_worker(app, pool="solo", perform_ping_check=False):
    assert [rerun.delay().get(timeout=60) for _ in range(2)] == [1, 2]
"""

# The files of a folder are the broker, so that the worker is a process of its own, which forks.
PREFORK = """
folder = os.environ["FOLDER"]
app, rerun = make_app(
    broker_url="filesystem://",
    broker_transport_options={"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder},
    result_backend="file://" + folder,
    broker_connection_retry_on_startup=True,
)
if os.environ.get("USED") and sys.argv[0].endswith("__main__.py"):
    asyncio.run(client.whoami())
"""


@pytest.mark.parametrize("way", [EAGER, SOLO], ids=["eager", "a solo worker"])
def test_one_task_after_another_uses_the_client_of_the_module(
    box: Sandbox, program: Program, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("SANDBOX", box.url)
    assert program(TASKS + way) == ""


def run_in_prefork_worker(box: Sandbox, folder: Path, *, used: bool) -> str:
    """Send two tasks to a worker that has forked its pool. Return what happened to them."""
    (folder / "prefork.py").write_text(TASKS + PREFORK)
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "SANDBOX": box.url, "FOLDER": str(folder), "PYTHONPATH": paths}
    if used:
        environment["USED"] = "1"
    command = ["-m", "celery", "-A", "prefork", "worker", "--pool=prefork", "--concurrency=1"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"]
    ask = (
        "from prefork import rerun; print([rerun.delay().get(timeout=40, propagate=False) for _ in range(2)])"
    )
    worker = subprocess.Popen(
        [sys.executable, *command, *quiet],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=folder,
    )
    try:
        asked = subprocess.run(
            [sys.executable, "-c", ask],
            env=environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            cwd=folder,
        )
    finally:
        worker.terminate()
        _, errors = worker.communicate(timeout=60)
    assert asked.returncode == 0, asked.stderr + errors.decode()
    return asked.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on this system")
def test_a_client_that_the_parent_has_not_used_works_in_a_forked_pool(box: Sandbox, tmp_path: Path) -> None:
    assert run_in_prefork_worker(box, tmp_path, used=False) == "[1, 2]"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on this system")
def test_a_client_that_the_parent_has_used_is_refused_by_name_in_a_forked_pool(
    box: Sandbox, tmp_path: Path
) -> None:
    outcome = run_in_prefork_worker(box, tmp_path, used=True)
    assert outcome.count("used before this process was forked") == 2
    assert "AsyncReflexioClient" in outcome
