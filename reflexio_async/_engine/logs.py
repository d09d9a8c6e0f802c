"""The fields of the package's log records: ``extra=fields(…)``. They hold no ids of users and no contents.

Their names are a promise: ``docs/how-to/observing.md`` lists them, and users' dashboards rest on them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict, Unpack

Event: TypeAlias = Literal[
    "agent_memory_failed",
    "background_error",
    "batch_cut_short",
    "batch_dropped",
    "batch_stopped",
    "call_retried",
    "call_unresolved",
    "client_closed",
    "client_closing",
    "client_dropped",
    "delivery_waits",
    "hook_failed",
    "job_not_cancelled",
    "jobs_wait",
    "lane_failed",
    "lane_without_key",
    "lanes_unreadable",
    "lease_lost",
    "organisation_unknown",
    "outbox_waits",
    "row_not_written",
    "server_answers",
    "server_away",
    "slot_taken",
    "start_sent_again",
    "start_unanswered",
    "store_closed",
    "store_unreadable",
    "trace_not_sent",
    "worker_missing",
]


class Fields(TypedDict, total=False):
    """What a record may say besides its event.

    Attributes:
        attempt: The number of the try that failed, from 1.
        batch: What the batch goes over, in the plural.
        call: The name of the call.
        delay: Seconds until the next try.
        kind: The name of the kind of job.
        method: The HTTP method.
        organisation: The id of the organisation.
        route: The path, with names in braces in place of ids.
        seconds: How long it lasts already, or may take.
        service: The name of the slot's service, or ``outbox``.
        store: The path of the store's file, or the name of its database.
        url: The address of the server.
        worker: The name of the worker.
    """

    attempt: int
    batch: str
    call: str
    delay: float
    kind: str
    method: str
    organisation: str
    route: str
    seconds: float
    service: str
    store: str
    url: str
    worker: str


def fields(event: Event, error: BaseException | None = None, **values: Unpack[Fields]) -> dict[str, object]:
    """The ``extra`` of one record: ``reflexio_event``, ``reflexio_error`` and the other ``reflexio_…``."""
    found: dict[str, object] = {"reflexio_event": event}
    found.update((f"reflexio_{name}", value) for name, value in values.items())
    if error is not None:
        found["reflexio_error"] = type(error).__name__
    return found
