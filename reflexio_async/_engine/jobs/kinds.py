"""What a service tells the engine of its jobs: kinds, operations, and how a server answers starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reflexio_async._engine.jobs.status import JobStatus

T = TypeVar("T")


class Dialect(Enum):
    """How a server answers the start of a job in a slot; recognised from its first answer."""

    CORRELATED = "a unique operation_id, echoed in the status"
    UNCORRELATED = "a constant operation_id; matched by start time and parameters"
    SYNCHRONOUS = "the answer comes when the work is done"


@dataclass(frozen=True, slots=True)
class Operation:
    """The latest operation in a slot, as the server's status shows it.

    ``id`` is None on servers that give no unique one. ``params`` are the request's parameters as the server
    repeats them. ``started_at`` is in epoch seconds, by the server's clock. ``raw`` is the service's model.
    """

    id: str | None
    params: Mapping[str, Any]
    started_at: int
    status: JobStatus
    failed_users: Mapping[str, str] = field(default_factory=dict[str, str])
    raw: Any = None

    def is_same(self, other: Operation | None) -> bool:
        """Whether both are one operation: by id, else by start time and parameters."""
        if other is None:
            return False
        if self.id is not None or other.id is not None:
            return self.id == other.id
        return self.started_at == other.started_at and self.params == other.params


@dataclass(frozen=True, slots=True)
class JobKind:
    """The name in tokens and logs, and the default waiting in seconds."""

    name: str
    interval: float
    timeout: float


@dataclass(frozen=True, slots=True)
class SlotKind(JobKind, Generic[T]):
    """A kind of job of which a server runs one at a time, in the slot of its ``service``.

    ``echoed`` are the parameters that the server repeats in its status. ``mode`` is what it notes of jobs
    whose start is answered only when they are done; None for the others. ``constant_id`` is the id that every
    job has on servers that give no unique one. ``count_field`` names the number in the answer to a start that
    says that the work is already done. ``result`` makes the response of a completed operation.
    """

    service: str
    constant_id: str
    echoed: tuple[str, ...]
    count_field: str
    mode: str | None
    result: Callable[[Operation], T]

    def params(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a request that the server repeats in the status."""
        return {name: request.get(name) for name in self.echoed}

    def dialect_of(self, answer: Any) -> Dialect:
        """How the server that gave ``answer`` (a successful start) answers starts."""
        if self.mode is not None or getattr(answer, self.count_field) is not None:
            return Dialect.SYNCHRONOUS
        return Dialect.UNCORRELATED if answer.operation_id == self.constant_id else Dialect.CORRELATED

    def matches(self, params: Mapping[str, Any], operation: Operation) -> bool:
        """Whether ``operation`` has these parameters (an absent one and null are equal)."""
        theirs = operation.params
        return theirs.get("mode") == self.mode and all(
            theirs.get(name) == value for name, value in params.items()
        )


@dataclass(frozen=True, slots=True)
class SingleKind(JobKind, Generic[T]):
    """A job with a status route of its own: ``read`` makes a JobStatus of its answer.

    ``per_second`` is the limit of that route for all jobs of the kind together, and with those of the kind
    ``limited_with``; ``concurrency`` is how many are asked for at once then, ``burst`` how many may go
    beyond the limit after a rest. ``appears_late`` says that a 404
    means "not yet" until the job has been seen.
    """

    read: Callable[[T], JobStatus]
    per_second: float | None = None
    concurrency: int = 8
    burst: int = 1
    limited_with: str = ""
    appears_late: bool = False
    cancellable: bool = False
