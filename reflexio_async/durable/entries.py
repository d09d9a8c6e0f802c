"""What ``client.store`` returns: what is in a store, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.jobs.status import JobState


class JobEntry(NamedTuple):
    """A job in a store. Times are epoch seconds by the clock of the process that wrote them.

    Attributes:
        token: The text for ``client.job(token)``.
        kind: The name of its kind, such as ``profile_rerun``.
        params: What it was started with, as far as the server repeats it, such as the ``user_id``.
        state: Its state. ``running`` begins just before its start is sent.
        batch: The id of its batch; None for a job of its own.
        key: Its key in the batch.
        created_at: When it was put into the store.
        started_at: When the server accepted its start.
        ended_at: When its end was seen.
        error: Why it has no result.
    """

    token: str
    kind: str
    params: dict[str, Any]
    state: JobState
    batch: str | None
    key: str | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    error: str | None


class BatchEntry(NamedTuple):
    """A batch in a store.

    Attributes:
        id: Its id, with which it can be continued.
        kind: The name of the kind of its jobs.
        created_at: When it was put into the store, in epoch seconds.
        jobs: How many of its jobs are in each state.
    """

    id: str
    kind: str
    created_at: float
    jobs: Mapping[JobState, int]


class AccountEntry(NamedTuple):
    """A credential with which jobs and calls were put into a store, and what it has there.

    Attributes:
        id: A digest of the credential. It does not tell the credential.
        url: The server's address.
        organisation: The organisation's id at the server. None: it was not learned yet, or the server does
            not tell it. Then only a client with this credential sends what waits.
        jobs: Jobs that have not ended.
        waiting: Calls in the outbox that wait to be delivered.
        bytes: Bytes of their requests.
        set_aside: Calls that the server has refused.
        oldest: Since when the first of the waiting calls has waited, in epoch seconds; None: none waits.
    """

    id: str
    url: str
    organisation: str | None
    jobs: int
    waiting: int
    bytes: int
    set_aside: int
    oldest: float | None


class CallEntry(NamedTuple):
    """A call in the outbox of a store that the server has refused.

    Attributes:
        id: Its id, by which the server stores it once.
        url: The server's address.
        organisation: The organisation's id; None: it is not known.
        call: Its kind, such as ``publish_interaction``.
        session: The session that its order is kept in.
        created_at: When it was accepted, in epoch seconds.
        reason: Why it was set aside.
    """

    id: str
    url: str
    organisation: str | None
    call: str
    session: str
    created_at: float
    reason: str


class LaneEntry(NamedTuple):
    """A lane in a store: the queue in front of one of the server's slots, the outbox, or promotions.

    Attributes:
        url: The server's address.
        organisation: The organisation's id at the server.
        name: The name of the slot's service, or ``outbox``, or ``promotion``.
        holder: The process that sends what is in it; None: none does at present.
        lease: Seconds for which that process may do so, if it does not renew its lease.
    """

    url: str
    organisation: str
    name: str
    holder: str | None
    lease: float | None


class StoreStats(NamedTuple):
    """What is in a store.

    Attributes:
        jobs: How many jobs are in each state.
        lanes: The lanes.
        outbox_waiting: Calls in the outbox that wait to be delivered.
        outbox_set_aside: Calls that the server has refused.
        without_organisation: Jobs and calls that wait until a client that has their key is opened with this
            store. Only the server can say which organisation they belong to.
        bytes: The size of the file or database.
    """

    jobs: Mapping[JobState, int]
    lanes: tuple[LaneEntry, ...]
    outbox_waiting: int
    outbox_set_aside: int
    without_organisation: int
    bytes: int
