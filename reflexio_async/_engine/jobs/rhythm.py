"""When a job's end is likely, learned from the jobs of its kind that have ended."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_REMEMBERED: Final = 64
_ENOUGH: Final = 8


class Rhythm:
    """How long jobs of one kind take, in seconds, and so when to ask.

    ``shares`` are those of all jobs that are to have ended by each question.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        self._shares = shares
        self._took: deque[float] = deque(maxlen=_REMEMBERED)
        self._moments: list[float] = []

    def ended(self, *, after: float, by: float) -> None:
        """A job had not ended at the age of ``after`` seconds, and had at the age of ``by``.

        The middle is noted: noting ``by``, which is when it was asked for, would learn only from itself.
        """
        self._took.append((after + by) / 2)
        if len(self._took) >= _ENOUGH:
            took = sorted(self._took)
            self._moments = [took[int(share * len(took))] for share in self._shares]

    def next_moment(self, age: float) -> float | None:
        """The age at which to ask for a job that had not ended at ``age``; None: nothing is known."""
        position = bisect_right(self._moments, age)
        return self._moments[position] if position < len(self._moments) else None
