"""The definition of a batch, and the work on one of its items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence

    from reflexio_async._engine.availability import Availability
    from reflexio_async._engine.batch.progress import BatchProgress
    from reflexio_async._engine.batch.worker import Worker
    from reflexio_async._engine.jobs.job import Job
    from reflexio_async._engine.jobs.waits import JobWait, WaitingFor
    from reflexio_async._engine.rate_limits import RateLimiter

BATCH_OUTAGE_TIMEOUT = 3600.0
"""Seconds for which a batch waits for a server that is away, by default."""

K = TypeVar("K")
T = TypeVar("T")


class Attempt(Generic[T]):
    """The work on one key. ``Work.process_item`` writes it, and the batch reads it to make the Outcome.

    ``attempts`` is how often the request was sent. ``ended_at`` is in epoch seconds; None: now. When
    ``stopped``, an event of the whole batch, is set, nothing more may be sent. ``worker`` does the work.
    """

    __slots__ = (
        "attempts",
        "ended_at",
        "job",
        "result",
        "seconds_queued",
        "seconds_running",
        "stopped",
        "waits",
        "worker",
    )

    def __init__(self, stopped: asyncio.Event, worker: Worker) -> None:
        self.seconds_queued = 0.0
        self.seconds_running = 0.0
        self.attempts = 0
        self.ended_at: float | None = None
        self.waits: tuple[JobWait, ...] = ()
        self.result: T | None = None
        self.job: Job[T] | None = None
        self.stopped = stopped
        self.worker = worker

    def count(self) -> None:
        """Count one HTTP request; an ``on_attempt`` callback."""
        self.attempts += 1


class StoredKeys(Protocol):
    """A batch in a store."""

    @property
    def id(self) -> str:
        """The id with which it can be continued."""
        ...

    async def begin(self, keys: Sequence[str] | None, *, again: bool) -> None:
        """Store ``keys``; None: they are not known yet. ``again``: queue what has not completed once more."""
        ...

    async def stop(self) -> None:
        """Withdraw what is queued."""
        ...


@dataclass(slots=True, eq=False)
class Work(Generic[K, T]):
    """The definition of a batch.

    Attributes:
        name: What the items are called in messages, in the plural.
        check: Returns the item for what the caller gave, or raises InvalidRequest.
        key: The key of an item.
        process_item: Does the work for one item, and writes its result into the Attempt.
        width: How many items are worked on at once.
        per_minute: The contract's rate limit, for the plan.
        rate_limiter: The rate limit as the server's responses have shown it, for the progress.
        availability: Whether the server answers, for the progress.
        outage_timeout: Seconds for which the server may be away. Then the batch starts nothing more.
        fail_fast: Start nothing more after the first item that does not complete.
        on_progress: Called at the start, after every item that ends, and every minute of an outage.
        stored: The batch in the client's store, whose keys are texts; None without a store.
        again: Whether its keys that have not completed are queued once more.
        lane_waits_for: Returns what the lane of its starts waits for; None: its items need no lane.
        finish: Called once when every item has completed; its result is the report's ``upgrade``.
    """

    name: str
    check: Callable[[Any], Any]
    key: Callable[[Any], K]
    process_item: Callable[[Any, Attempt[T]], Awaitable[None]]
    width: int
    per_minute: int | None
    rate_limiter: RateLimiter
    availability: Availability
    outage_timeout: float
    fail_fast: bool = False
    on_progress: Callable[[BatchProgress], None] | None = None
    finish: Callable[[], Awaitable[Any]] | None = None
    stored: StoredKeys | None = None
    again: bool = False
    lane_waits_for: Callable[[], WaitingFor | None] | None = None
