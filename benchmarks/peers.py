"""The official clients, and ours beside them, each in a process and an environment of its own.

A worker waits for its turn, so that rounds alternate between processes as they do within one. The
environments are built once, under ``.cache``: that needs a Python 3.12 and a package index.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.fresh import ROOT
from benchmarks.rounds import Cost, turns
from tests.environments import REFLECT_SDK, REFLEXIO_CLIENT, Environment, NoPython

if TYPE_CHECKING:
    from collections.abc import Generator

_OUR_LIBRARIES = ("aiohttp", "anyio", "backoff", "pydantic")
OURS = Environment(
    "benchmark-of-ours",
    REFLEXIO_CLIENT.version,
    tuple(f"{library}=={importlib.metadata.version(library)}" for library in _OUR_LIBRARIES),
)
"""What our client needs, in the versions of this interpreter, on the Python that the peers have."""

ENVIRONMENTS = {"ours": OURS, "official_reflexio": REFLEXIO_CLIENT, "official_reflect": REFLECT_SDK}


class Worker:
    """One process that makes calls when it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout
        self.python = ""

    def hello(self, line: str | None) -> None:
        """Give it what it works on, if anything, and hear which Python it runs on."""
        if line is not None:
            self._input.write(f"{line}\n")
            self._input.flush()
        self.python = json.loads(self._output.readline())["python"]

    def run(self, calls: int, *, rows: int) -> Cost:
        """What ``calls`` calls cost each, every one of which must bring ``rows`` rows."""
        self._input.write(f"{calls}\n")
        self._input.flush()
        answer = self._output.readline()
        if not answer:
            message = "the worker ended; what it said is above"
            raise RuntimeError(message)
        cost = json.loads(answer)
        if cost["rows"] != rows * calls:
            message = f"{cost['rows']} rows arrived in {calls} calls, not {rows} each"
            raise AssertionError(message)
        return Cost(cost["wall"] / calls, cost["cpu"] / calls)


@contextmanager
def worker(kind: str, *arguments: str, given: str | None = None) -> Generator[Worker]:
    """A worker of ``benchmarks/workers/<kind>.py``, in its environment; ``given`` is its first line."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("REFLEX", "REFLECT"))
    }
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [str(ENVIRONMENTS[kind].python()), "-m", f"benchmarks.workers.{kind}", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:
        made = Worker(process)
        try:
            made.hello(given)
            yield made
        finally:
            made._input.close()


def missing() -> str | None:
    """Why the peers cannot be measured here; builds their environments where they can be."""
    try:
        for environment in ENVIRONMENTS.values():
            environment.python()
    except NoPython as error:
        return str(error)
    except RuntimeError:
        # Its text quotes commands with folders of this machine; those are no part of a report.
        return "the peers' environments could not be built: is a package index reachable?"
    return None


def are_there() -> bool:
    """Whether every environment has been built already."""
    return all((ROOT / ".cache" / each.name / "contents.txt").exists() for each in ENVIRONMENTS.values())


def alternate(contestants: dict[str, tuple[Worker, int]], *, rows: int, rounds: int) -> list[dict[str, Cost]]:
    """Each round's costs, of workers with so many calls each; a first round warms up and does not count."""
    costs = [
        {name: contestants[name][0].run(contestants[name][1], rows=rows) for name in order}
        for order in turns(contestants, rounds + 1)
    ]
    return costs[1:]
