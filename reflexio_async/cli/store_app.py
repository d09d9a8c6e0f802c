"""The commands of stores. typer reads annotations at run time: no future annotations here."""

from typing import Annotated

import typer

from reflexio_async.cli.command_runner import exit_bad_input, run
from reflexio_async.cli.inputs import check_text, read_organisations
from reflexio_async.cli.options import (
    ApiKey,
    AsJson,
    Debug,
    Log,
    OptionalStore,
    Store,
    Url,
    Verbose,
    existing_store,
    new_app,
)
from reflexio_async.cli.reporting import reporting
from reflexio_async.cli.store import Assign, Discard, Prune, RetryOutbox, ShowOutbox, ShowStore
from reflexio_async.cli.worker import RunWorker
from reflexio_async.errors import InvalidRequest

store = new_app(
    "Show the jobs, the outbox and the lanes of a store; or delete what is old. Nothing is sent.\n\n"
    "Example: `reflexio-async store --store reflexio.db`"
)
_Account = Annotated[
    str,
    typer.Argument(metavar="ACCOUNT", show_default=False, help="The account, as `outbox` shows it."),
]

outbox = new_app(
    "Show what waits in a store to be published, and what the server refused, with the reasons.\n\n"
    "Example: `reflexio-async outbox --store reflexio.db`"
)


@store.callback(invoke_without_command=True)
def show_store(
    context: typer.Context,
    *,
    store: OptionalStore = None,
    as_json: AsJson = False,
    _debug: Debug = False,
    _verbose: Verbose = False,
) -> None:
    """Show the jobs, the outbox and the lanes of a store. The help of the group is shown."""
    if context.invoked_subcommand is None:
        run(ShowStore(existing_store(store), as_json).run)


@store.command()
def prune(
    *,
    store: Store,
    older_than: Annotated[
        float,
        typer.Option("--older-than", min=0, max=36500, metavar="DAYS", help="Days since a job has ended."),
    ] = 7.0,
    as_json: AsJson = False,
    _debug: Debug = False,
    _verbose: Verbose = False,
) -> None:
    """Delete the jobs that ended long ago. Those of a batch stay until the whole batch has ended.

    Example: `reflexio-async store prune --store reflexio.db --older-than 30`
    """
    run(Prune(existing_store(store), older_than, as_json).run)


@outbox.callback(invoke_without_command=True)
def show_outbox(
    context: typer.Context,
    *,
    store: OptionalStore = None,
    url: Url = "",
    as_json: AsJson = False,
    _debug: Debug = False,
    _verbose: Verbose = False,
) -> None:
    """Show what waits for one server, and what it refused. The help of the group is shown."""
    if context.invoked_subcommand is None:
        run(ShowOutbox(existing_store(store), url, as_json).run)


@outbox.command()
def retry(
    *,
    store: Store,
    url: Url = "",
    api_key: ApiKey = "",
    as_json: AsJson = False,
    _debug: Debug = False,
    _verbose: Verbose = False,
) -> None:
    """Deliver once more what the server refused.

    Exit code: 0 nothing is set aside any more, 1 it refused again.

    Example: `reflexio-async outbox retry --store reflexio.db`
    """
    existing_store(store)
    run(RetryOutbox(store, url, api_key, as_json).run)


@outbox.command()
def assign(
    account: _Account,
    organisation: Annotated[
        str,
        typer.Argument(
            metavar="ORGANISATION", show_default=False, help="The organisation's id, as `whoami` shows it."
        ),
    ],
    *,
    store: Store,
    as_json: AsJson = False,
    _debug: Debug = False,
    _verbose: Verbose = False,
) -> None:
    """Let the clients of an organisation send what waits for an account whose key was replaced.

    A client learns the organisation of its key by itself, once the server answers. If the key is replaced
    before that, its calls and jobs wait. The organisation must have used this store.

    Example: `reflexio-async outbox assign 5d41402a acme --store reflexio.db`
    """
    run(Assign(existing_store(store), account, organisation, as_json).run)


@outbox.command()
def discard(
    account: _Account,
    *,
    store: Store,
    as_json: AsJson = False,
    _debug: Debug = False,
    _verbose: Verbose = False,
) -> None:
    """Delete the calls and jobs that wait for an account whose key was replaced.

    Example: `reflexio-async outbox discard 5d41402a --store reflexio.db`
    """
    run(Discard(existing_store(store), account, as_json).run)


def worker(
    *,
    store: Store,
    org: Annotated[
        list[str],
        typer.Option(
            "--org",
            metavar="NAME=URL,VARIABLE",
            show_default=False,
            help="An organisation: any name, its server, and the environment variable with its key. May be "
            "repeated. All workers of a store should know the same.",
        ),
    ],
    lanes: Annotated[
        int, typer.Option(min=1, metavar="NUMBER", help="How many lanes are driven at once.")
    ] = 20,
    log: Log = None,
    as_json: AsJson = False,
    _debug: Debug = False,
    _verbose: Verbose = False,
) -> None:
    """Drive the jobs and the outboxes of a store in Postgres, until Ctrl-C or SIGTERM.

    Any number of workers may run, on any number of machines. With a file as the store none is needed.

    Exit code: 0 stopped, 1 the store cannot be used, 2 bad input.

    Example: `reflexio-async worker --store postgresql://db/jobs --org acme=https://reflexio.example,ACME_KEY`
    """
    try:
        check_text(store=store, **{f"org {option!r:.20}": option for option in org})
        organisations = read_organisations(org)
        with reporting(log) as reporter:
            run(RunWorker(store, organisations, reporter, lanes, as_json).run)
    except InvalidRequest as error:
        exit_bad_input(error)
