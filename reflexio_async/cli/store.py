"""``store`` and ``outbox``: what a store holds. Nothing is sent, unless refused calls are tried again."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK, SOME_FAILED
from reflexio_async.cli.inputs import shown_store
from reflexio_async.cli.options import CALL_TIMEOUT
from reflexio_async.cli.tables import print_table
from reflexio_async.client import AsyncReflexioClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from reflexio_async.cli.signals import Signals
    from reflexio_async.durable.rows import OutboxRow

_DAY = 86400.0
_SHOWN_CALLS = 50
_BETWEEN_LOOKS = 0.2  # seconds


@asynccontextmanager
async def looking_at(store: str, url: str = "", api_key: str = "") -> AsyncGenerator[AsyncReflexioClient]:
    """A client that looks at a store, and does not go on with what is in it."""
    client = AsyncReflexioClient(api_key, url, CALL_TIMEOUT, store=store)
    try:
        yield client  # not ``async with client``: that delivers what the outbox holds
    finally:
        await client.aclose()


def counts_text(counts: Mapping[str, int]) -> str:
    """Counts by state, such as ``3 queued, 1 running``."""
    return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items()) or "none"


@dataclass(frozen=True)
class ShowStore:
    """Print what is in a store. The fields are the command's options."""

    store: str
    as_json: bool = False

    async def run(self, _signals: Signals) -> int:
        """Return the exit code."""
        async with looking_at(self.store) as client:
            stats = await client.store.stats()
        jobs = {str(state): count for state, count in stats.jobs.items()}
        if self.as_json:
            fields = {
                "store": shown_store(self.store),
                "bytes": stats.bytes,
                "jobs": jobs,
                "outbox": {"waiting": stats.outbox_waiting, "set_aside": stats.outbox_set_aside},
                "without_organisation": stats.without_organisation,
                "lanes": [lane._asdict() for lane in stats.lanes],
            }
            output.write_line(json.dumps(fields, ensure_ascii=False))
            return OK
        stdout = output.console()
        outbox = f"{stats.outbox_waiting} waiting, {stats.outbox_set_aside} set aside"
        output.print_line(stdout, f"store: {shown_store(self.store)}, {stats.bytes / 1e6:.1f} MB")
        output.print_line(stdout, f"jobs: {counts_text(jobs)}")
        output.print_line(stdout, f"outbox: {outbox}")
        if stats.without_organisation:
            text = "wait for a client with their key, to learn their organisation"
            output.print_line(stdout, f"{stats.without_organisation} {text}", "yellow")
        rows = [
            (
                lane.url,
                lane.organisation,
                lane.name,
                lane.holder or "nobody",
                "" if lane.lease is None else output.duration(lane.lease),
            )
            for lane in stats.lanes
        ]
        print_table(stdout, ("server", "organisation", "lane", "driven by", "for"), rows)
        return OK


@dataclass(frozen=True)
class Prune:
    """Delete old jobs of a store. The fields are the command's options."""

    store: str
    days: float
    as_json: bool = False

    async def run(self, _signals: Signals) -> int:
        """Return the exit code."""
        async with looking_at(self.store) as client:
            deleted = await client.store.prune(self.days * _DAY)
        if self.as_json:
            output.write_line(json.dumps({"deleted": deleted}))
        else:
            jobs = "job" if deleted == 1 else "jobs"
            text = f"deleted {deleted} {jobs} that had ended {self.days:g} days ago or earlier"
            output.print_line(output.console(), text)
        return OK


@dataclass(frozen=True)
class ShowOutbox:
    """Print what waits to be delivered, and what was refused. The fields are the command's options."""

    store: str
    url: str = ""
    as_json: bool = False

    async def run(self, _signals: Signals) -> int:
        """Return the exit code."""
        async with looking_at(self.store, self.url) as client:
            stats = await client.outbox.stats()
            refused = await client.outbox.refused(_SHOWN_CALLS)
            everywhere = await client.store.stats()
            server = client.base_url
        if self.as_json:
            fields = {
                "server": server,
                "waiting": stats.waiting,
                "bytes": stats.bytes,
                "oldest_seconds": stats.oldest,
                "set_aside": stats.set_aside,
                "refused": [_refused(row) for row in refused],
            }
            output.write_line(json.dumps(fields, ensure_ascii=False))
            return OK
        stdout = output.console()
        oldest = "" if stats.oldest is None else f", the oldest for {output.duration(stats.oldest)}"
        output.print_line(stdout, f"server: {server}")
        output.print_line(stdout, f"waiting: {stats.waiting} ({stats.bytes / 1e6:.1f} MB){oldest}")
        output.print_line(stdout, f"set aside: {stats.set_aside}")
        rows = [
            (
                row.id,
                row.call.partition(" ")[0],
                row.session,
                output.local_time(row.created_at),
                row.reason or "",
            )
            for row in refused
        ]
        print_table(stdout, ("id", "call", "session", "accepted", "why"), rows)
        if stats.set_aside > len(refused):
            output.print_line(stdout, f"… and {stats.set_aside - len(refused)} more")
        elsewhere = everywhere.outbox_waiting + everywhere.outbox_set_aside - stats.waiting - stats.set_aside
        if elsewhere > 0:
            output.print_line(stdout, f"{elsewhere} are for other servers; name one with --url", "yellow")
        return OK


@dataclass(frozen=True)
class RetryOutbox:
    """Deliver once more what was refused. The fields are the command's options."""

    store: str
    url: str = ""
    api_key: str = field(default="", repr=False)
    as_json: bool = False

    async def run(self, _signals: Signals) -> int:
        """Return the exit code, when nothing waits any more. After Ctrl-C the rest stays in the store."""
        async with looking_at(self.store, self.url, self.api_key) as client:
            retried = await client.outbox.retry_refused()
            while (stats := await client.outbox.stats()).waiting:  # noqa: ASYNC110  # another process may deliver
                await asyncio.sleep(_BETWEEN_LOOKS)
        if self.as_json:
            fields = {"retried": retried, "waiting": stats.waiting, "set_aside": stats.set_aside}
            output.write_line(json.dumps(fields))
        else:
            text = f"{retried} tried again: {stats.waiting} waiting, {stats.set_aside} set aside"
            output.print_line(output.console(), text)
        return SOME_FAILED if stats.set_aside else OK


def _refused(row: OutboxRow) -> dict[str, object]:
    return {
        "id": row.id,
        "call": row.call.partition(" ")[0],
        "session": row.session,
        "created_at": row.created_at,
        "reason": row.reason,
    }
