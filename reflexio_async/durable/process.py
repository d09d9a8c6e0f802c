"""Whether another process of this machine has ended. Linux only: elsewhere it is never known."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class _Stat(NamedTuple):
    state: str
    started: str


def this_process() -> str:
    """The name of this process on this start of the machine; empty where it is not known.

    A number alone is not enough. It is used again by later processes, so that the time of the start belongs
    to it. And each container counts its own processes, so that their namespace does.
    """
    stat = _stat(os.getpid())
    space = _namespace()
    return "" if stat is None or not space else f"{os.getpid()} {stat.started} {space}"


def has_ended(process: str | None) -> bool:
    """Whether the process of this name has ended. False if that is not certain.

    Args:
        process: What ``this_process`` returned there, on this start of the machine.
    """
    pid, started, space = (process or "").split(" ") if (process or "").count(" ") == 2 else ("", "", "")
    if not pid.isdecimal() or not space or space != _namespace():
        return False
    try:
        os.kill(int(pid), 0)  # asks only
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is there, and another user's
    except (OSError, OverflowError):
        return False
    stat = _stat(int(pid))
    if stat is None:
        return False
    return stat.started != started or (stat.state in "ZX" and not _has_threads(int(pid)))


def _stat(pid: int) -> _Stat | None:
    """The state and the start of a process; None: they cannot be read."""
    with suppress(OSError, IndexError):
        # 4321 (name, which may contain anything) S 1 …: the start, in ticks since the boot, is the 22nd.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return _Stat(fields[0], fields[19])
    return None


def _namespace() -> str:
    """The namespaces in which processes and times are counted; empty: not known."""
    try:
        return "/".join(str((_PROC / "self" / "ns" / name).readlink()) for name in ("pid", "time"))
    except OSError:
        return ""


def _has_threads(pid: int) -> bool:
    """Whether other threads run in a process whose main thread has ended."""
    with suppress(OSError):
        return len(list((_PROC / str(pid) / "task").iterdir())) > 1
    return True


__all__ = ["has_ended", "this_process"]
