"""The batch of a rerun in a store: which one it is, how far it is, and how it is continued."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reflexio_async._engine.batch.failures import reason_in
from reflexio_async._engine.jobs.status import JobState
from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK, exit_bad_input
from reflexio_async.cli.inputs import shown_store
from reflexio_async.cli.results import print_table
from reflexio_async.cli.store import counts_text, looking_at
from reflexio_async.errors import InvalidRequest, NotFound
from reflexio_async.reflexio.jobs import PLAYBOOK_RERUN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.cli.signals import Signals
    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.durable.entries import BatchEntry, JobEntry

_DIGITS = 12
PROFILES = "profile_generation"
_SHOWN_BATCHES = 20
_NAMED_BATCHES = 5
_SHOWN_FAILURES = 50
_MANY = 10_000_000
_INCOMPLETE = (JobState.FAILED, JobState.LOST, JobState.CANCELLED)
# What was withdrawn, because the batch was stopped, is queued again.
_LEFT = (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLED)


async def default_id(
    client: AsyncReflexioClient, ids: Sequence[str], source: str | None, service: str = PROFILES
) -> str:
    """The id of a batch that has none: the same ids and options at the same server have the same."""
    try:
        organisation = (await client.whoami()).org_id
    except NotFound as error:
        if not error.from_api:
            raise
        # January's servers have no whoami.
        organisation = None
    parts = [client.base_url, organisation or "", source or "", sorted(ids)]
    content = json.dumps(parts if service == PROFILES else [*parts, service])
    return f"rerun-{hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]}"


async def ids_of(client: AsyncReflexioClient, batch_id: str | None) -> list[str]:
    """The users, or agent versions, of a batch that is in the store.

    Raises:
        InvalidRequest: There is no such batch.
    """
    jobs = await client.store.jobs(batch=batch_id, limit=_MANY)
    if not jobs:
        message = f"--batch-id: the store has no batch {batch_id!r}; name its users with --users or --user"
        raise InvalidRequest(message + await _batches_text(client))
    return [job.key for job in reversed(jobs) if job.key is not None]


async def find_batch(
    client: AsyncReflexioClient, batch_id: str, *, required: bool, is_named: bool
) -> BatchEntry | None:
    """The batch with this id; None: there is none.

    Args:
        client: A client with the store.
        batch_id: The id.
        required: The batch must be there.
        is_named: The id was given. Else it is the one of ``default_id``.

    Raises:
        InvalidRequest: There is none, and it is required: its failures are to be run again.
    """
    found = next(iter(await client.store.batches(batch=batch_id)), None)
    if found is None and required:
        message = f"--retry-failed: the store has no batch {batch_id!r}"
        if not is_named:
            message += " (the default name for these ids, this --source and this server)"
        raise InvalidRequest(message + (await _batches_text(client) or "; it has none"))
    return found


async def _batches_text(client: AsyncReflexioClient) -> str:
    """Which batches the store has, the newest first, to be appended to an error; empty: none."""
    found = [batch.id for batch in await client.store.batches(limit=_NAMED_BATCHES + 1)]
    more = ", …" if len(found) > _NAMED_BATCHES else ""
    return f"; it has {', '.join(found[:_NAMED_BATCHES])}{more}" if found else ""


async def driven_elsewhere(client: AsyncReflexioClient, store: str, service: str) -> str | None:
    """Say that another process drives the reruns of this server; None: no other does.

    Jobs in a file are driven by any client, those in Postgres by workers alone.
    """
    if "://" in store:
        return None
    for lane in (await client.store.stats()).lanes:
        is_ours = lane.holder is None or lane.holder.startswith(f"{os.getpid()}-")
        if lane.url == client.base_url and lane.name == service and not is_ours:
            return f"another process drives these jobs ({lane.holder}); this one watches, and takes them over"
    return None


def ended_text(batch: BatchEntry) -> str:
    """How far ``batch`` is, such as ``120 of 200 have ended (118 completed, 2 failed)``."""
    ended = {str(state): count for state, count in batch.jobs.items() if state not in _LEFT}
    counts = f" ({counts_text(ended)})" if ended else ""
    return f"{sum(ended.values())} of {sum(batch.jobs.values())} have ended{counts}"


def is_left(batch: BatchEntry) -> bool:
    """Whether some of ``batch`` are still to be run."""
    return any(batch.jobs.get(state) for state in _LEFT)


def left_of(batch: BatchEntry, total: int, *, again: bool) -> int:
    """How many of ``total`` ids are still to be started. ``again``: those too that did not complete."""
    done = sum(count for state, count in batch.jobs.items() if state not in _LEFT)
    return max(0, total - done + (failures_of(batch) if again else 0))


def failures_of(batch: BatchEntry) -> int:
    """How many jobs of ``batch`` have ended without completing, those that were withdrawn left out."""
    return sum(batch.jobs.get(state, 0) for state in (JobState.FAILED, JobState.LOST))


@dataclass(frozen=True)
class ShowBatches:
    """Print how far the batches of a store are. The fields are the command's options."""

    store: str
    batch_id: str | None = None
    as_json: bool = False

    async def run(self, _signals: Signals) -> int:
        """Return the exit code. Nothing is sent."""
        async with looking_at(self.store) as client:
            batches = await client.store.batches(limit=_SHOWN_BATCHES, batch=self.batch_id)
            failed: list[JobEntry] = []
            if self.batch_id is not None and not batches:
                others = await _batches_text(client)
                exit_bad_input(f"--batch-id: the store has no batch {self.batch_id!r}{others}")
            if self.batch_id is not None:
                for state in _INCOMPLETE:
                    failed += await client.store.jobs(batch=self.batch_id, state=state, limit=_SHOWN_FAILURES)
        if self.as_json:
            for batch in batches:
                output.write_line(json.dumps(batch_fields(batch), ensure_ascii=False))
            return OK
        stdout = output.console()
        if not batches:
            output.print_line(stdout, f"no batches in {shown_store(self.store)}")
        for batch in batches:
            counts = counts_text({str(state): count for state, count in batch.jobs.items()})
            noun = "agent version" if batch.kind == PLAYBOOK_RERUN.name else "user"
            what = output.count(sum(batch.jobs.values()), noun)
            what += f" since {output.local_time(batch.created_at)}"
            output.print_line(stdout, f"{batch.id}: {what}: {counts}")
        rows = [
            (str(job.key), str(job.state), reason_in(job.error or "")) for job in failed[:_SHOWN_FAILURES]
        ]
        print_table(stdout, ("user", "state", "why"), rows)
        return OK


def batch_fields(batch: BatchEntry) -> dict[str, object]:
    """A batch for programs."""
    return {
        "id": batch.id,
        "kind": batch.kind,
        "created_at": batch.created_at,
        "users": sum(batch.jobs.values()),
        "jobs": {str(state): count for state, count in batch.jobs.items()},
    }
