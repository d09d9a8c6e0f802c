"""The command ``worker``. typer reads annotations at run time: no future annotations here."""

from typing import Annotated

import typer

from reflexio_async.cli.command_runner import exit_bad_input, run
from reflexio_async.cli.inputs import check_text, read_organisations
from reflexio_async.cli.options import AsJson, Debug, Log, Store, Verbose
from reflexio_async.cli.reporting import reporting
from reflexio_async.errors import InvalidRequest


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
    from reflexio_async.cli.worker import RunWorker  # noqa: PLC0415  # slow to load

    try:
        check_text(store=store, **{f"org {option!r:.20}": option for option in org})
        organisations = read_organisations(org)
        with reporting(log) as reporter:
            run(RunWorker(store, organisations, reporter, lanes, as_json).run)
    except InvalidRequest as error:
        exit_bad_input(error)
