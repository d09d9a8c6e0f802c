"""What a process holds at one moment, and whether that grows."""

from __future__ import annotations

import asyncio
import gc
import os
import stat
import time
from contextlib import suppress
from math import sqrt
from statistics import linear_regression, mean
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.questions.memory import resident

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.soak.load import Load


class Reading(NamedTuple):
    """One row of the table. Calls and failures are those since the row before."""

    seconds: float
    calls: int
    failures: Mapping[str, int]
    memory: float
    sockets: int
    files: int
    tasks: int
    timers: int
    objects: int


ALLOWED = {"memory": 2.0, "sockets": 8.0, "files": 8.0, "tasks": 8.0, "timers": 8.0, "objects": 3000.0}
"""By field, by how much it may rise in the second half: MiB for memory, else a number."""
_SURE = 3.0  # a rise of so many standard errors is no chance
_COLUMNS = (
    ("s", 5), ("calls", 7), ("failed", 7), ("MiB", 7), ("sockets", 8), ("files", 6), ("tasks", 6),
    ("timers", 7), ("objects", 9),
)  # fmt: skip
HEADER = "".join(f"{name:>{width}}" for name, width in _COLUMNS) + "  failures by type"


class Meter:
    """Takes the readings of one soak."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._began = time.perf_counter()
        self._calls = 0
        self._failures = load.failures.copy()

    def read(self) -> Reading:
        load, files = self._load, _open_files()
        gc.collect()
        reading = Reading(
            seconds=time.perf_counter() - self._began,
            calls=load.calls - self._calls,
            failures=load.failures - self._failures,
            memory=resident(),
            sockets=sum(files),
            files=len(files),
            tasks=len(asyncio.all_tasks()),
            timers=timers(),
            objects=len(gc.get_objects()),
        )
        self._calls, self._failures = load.calls, load.failures.copy()
        return reading


def _open_files() -> list[bool]:
    """For each open file descriptor, whether it is a socket."""
    found: list[bool] = []
    for name in os.listdir("/dev/fd"):  # noqa: PTH208  # their names are numbers, not paths
        with suppress(OSError):  # that of the listing is closed by now
            found.append(stat.S_ISSOCK(os.fstat(int(name)).st_mode))
    return found


def timers() -> int:
    """How many timers wait on the event loop."""
    loop: Any = asyncio.get_running_loop()
    return sum(not handle.cancelled() for handle in loop._scheduled)


def row(reading: Reading) -> str:
    numbers = (
        f"{reading.seconds:.0f}", reading.calls, sum(reading.failures.values()), f"{reading.memory:.1f}",
        reading.sockets, reading.files, reading.tasks, reading.timers, reading.objects,
    )  # fmt: skip
    shown = "".join(f"{value:>{width}}" for value, (_, width) in zip(numbers, _COLUMNS, strict=True))
    return f"{shown}  {', '.join(f'{name} {count}' for name, count in sorted(reading.failures.items()))}"


def rises(readings: Sequence[Reading]) -> dict[str, tuple[float, bool]]:
    """By field: by how much it rises in the second half, by a linear fit, and whether it grows.

    It grows where it rises by more than is allowed, and by more than its ups and downs explain.
    """
    half = readings[len(readings) // 2 :]
    times = [reading.seconds for reading in half]
    span = times[-1] - times[0]
    found: dict[str, tuple[float, bool]] = {}
    for field, allowed in ALLOWED.items():
        values = [float(getattr(reading, field)) for reading in half]
        slope, intercept = linear_regression(times, values)
        squares = [(value - slope * at - intercept) ** 2 for at, value in zip(times, values, strict=True)]
        spread = sum((at - mean(times)) ** 2 for at in times)
        error = sqrt(sum(squares) / max(1, len(half) - 2) / spread) * span
        found[field] = slope * span, slope * span > max(allowed, _SURE * error)
    return found
