"""What a job waited for, and when; and why queued work does not move at this moment."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

_LONG_AGO = 20 * 3600.0  # seconds; a time of day alone would be taken for one of today


class WaitReason(StrEnum):
    """What a job waits for.

    ``rate_limit``: the window of the rate limit is used up. ``server_away``: the server does not answer.
    ``slot_taken``: an operation of another client runs in the server's slot. The others are reasons of a
    batch alone. ``running``: its jobs that run. ``answer``: a request was sent, and has no answer yet.
    ``server_error``: the server answers with errors. ``store``: the store cannot be used. ``other_process``:
    another process, or a worker, starts what is in the store.
    """

    RATE_LIMIT = "rate_limit"
    SERVER_AWAY = "server_away"
    SLOT_TAKEN = "slot_taken"
    RUNNING = "running"
    ANSWER = "answer"
    SERVER_ERROR = "server_error"
    STORE = "store"
    OTHER_PROCESS = "other_process"


class JobWait(NamedTuple):
    """One wait of a job, while it was the next to be started or while it ran.

    Attributes:
        reason: What it waited for.
        began_at: Since when, in epoch seconds.
        ended_at: Until when, in epoch seconds.
    """

    reason: WaitReason
    began_at: float
    ended_at: float


class WaitingFor(NamedTuple):
    """What a batch waits for now. ``str()`` is a line for people, with times of day in local time.

    Attributes:
        reason: What it waits for.
        since: Since when, in epoch seconds; None: not known. For ``slot_taken`` by the server's clock.
        seconds: For ``rate_limit``: until it opens. For ``server_away``, ``server_error`` and ``store``:
            until the next try. None: not known.
        jobs: How many run, for ``running``.
        detail: More about it, such as ``5 per 60 s``; may be empty.
    """

    reason: WaitReason
    since: float | None = None
    seconds: float | None = None
    jobs: int = 0
    detail: str = ""

    def __str__(self) -> str:
        since = "" if self.since is None else f" since {_time_of_day(self.since)}"
        detail = f" ({self.detail})" if self.detail else ""
        again = "" if self.seconds is None else f", next try in {self.seconds:.0f} s"
        opens = "closed" if self.seconds is None else f"opens in {max(1.0, self.seconds):.0f} s"
        texts = {
            WaitReason.RATE_LIMIT: f"quota {opens}{detail}",
            WaitReason.SERVER_AWAY: f"server unreachable{since}{again}",
            WaitReason.SLOT_TAKEN: f"slot held by another client{since}",
            WaitReason.RUNNING: f"waiting for {self.jobs} running{since}",
            WaitReason.ANSWER: f"waiting for an answer of the server{since}",
            WaitReason.SERVER_ERROR: f"server answers with an error{since}{again}{detail}",
            WaitReason.STORE: f"the store cannot be used{since}{again}{detail}",
            WaitReason.OTHER_PROCESS: self.detail or "another process drives these jobs",
        }
        return texts[self.reason]


def _time_of_day(epoch: float) -> str:
    then, now = datetime.fromtimestamp(epoch).astimezone(), datetime.now().astimezone()
    is_recent = abs((now - then).total_seconds()) < _LONG_AGO
    return then.strftime("%H:%M" if is_recent else "%Y-%m-%d %H:%M")
