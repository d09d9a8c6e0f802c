"""The command ``dashboard``. typer reads annotations at run time: no future annotations here."""

from typing import Annotated

import typer

from reflexio_async.cli.command_runner import run
from reflexio_async.cli.options import AsJson, Debug, Store, Verbose, existing_store


def dashboard(
    *,
    store: Store,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="NUMBER", help="Where to listen; 0 picks a free port.")
    ] = 0,
    as_json: AsJson = False,
    _debug: Debug = False,
    _verbose: Verbose = False,
) -> None:
    """Show a store on a web page, as it changes: batches, lanes, rate limits, failures, the outbox.

    The page is served to this machine alone, under an address that is new each time. It only reads: nothing
    is sent or changed. Other processes may use the store meanwhile. For a store on another machine, run the
    command there and tunnel its port: `ssh -L 8070:127.0.0.1:8070 host`.

    Exit code: 0 stopped, 1 the store cannot be read, 2 bad input.

    Example: `reflexio-async dashboard --store night.db`
    """
    from reflexio_async.cli.dashboard.run import RunDashboard  # noqa: PLC0415  # loads a web server

    run(RunDashboard(existing_store(store), port, as_json).run)
