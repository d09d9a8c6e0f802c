"""The official clients, compared with ours: each in a process and a virtual environment of its own.

The processes take turns. The environments are built once, under ``.cache``, which needs Python 3.12 and a
package index.
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
from reflexio_async.testing import NoPython
from reflexio_async.testing.environments import Environment
from tests.environments import REFLEXIO_CLIENT, WHOLE_REFLECT_SDK

if TYPE_CHECKING:
    from collections.abc import Generator

_OUR_LIBRARIES = ("aiohttp", "anyio", "backoff", "pydantic")
OURS = Environment(
    "benchmark-of-ours",
    REFLEXIO_CLIENT.version,
    tuple(f"{library}=={importlib.metadata.version(library)}" for library in _OUR_LIBRARIES),
)
"""The libraries of our client, in the versions of this interpreter, on the Python of the official clients."""

ENVIRONMENTS = {"ours": OURS, "official_reflexio": REFLEXIO_CLIENT, "official_reflect": WHOLE_REFLECT_SDK}


class Worker:
    """One process that makes calls on request (``benchmarks.workers.protocol``)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout
        self.python: str = json.loads(self._output.readline())["python"]

    def run(self, calls: int, *, items: int) -> Cost:
        """Make ``calls`` calls and return the cost of one. Each call must bring ``items`` items."""
        self._input.write(f"{calls}\n")
        self._input.flush()
        answer = self._output.readline()
        if not answer:
            message = "the worker ended; see its output above"
            raise RuntimeError(message)
        cost = json.loads(answer)
        if cost["items"] != items * calls:
            message = f"{cost['items']} items arrived in {calls} calls, not {items} each"
            raise AssertionError(message)
        return Cost(cost["wall"] / calls, cost["cpu"] / calls)


@contextmanager
def worker(kind: str, *arguments: str) -> Generator[Worker]:
    """Run ``benchmarks/workers/<kind>.py`` in its environment."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("REFLEX", "REFLECT"))
    }
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [str(ENVIRONMENTS[kind].python()), "-m", f"benchmarks.workers.{kind}", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        try:
            yield Worker(process)
        finally:
            process.stdin.close()


def missing() -> str | None:
    """Return why the official clients cannot be measured here, or None. Builds their environments."""
    try:
        for environment in ENVIRONMENTS.values():
            environment.python()
    except NoPython as error:
        return str(error)
    except RuntimeError:
        # The error's text has folders of this machine, which do not belong into a report.
        return "the environments of the official clients could not be built: is a package index reachable?"
    return None


def are_built() -> bool:
    """Whether all environments exist."""
    return all((ROOT / ".cache" / each.name / "contents.txt").exists() for each in ENVIRONMENTS.values())


def alternate(candidates: dict[str, tuple[Worker, int]], *, items: int, rounds: int) -> list[dict[str, Cost]]:
    """Return the costs of each round, of workers with so many calls each.

    A first round warms up and is not counted.
    """
    costs = [
        {name: candidates[name][0].run(candidates[name][1], items=items) for name in order}
        for order in turns(candidates, rounds + 1)
    ]
    return costs[1:]
