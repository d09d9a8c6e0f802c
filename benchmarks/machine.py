"""A description of the machine, and how much of it other processes use."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import time
from pathlib import Path

BUSY_SHARE = 0.10  # of all cores; if other processes use more, the run is not valid
BUSY_LOAD = 0.5  # runnable processes per core, before the run begins

_LIBRARIES = ("aiohttp", "pydantic", "pydantic-core", "anyio", "uvloop")


def describe() -> dict[str, str | int]:
    """Return processor, cores, system and versions; nothing that identifies the machine or its folders."""
    description: dict[str, str | int] = {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for library in _LIBRARIES:
        try:
            description[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            description[library] = "not installed"
    return description


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _memory() -> str:
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return "unknown"
    return f"{pages * size / 2**30:.0f} GiB"


def load_warnings() -> list[str]:
    """Return a warning if the machine is busy now."""
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    if load <= BUSY_LOAD * cores:
        return []
    return [f"the machine was busy before it began: load {load:.1f} on {cores} cores"]


class OtherProcesses:
    """Measures how much of the machine other processes use, from its creation on.

    Works on Linux only. Our own child processes count as ours once they have ended.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._busy = _busy_seconds()
        self._own = _own_seconds()

    def share(self) -> float | None:
        """Return the share of all cores that they used so far; None where that is unknown."""
        busy = _busy_seconds()
        if busy is None or self._busy is None:
            return None
        elapsed = (time.perf_counter() - self._began) * (os.cpu_count() or 1)
        of_others = (busy - self._busy) - (_own_seconds() - self._own)
        return max(0.0, of_others / elapsed) if elapsed else 0.0

    def warnings(self) -> list[str]:
        """Return a warning if they used too much."""
        share = self.share()
        if share is None or share <= BUSY_SHARE:
            return []
        return [f"other processes used {share:.0%} of the machine meanwhile"]


def _own_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _busy_seconds() -> float | None:
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
        user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in first[1:9])
    except (OSError, ValueError, IndexError):
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
