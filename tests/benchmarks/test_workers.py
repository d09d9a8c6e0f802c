"""Workers: processes that make calls on request and print what they cost."""

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


def test_a_worker_prints_its_python_and_then_one_line_per_request() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input="3\n4\n", capture_output=True, text=True, check=True, cwd=ROOT
    )
    first, *answers = map(json.loads, done.stdout.splitlines())
    assert first["python"] == ".".join(map(str, sys.version_info[:3]))
    assert [answer["items"] for answer in answers] == [60, 80]
    assert all(answer["wall"] > 0 and answer["cpu"] >= 0 for answer in answers)


async def test_all_concurrent_calls_are_made() -> None:
    async def call() -> int:
        return 20

    assert await protocol.concurrently(call, 100, 32) == 2000


def test_all_calls_in_threads_are_made() -> None:
    assert protocol.in_threads(lambda: 20, 8)(100) == 2000


def test_a_worker_imports_nothing_of_our_client() -> None:
    """The environments of the official clients do not have it."""
    code = "import sys; import benchmarks.workers.protocol; print([m for m in sys.modules if 'aiohttp' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
