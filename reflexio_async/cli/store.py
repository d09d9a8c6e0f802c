"""``store`` and ``outbox``: what a store holds. Nothing is sent, unless refused calls are tried again.

typer reads annotations at run time: no future annotations here.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from reflexio_async.cli import output
from reflexio_async.cli.command import command
from reflexio_async.cli.command_runner import OK, SOME_FAILED
from reflexio_async.cli.inputs import shown_store
from reflexio_async.cli.options import (
    CALL_TIMEOUT,
    ApiKey,
    OptionalStore,
    Store,
    Url,
    existing_store,
    new_app,
)
from reflexio_async.cli.results import Result, print_table, sentence

if TYPE_CHECKING:
    from rich.console import Console

    from reflexio_async.client import AsyncReflexioClient

_DAY = 86400.0
_SHOWN_CALLS = 50
_NOT_KNOWN = "not known"
_BETWEEN_LOOKS = 0.2  # seconds

store = new_app(
    "Show the jobs, the outbox and the lanes of a store; or delete what is old. Nothing is sent.\n\n"
    "Example: `reflexio-async store --store reflexio.db`"
)
outbox = new_app(
    "Show what waits in a store to be published, and what the server refused, with the reasons.\n\n"
    "Example: `reflexio-async outbox --store reflexio.db`"
)
_Account = Annotated[
    str,
    typer.Argument(metavar="ACCOUNT", show_default=False, help="The account, as `outbox` shows it."),
]


@asynccontextmanager
async def looking_at(store: str, url: str = "", api_key: str = "") -> AsyncGenerator["AsyncReflexioClient"]:
    """A client that looks at a store, and does not go on with what is in it."""
    from reflexio_async.client import AsyncReflexioClient  # noqa: PLC0415  # slow to load

    client = AsyncReflexioClient(api_key, url, CALL_TIMEOUT, store=store)
    try:
        yield client  # not ``async with client``: that delivers what the outbox holds
    finally:
        await client.aclose()


_Looking = AbstractAsyncContextManager["AsyncReflexioClient"]


def _of_group(*, store: OptionalStore = None) -> _Looking:
    return looking_at(existing_store(store))


def _of_group_and_server(*, store: OptionalStore = None, url: Url = "") -> _Looking:
    return looking_at(existing_store(store), url)


def _of_command(*, store: Store) -> _Looking:
    return looking_at(existing_store(store))


def _of_sender(*, store: Store, url: Url = "", api_key: ApiKey = "") -> _Looking:
    return looking_at(existing_store(store), url, api_key)


def counts_text(counts: Mapping[str, int]) -> str:
    """Counts by state, such as ``3 queued, 1 running``."""
    return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items()) or "none"


@command(store, client=_of_group, is_default=True)
async def show_store(client: "AsyncReflexioClient", *, store: str) -> Result:
    """Show the jobs, the outbox and the lanes of a store. The help of the group is shown."""
    stats = await client.store.stats()
    name = shown_store(store)
    jobs = {str(state): count for state, count in stats.jobs.items()}

    def show(to: "Console") -> None:
        output.print_line(to, f"store: {name}, {stats.bytes / 1e6:.1f} MB")
        output.print_line(to, f"jobs: {counts_text(jobs)}")
        output.print_line(to, f"outbox: {stats.outbox_waiting} waiting, {stats.outbox_set_aside} set aside")
        if stats.without_organisation:
            text = "wait for a client with their key, to learn their organisation"
            output.print_line(to, f"{stats.without_organisation} {text}", "yellow")
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
        print_table(to, ("server", "organisation", "lane", "driven by", "for"), rows)

    data = {
        "store": name,
        "bytes": stats.bytes,
        "jobs": jobs,
        "outbox": {"waiting": stats.outbox_waiting, "set_aside": stats.outbox_set_aside},
        "without_organisation": stats.without_organisation,
        "lanes": [lane._asdict() for lane in stats.lanes],
    }
    return Result(data, show)


@command(store, client=_of_command)
async def prune(
    client: "AsyncReflexioClient",
    *,
    older_than: Annotated[
        float,
        typer.Option("--older-than", min=0, max=36500, metavar="DAYS", help="Days since a job has ended."),
    ] = 7.0,
) -> Result:
    """Delete the jobs that ended long ago. Those of a batch stay until its last one has.

    Example: `reflexio-async store prune --store reflexio.db --older-than 30`
    """
    deleted = await client.store.prune(older_than * _DAY)
    jobs = output.count(deleted, "job")
    return sentence(f"deleted {jobs} that had ended {older_than:g} days ago or earlier", {"deleted": deleted})


@command(outbox, client=_of_group_and_server, is_default=True)
async def show_outbox(client: "AsyncReflexioClient") -> Result:
    """Show what waits for one server, and what it refused. The help of the group is shown."""
    server = client.base_url
    accounts = await client.store.accounts()
    refused = await client.store.refused(url=server, limit=_SHOWN_CALLS)
    here = [account for account in accounts if account.url == server]
    waiting, size = sum(account.waiting for account in here), sum(account.bytes for account in here)
    set_aside = sum(account.set_aside for account in here)
    elsewhere = sum(account.waiting + account.set_aside for account in accounts if account not in here)
    since = min((account.oldest for account in here if account.oldest is not None), default=None)
    oldest = None if since is None else max(time.time() - since, 0.0)

    def show(to: "Console") -> None:
        age = "" if oldest is None else f", the oldest for {output.duration(oldest)}"
        output.print_line(to, f"server: {server}")
        output.print_line(to, f"waiting: {waiting} ({size / 1e6:.1f} MB){age}")
        output.print_line(to, f"set aside: {set_aside}")
        rows = [
            (each.organisation or _NOT_KNOWN, each.id, str(each.waiting), str(each.set_aside), str(each.jobs))
            for each in here
        ]
        print_table(to, ("organisation", "account", "waiting", "set aside", "jobs"), rows)
        if any(account.organisation is None for account in here):
            text = "an organisation that is not known is learned by a client with the same key"
            advice = "if that was replaced, assign it or discard it: outbox --help"
            output.print_line(to, f"{text}; {advice}", "yellow")
        calls = [
            (
                call.id,
                call.organisation or _NOT_KNOWN,
                call.call.partition(" ")[0],
                call.session,
                output.local_time(call.created_at),
                call.reason,
            )
            for call in refused
        ]
        print_table(to, ("id", "organisation", "call", "session", "accepted", "why"), calls)
        if set_aside > len(refused):
            output.print_line(to, f"… and {set_aside - len(refused)} more")
        if elsewhere:
            output.print_line(to, f"{elsewhere} are for other servers; name one with --url", "yellow")

    data = {
        "server": server,
        "waiting": waiting,
        "bytes": size,
        "oldest_seconds": oldest,
        "set_aside": set_aside,
        "accounts": [account._asdict() for account in here],
        "refused": [{**call._asdict(), "call": call.call.partition(" ")[0]} for call in refused],
    }
    return Result(data, show)


@command(outbox, client=_of_sender)
async def retry(client: "AsyncReflexioClient") -> Result:
    """Deliver once more what the server refused. After Ctrl-C the rest stays in the store.

    Exit code: 0 nothing is set aside any more, 1 it refused again.

    Example: `reflexio-async outbox retry --store reflexio.db`
    """
    retried = await client.outbox.retry_refused()
    while (stats := await client.outbox.stats()).waiting:  # noqa: ASYNC110  # another process may deliver
        await asyncio.sleep(_BETWEEN_LOOKS)
    data = {"retried": retried, "waiting": stats.waiting, "set_aside": stats.set_aside}
    text = f"{retried} tried again: {stats.waiting} waiting, {stats.set_aside} set aside"
    return sentence(text, data, exit_code=SOME_FAILED if stats.set_aside else OK)


@command(outbox, client=_of_command)
async def assign(
    client: "AsyncReflexioClient",
    *,
    account: _Account,
    organisation: Annotated[
        str,
        typer.Argument(
            metavar="ORGANISATION", show_default=False, help="The organisation's id, as `whoami` shows it."
        ),
    ],
) -> Result:
    """Let the clients of an organisation send what waits for an account whose key was replaced.

    A client learns the organisation of its key by itself, once the server answers. If the key is replaced
    before that, its calls and jobs wait. The organisation must have used this store.

    Example: `reflexio-async outbox assign 5d41402a acme --store reflexio.db`
    """
    await client.store.assign(account, organisation)
    text = f"what waits for {account} is sent by the clients of {organisation}"
    return sentence(text, {"account": account, "organisation": organisation})


@command(outbox, client=_of_command)
async def discard(client: "AsyncReflexioClient", *, account: _Account) -> Result:
    """Delete the calls and jobs that wait for an account whose key was replaced.

    Example: `reflexio-async outbox discard 5d41402a --store reflexio.db`
    """
    discarded = await client.store.discard(account)
    return sentence(f"discarded: {discarded}", {"discarded": discarded})
