"""Where the time of a batch went: running, and waiting for what."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from reflexio_async._engine.jobs.waits import WaitReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reflexio_async._engine.batch.report import Outcome
    from reflexio_async._engine.jobs.waits import JobWait
    from reflexio_async._engine.rate_limits import Limit

RUNNING: str = WaitReason.RUNNING.value
RATE_LIMIT: str = WaitReason.RATE_LIMIT.value
SERVER_AWAY: str = WaitReason.SERVER_AWAY.value
SLOT_TAKEN: str = WaitReason.SLOT_TAKEN.value
OTHER: str = "other"

# At one time the first of these that applies. A job that runs while the server is away is not seen to go on.
_ORDER = (SERVER_AWAY, RUNNING, RATE_LIMIT, SLOT_TAKEN)


class Run(Protocol):
    """What has run, and what it waited for. Times are epoch seconds."""

    @property
    def started_at(self) -> float:
        """When the server accepted it."""
        ...

    @property
    def ended_at(self) -> float:
        """When its end was seen."""
        ...

    @property
    def waits(self) -> tuple[JobWait, ...]:
        """What it waited for."""
        ...


class Segment(NamedTuple):
    """What a batch did: ``RUNNING``, a reason to wait, or ``OTHER``. Times are epoch seconds."""

    activity: str
    began_at: float
    ended_at: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended_at - self.began_at


class Window(NamedTuple):
    """A window of the rate limit: when it began (epoch seconds), and how many jobs were started in it."""

    began_at: float
    used: int


def extent(outcomes: Sequence[Outcome[Any, Any]], began_at: float | None) -> tuple[float, float]:
    """When the first key was queued, and when the last one ended."""
    begins = [outcome.queued_at for outcome in outcomes]
    if began_at is not None:
        begins.append(began_at)
    return min(begins, default=0.0), max([*(outcome.ended_at for outcome in outcomes), *begins], default=0.0)


def segments(runs: Iterable[Run], begin: float, end: float) -> list[Segment]:
    """What was done from ``begin`` to ``end``, without gaps."""
    changes: list[tuple[float, str, int]] = []
    for run in runs:
        spans = [(RUNNING, run.started_at, run.ended_at)]
        spans += [(wait.reason.value, wait.began_at, wait.ended_at) for wait in run.waits]
        for activity, began_at, ended_at in spans:
            first, last = max(began_at, begin), min(ended_at, end)
            if last > first and activity in _ORDER:
                changes += [(first, activity, 1), (last, activity, -1)]
    found: list[Segment] = []
    under_way: Counter[str] = Counter()
    now = begin
    for at, activity, change in [*sorted(changes), (end, OTHER, 0)]:
        if at > now:
            current = next((name for name in _ORDER if under_way[name]), OTHER)
            if found and found[-1].activity == current:
                found[-1] = found[-1]._replace(ended_at=at)
            else:
                found.append(Segment(current, now, at))
            now = at
        if change:
            under_way[activity] += change
    return found


def seconds_of(parts: Iterable[Segment]) -> dict[str, float]:
    """Activity → how long it took in all."""
    seconds = dict.fromkeys((RUNNING, RATE_LIMIT, SERVER_AWAY, SLOT_TAKEN, OTHER), 0.0)
    for part in parts:
        seconds[part.activity] += part.seconds
    return seconds


def windows(starts: Iterable[float], limit: Limit | None) -> list[Window]:
    """The windows of ``limit`` in which jobs were started, from the times at which they were."""
    found: list[Window] = []
    if limit is None:
        return found
    for start in sorted(starts):
        if found and start < found[-1].began_at + limit.period and found[-1].used < limit.hits:
            found[-1] = found[-1]._replace(used=found[-1].used + 1)
        else:
            found.append(Window(start, 1))
    return found
