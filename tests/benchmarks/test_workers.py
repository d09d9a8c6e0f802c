"""Workers: processes that make calls when they are told to, and say what those cost."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.fresh import ROOT
from benchmarks.workers import protocol

PROGRAM = """
from benchmarks.workers import protocol
protocol.answer(lambda calls: calls * 20)
"""


def test_a_worker_says_its_python_and_then_answers_line_by_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input="3\n4\n", capture_output=True, text=True, check=True, cwd=ROOT
    )
    hello, *answers = map(json.loads, done.stdout.splitlines())
    assert hello["python"] == ".".join(map(str, sys.version_info[:3]))
    assert [answer["rows"] for answer in answers] == [60, 80]
    assert all(answer["wall"] > 0 and answer["cpu"] >= 0 for answer in answers)


async def test_every_call_in_flight_is_counted() -> None:
    async def call() -> int:
        return 20

    assert await protocol.concurrently(call, 100, 32) == 2000


def test_calls_in_threads_are_all_made() -> None:
    assert protocol.in_threads(lambda: 20, 8)(100) == 2000


def test_what_a_worker_imports_is_there_in_every_environment() -> None:
    """The official clients' environments have nothing of ours."""
    code = "import sys; import benchmarks.workers.protocol; print([m for m in sys.modules if 'aiohttp' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
