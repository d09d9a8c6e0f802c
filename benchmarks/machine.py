"""The machine in words, and how busy others keep it meanwhile."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import time
from pathlib import Path

BUSY_SHARE = 0.10  # of all cores, used by others, above which a measurement is worth little
BUSY_LOAD = 0.5  # runnable processes per core before a run begins

_LIBRARIES = ("aiohttp", "pydantic", "pydantic-core", "anyio", "uvloop")


def describe() -> dict[str, str | int]:
    """Processor, cores, system and versions; nothing that names the machine or its folders."""
    words: dict[str, str | int] = {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for library in _LIBRARIES:
        try:
            words[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            words[library] = "not installed"
    return words


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
    """What speaks against beginning now."""
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    if load <= BUSY_LOAD * cores:
        return []
    return [f"the machine was busy before it began: load {load:.1f} on {cores} cores"]


class Others:
    """How much of the machine other processes use, from making it until ``warnings`` is asked.

    Only where the system says so (Linux); our own children count once they have ended.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._busy = _busy_seconds()
        self._own = _own_seconds()

    def share(self) -> float | None:
        """The share of all cores; None where it cannot be known."""
        busy = _busy_seconds()
        if busy is None or self._busy is None:
            return None
        elapsed = (time.perf_counter() - self._began) * (os.cpu_count() or 1)
        foreign = (busy - self._busy) - (_own_seconds() - self._own)
        return max(0.0, foreign / elapsed) if elapsed else 0.0

    def warnings(self) -> list[str]:
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
