"""How long jobs of one kind take, learned from those that have ended."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_REMEMBERED: Final = 64  # jobs
_ENOUGH: Final = 8  # jobs, before anything is estimated


class DurationEstimator:
    """Estimates when to poll a job, from the durations of earlier jobs (in seconds).

    ``quantiles``: one poll is due when this share of the earlier jobs had ended, for each of them.
    """

    def __init__(self, quantiles: Sequence[float]) -> None:
        self._quantiles = quantiles
        self._durations: deque[float] = deque(maxlen=_REMEMBERED)
        self._poll_ages: list[float] = []

    def add(self, *, at_least: float, at_most: float) -> None:
        """Learn from a job that still ran at the age ``at_least`` and had ended at the age ``at_most``."""
        # The middle, not ``at_most``: that is when it was polled, so the estimate would learn from itself.
        self._durations.append((at_least + at_most) / 2)
        if len(self._durations) >= _ENOUGH:
            durations = sorted(self._durations)
            self._poll_ages = [durations[int(share * len(durations))] for share in self._quantiles]

    def next_poll_age(self, age: float) -> float | None:
        """The age at which to poll a job that still ran at ``age``; None: there is no estimate."""
        position = bisect_right(self._poll_ages, age)
        return self._poll_ages[position] if position < len(self._poll_ages) else None
