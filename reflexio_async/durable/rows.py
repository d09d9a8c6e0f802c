"""The rows of a store, as Python values."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import to_json

from reflexio_async._engine.jobs.waits import JobWait, WaitReason
from reflexio_async._engine.wire import EncodedRequest

if TYPE_CHECKING:
    from reflexio_async.durable.database import Row


class RowState(StrEnum):
    """How far a job is, as the store knows it.

    ``STARTING`` is written before the start is sent. A process that finds it after a crash asks the server
    whether the job began.
    """

    QUEUED = "queued"
    STARTING = "starting"
    ADMITTED = "admitted"
    ENDED = "ended"


class LaneKey(NamedTuple):
    """A lane: the server's address, the organisation's id, and the slot's service or ``outbox``."""

    url: str
    org: str
    name: str


class Lease(NamedTuple):
    """The right to drive a lane.

    Attributes:
        lane: The lane.
        fence: Grows with every holder. Writes with an older one change nothing.
        ends_at: When it ends, by the clock of this process. It has ended there no later than in the database.
        limiter: What earlier holders learned about the rate limit, as JSON; None: nothing.
    """

    lane: LaneKey
    fence: int
    ends_at: float
    limiter: str | None


class NewJob(NamedTuple):
    """A job that is put into the store. ``batch`` and ``key`` together are unique."""

    id: str
    account: str
    url: str
    service: str
    kind: str
    request: EncodedRequest
    params: dict[str, Any]
    created_at: float
    batch: str | None = None
    key: str | None = None


class JobRow(NamedTuple):
    """A job as it is in the store; the names are those of the table's columns."""

    seq: int
    id: str
    account: str
    url: str
    service: str
    kind: str
    batch: str | None
    key: str | None
    request: EncodedRequest
    params: dict[str, Any]
    state: RowState
    attempts: int
    created_at: float
    intent_at: float | None
    before: dict[str, Any] | None
    operation_id: str | None
    not_before: int | None
    admitted_at: float | None
    ended_at: float | None
    outcome: dict[str, Any] | None
    waits: tuple[JobWait, ...]


JOB_COLUMNS = ", ".join(JobRow._fields)


def job_row(row: Row) -> JobRow:
    """Read a row with the columns ``JOB_COLUMNS``."""
    made = JobRow(*row)
    return made._replace(
        request=request_from(row[8]),
        params=json.loads(row[9]),
        state=RowState(row[10]),
        before=None if row[14] is None else json.loads(row[14]),
        outcome=None if row[19] is None else json.loads(row[19]),
        waits=waits_from(row[20]),
    )


def waits_text(waits: tuple[JobWait, ...]) -> str | None:
    """``waits`` as JSON; None: there are none."""
    return json.dumps(waits) if waits else None


def waits_from(text: str | None) -> tuple[JobWait, ...]:
    """Undo ``waits_text``."""
    if text is None:
        return ()
    return tuple(JobWait(WaitReason(reason), *times) for reason, *times in json.loads(text))


class JobProgress(NamedTuple):
    """How far a job is: the columns of its row that change, and its kind."""

    id: str
    kind: str
    state: RowState
    attempts: int
    created_at: float
    operation_id: str | None
    not_before: int | None
    admitted_at: float | None
    ended_at: float | None
    outcome: dict[str, Any] | None
    waits: tuple[JobWait, ...]


PROGRESS_COLUMNS = ", ".join(JobProgress._fields)


def job_progress(row: Row) -> JobProgress:
    """Read a row with the columns ``PROGRESS_COLUMNS``."""
    return JobProgress(*row)._replace(
        state=RowState(row[2]),
        outcome=None if row[9] is None else json.loads(row[9]),
        waits=waits_from(row[10]),
    )


class BatchRow(NamedTuple):
    """A batch in the store. ``kind`` is that of its jobs."""

    id: str
    account: str
    url: str
    kind: str
    created_at: float


class OutboxRow(NamedTuple):
    """A call in the outbox; the names are those of the table's columns.

    Attributes:
        seq: Its place in the order in which calls were accepted.
        id: Its id, by which the server stores it once.
        account: A digest of the credential that it was made with.
        url: The server's address.
        call: Its kind, such as ``publish_interaction``.
        session: The session that its order is kept in.
        request: What is sent.
        bytes: The size of the request.
        state: ``waiting`` or ``set_aside``.
        attempts: How often it was sent.
        reason: Why it was set aside.
        created_at: When it was accepted, in epoch seconds.
    """

    seq: int
    id: str
    account: str
    url: str
    call: str
    session: str
    request: EncodedRequest
    bytes: int
    state: str
    attempts: int
    reason: str | None
    created_at: float


OUTBOX_COLUMNS = ", ".join(OutboxRow._fields)


def outbox_row(row: Row) -> OutboxRow:
    """Read a row with the columns ``OUTBOX_COLUMNS``."""
    return OutboxRow(*row)._replace(request=request_from(row[6]))


class OutboxStats(NamedTuple):
    """What is in an outbox.

    Attributes:
        waiting: Calls that wait to be delivered.
        bytes: Bytes of their requests.
        set_aside: Calls that the server has refused.
        oldest: Seconds for which the first of the waiting calls has waited; None when there is none.
    """

    waiting: int
    bytes: int
    set_aside: int
    oldest: float | None


def request_text(request: EncodedRequest) -> str:
    """``request`` as JSON. It has no credential: that is added when it is sent."""
    body = None if request.body is None else request.body.decode()
    fields = [request.method, request.path, request.target, body, request.content_type]
    return to_json([*fields, request.headers] if request.headers else fields).decode()


def request_from(text: str) -> EncodedRequest:
    """Undo ``request_text``."""
    method, path, target, body, content_type, *more = json.loads(text)
    headers = tuple((name, value) for name, value in more[0]) if more else ()
    return EncodedRequest(
        method, path, target, None if body is None else body.encode(), content_type, headers
    )
