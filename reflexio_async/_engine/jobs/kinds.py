"""Kinds of jobs, and the classes that describe the server's answers."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

from reflexio_async._engine.jobs.status import QUEUED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reflexio_async._engine.jobs.status import JobStatus

T = TypeVar("T")


class Dialect(Enum):
    """How a server answers the start of a job in a slot; recognised from its first answer."""

    CORRELATED = "a unique operation_id, which the status repeats"
    UNCORRELATED = "the same operation_id for every job; jobs are distinguished by start time and parameters"
    SYNCHRONOUS = "the answer comes when the work is done"


class Operation(NamedTuple):
    """The latest operation in a slot, as the server's status shows it.

    Attributes:
        id: Its unique id; None on servers that give none.
        params: The parameters of its request, as the server repeats them.
        started_at: Whole epoch seconds, by the server's clock.
        status: Its state as a JobStatus.
        failed_users: User id → reason.
        raw: The service's own model of it.
    """

    id: str | None
    params: Mapping[str, Any]
    started_at: int
    status: JobStatus
    failed_users: Mapping[str, str]
    raw: Any

    def is_same(self, other: Operation | None) -> bool:
        """Whether both are one operation: by id, else by start time and parameters."""
        if other is None:
            return False
        if self.id is not None or other.id is not None:
            return self.id == other.id
        return self.started_at == other.started_at and self.params == other.params

    def to_dict(self) -> dict[str, Any]:
        """What ``is_same`` compares, as JSON values."""
        return {"id": self.id, "params": dict(self.params), "started_at": self.started_at}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any] | None) -> Operation | None:
        """An operation that ``is_same`` knows again, but whose status is not known."""
        return None if fields is None else cls(**fields, status=QUEUED, failed_users={}, raw=None)


class StartAccepted(NamedTuple):
    """The server's answer to a start that it accepted.

    Attributes:
        operation_id: The id by which the status shows the job.
        dialect: How this server answers starts.
        message: The server's own text.
    """

    operation_id: str
    dialect: Dialect
    message: str | None


class StartRefused(NamedTuple):
    """The server's answer to a start that it refused; ``busy`` means that the slot is taken."""

    message: str | None
    busy: bool


class Slot(NamedTuple):
    """The server's one place for jobs of one service: they run one at a time.

    Attributes:
        service: The service's name in the server's API.
        poll_interval: Seconds between status requests, where no waiter asks for another interval.
    """

    service: str
    poll_interval: float


class SlotKind(NamedTuple, Generic[T]):
    """A kind of job that occupies a slot while it runs.

    Attributes:
        name: Its name in tokens and logs.
        timeout: The default wait, in seconds.
        slot: The slot that jobs of this kind occupy.
        echoed: The parameters of the request that the server repeats in its status.
        constants: Parameters that the status shows for every job of this kind.
        shared_id: The id of every job on servers of the uncorrelated dialect.
        synchronous: Every server answers the start only when the work is done.
        read_start: Reads the answer to a start.
        result: Returns the result of the job, given its completed operation.
        refusal: Returns the response of a job that failed, given its id and the reason. For callers who do
            not want failures raised.
    """

    name: str
    timeout: float
    slot: Slot
    echoed: tuple[str, ...]
    constants: Mapping[str, Any]
    shared_id: str
    read_start: Callable[[Any], StartAccepted | StartRefused]
    result: Callable[[Operation], T]
    synchronous: bool = False
    refusal: Callable[[str | None, str], T] | None = None

    def matches(self, params: Mapping[str, Any], operation: Operation) -> bool:
        """Whether ``operation`` is of this kind and has ``params``; an absent parameter equals None."""
        shown = operation.params
        return all(shown.get(name) == value for name, value in self.constants.items()) and all(
            shown.get(name) == value for name, value in params.items()
        )


class PollRate(NamedTuple):
    """How often one status route may be asked. All kinds with an equal rate share it.

    Attributes:
        route: A name for the route, or the group of routes, that this rate is for.
        per_second: Requests per second on average; None: no limit.
        burst: Requests that may be sent at once after a pause.
        concurrency: Requests that may be under way at the same time.
    """

    route: str = ""
    per_second: float | None = None
    burst: int = 1
    concurrency: int = 8


UNLIMITED = PollRate()


class PolledKind(NamedTuple, Generic[T]):
    """A kind of job that has a status route of its own, which is asked by the job's id.

    Attributes:
        name: Its name in tokens and logs.
        timeout: The default wait, in seconds.
        interval: Seconds between status requests, where no waiter asks for another interval.
        read: Returns the JobStatus, given the route's answer. The answer is the result of a completed job.
        rate: How often the route may be asked.
        unknown_at_first: What a 404 may mean until the job has been seen once, for messages. None: a 404
            always ends the wait.
        cancellable: The server can be asked to stop such a job.
    """

    name: str
    timeout: float
    interval: float
    read: Callable[[T], JobStatus]
    rate: PollRate = UNLIMITED
    unknown_at_first: str | None = None
    cancellable: bool = False


JobKind: TypeAlias = SlotKind[Any] | PolledKind[Any]
