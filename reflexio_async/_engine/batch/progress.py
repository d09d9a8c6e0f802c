"""The plan and the progress of a batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from reflexio_async._engine.jobs.waits import WaitingFor


class BatchProgress(NamedTuple):
    """How far a batch is.

    Attributes:
        total: How many keys there are; None for an iterator.
        done: Keys that have ended.
        under_way: Keys that are being worked on.
        counts: Outcome state → keys that ended so.
        seconds: Since the batch began.
        eta_seconds: Seconds until the end, estimated; None: unknown.
        waiting_for: Why no more is started at this moment, and ``str()`` of it in words; None: nothing is
            waited for.
    """

    total: int | None
    done: int
    under_way: int
    counts: dict[str, int]
    seconds: float
    eta_seconds: float | None
    waiting_for: WaitingFor | None = None


class BatchPlan(NamedTuple):
    """An estimate before the start.

    Attributes:
        total: How many keys there are; None for an iterator.
        per_minute: The server's documented limit of requests a minute; None: there is none.
        seconds: About how long the batch takes at that limit; None: unknown.
    """

    total: int | None
    per_minute: int | None
    seconds: float | None

    @classmethod
    def of(cls, total: int | None, per_minute: int | None) -> Self:
        """The estimate for ``total`` keys at that limit."""
        if total is None or per_minute is None:
            return cls(total, per_minute, None)
        # A window opens with its first request, so the requests of one window are sent without a wait.
        return cls(total, per_minute, max(0, math.ceil(total / per_minute) - 1) * 60.0)

    def __str__(self) -> str:
        count = "an unknown number" if self.total is None else str(self.total)
        if self.seconds is None:
            return f"{count} to do"
        minutes = self.seconds / 60
        return f"{count} to do; at most {self.per_minute} a minute are admitted, so about {minutes:.0f} min"
