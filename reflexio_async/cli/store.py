"""``store`` and ``outbox``: what a store holds. Nothing is sent, unless refused calls are tried again."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK, SOME_FAILED
from reflexio_async.cli.inputs import shown_store
from reflexio_async.cli.options import CALL_TIMEOUT
from reflexio_async.cli.results import print_table

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from reflexio_async.cli.signals import Signals
    from reflexio_async.client import AsyncReflexioClient

_DAY = 86400.0
_SHOWN_CALLS = 50
_NOT_KNOWN = "not known"
_BETWEEN_LOOKS = 0.2  # seconds


@asynccontextmanager
async def looking_at(store: str, url: str = "", api_key: str = "") -> AsyncGenerator[AsyncReflexioClient]:
    """A client that looks at a store, and does not go on with what is in it."""
    from reflexio_async.client import AsyncReflexioClient  # noqa: PLC0415  # slow to load

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
            jobs = output.count(deleted, "job")
            text = f"deleted {jobs} that had ended {self.days:g} days ago or earlier"
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
            server = client.base_url
            accounts = await client.store.accounts()
            refused = await client.store.refused(url=server, limit=_SHOWN_CALLS)
        here = [account for account in accounts if account.url == server]
        waiting, size = sum(account.waiting for account in here), sum(account.bytes for account in here)
        set_aside = sum(account.set_aside for account in here)
        since = min((account.oldest for account in here if account.oldest is not None), default=None)
        oldest = None if since is None else max(time.time() - since, 0.0)
        if self.as_json:
            fields = {
                "server": server,
                "waiting": waiting,
                "bytes": size,
                "oldest_seconds": oldest,
                "set_aside": set_aside,
                "accounts": [account._asdict() for account in here],
                "refused": [{**call._asdict(), "call": call.call.partition(" ")[0]} for call in refused],
            }
            output.write_line(json.dumps(fields, ensure_ascii=False))
            return OK
        stdout = output.console()
        age = "" if oldest is None else f", the oldest for {output.duration(oldest)}"
        output.print_line(stdout, f"server: {server}")
        output.print_line(stdout, f"waiting: {waiting} ({size / 1e6:.1f} MB){age}")
        output.print_line(stdout, f"set aside: {set_aside}")
        print_table(
            stdout,
            ("organisation", "account", "waiting", "set aside", "jobs"),
            [
                (
                    entry.organisation or _NOT_KNOWN,
                    entry.id,
                    *map(str, (entry.waiting, entry.set_aside, entry.jobs)),
                )
                for entry in here
            ],
        )
        if any(entry.organisation is None for entry in here):
            text = "an organisation that is not known is learned by a client with the same key"
            advice = "if that was replaced, assign it or discard it: outbox --help"
            output.print_line(stdout, f"{text}; {advice}", "yellow")
        print_table(
            stdout,
            ("id", "organisation", "call", "session", "accepted", "why"),
            [
                (
                    call.id,
                    call.organisation or _NOT_KNOWN,
                    call.call.partition(" ")[0],
                    call.session,
                    output.local_time(call.created_at),
                    call.reason,
                )
                for call in refused
            ],
        )
        if set_aside > len(refused):
            output.print_line(stdout, f"… and {set_aside - len(refused)} more")
        elsewhere = sum(account.waiting + account.set_aside for account in accounts if account not in here)
        if elsewhere > 0:
            output.print_line(stdout, f"{elsewhere} are for other servers; name one with --url", "yellow")
        return OK


@dataclass(frozen=True)
class Assign:
    """Say which organisation an account belongs to. The fields are the command's options."""

    store: str
    account: str
    organisation: str
    as_json: bool = False

    async def run(self, _signals: Signals) -> int:
        """Return the exit code. Nothing is sent."""
        async with looking_at(self.store) as client:
            await client.store.assign(self.account, self.organisation)
        if self.as_json:
            output.write_line(json.dumps({"account": self.account, "organisation": self.organisation}))
        else:
            text = f"what waits for {self.account} is sent by the clients of {self.organisation}"
            output.print_line(output.console(), text)
        return OK


@dataclass(frozen=True)
class Discard:
    """Delete what waits for an account. The fields are the command's options."""

    store: str
    account: str
    as_json: bool = False

    async def run(self, _signals: Signals) -> int:
        """Return the exit code. Nothing is sent."""
        async with looking_at(self.store) as client:
            discarded = await client.store.discard(self.account)
        if self.as_json:
            output.write_line(json.dumps({"discarded": discarded}))
        else:
            output.print_line(output.console(), f"discarded: {discarded}")
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
