"""The commands ``store`` and ``outbox``. typer reads annotations at run time: no future annotations here."""

from typing import Annotated

import typer

from reflexio_async.cli.command_runner import exit_bad_input, run
from reflexio_async.cli.inputs import check_store, check_text
from reflexio_async.cli.options import ApiKey, AsJson, OptionalStore, Store, Url, Verbose, new_app
from reflexio_async.cli.store import Prune, RetryOutbox, ShowOutbox, ShowStore
from reflexio_async.errors import InvalidRequest

store = new_app("Show what a store holds, or delete what is old. Nothing is sent.")
outbox = new_app("Show what waits in a store to be published, and what the server refused.")


@store.callback(invoke_without_command=True)
def show_store(
    context: typer.Context, *, store: OptionalStore = None, as_json: AsJson = False, _verbose: Verbose = False
) -> None:
    """Show the jobs, the outbox and the lanes of a store; or delete what is old. Nothing is sent."""
    if context.invoked_subcommand is None:
        run(ShowStore(_checked(store), as_json).run)


@store.command()
def prune(
    *,
    store: Store,
    older_than: Annotated[
        float, typer.Option("--older-than", min=0, metavar="DAYS", help="Days since a job has ended.")
    ] = 7.0,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> None:
    """Delete the jobs that ended long ago. Those of a batch stay until the whole batch has ended."""
    run(Prune(_checked(store), older_than, as_json).run)


@outbox.callback(invoke_without_command=True)
def show_outbox(
    context: typer.Context,
    *,
    store: OptionalStore = None,
    url: Url = "",
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> None:
    """Show what waits for one server, and what it refused, with the reasons. Nothing is sent."""
    if context.invoked_subcommand is None:
        run(ShowOutbox(_checked(store), url, as_json).run)


@outbox.command()
def retry(
    *, store: Store, url: Url = "", api_key: ApiKey = "", as_json: AsJson = False, _verbose: Verbose = False
) -> None:
    """Deliver once more what the server refused.

    Exit code: 0 nothing is set aside any more, 1 it refused again.
    """
    _checked(store)
    run(RetryOutbox(store, url, api_key, as_json).run)


def _checked(store: str | None) -> str:
    if store is None:
        exit_bad_input("name the store with --store")
    try:
        check_text(store=store)
        check_store(store)
    except InvalidRequest as error:
        exit_bad_input(error)
    return store
