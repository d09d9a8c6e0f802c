"""The commands and their options. typer reads annotations at run time: no future annotations here."""

from functools import partial
from typing import Annotated, Literal

import typer

import reflexio_async
from reflexio_async.cli import output
from reflexio_async.cli.command import command
from reflexio_async.cli.command_runner import exit_bad_input, run
from reflexio_async.cli.config import config
from reflexio_async.cli.dashboard.command import dashboard
from reflexio_async.cli.doctor import doctor, impatient
from reflexio_async.cli.errors import CommandLine
from reflexio_async.cli.inputs import check_keys, check_text
from reflexio_async.cli.interactions import interactions
from reflexio_async.cli.jobs import jobs
from reflexio_async.cli.keys import keys
from reflexio_async.cli.memories import memories
from reflexio_async.cli.options import (
    ENVIRONMENT,
    ApiKey,
    AsJson,
    Debug,
    OptionalStore,
    Url,
    Verbose,
)
from reflexio_async.cli.playbooks import playbooks
from reflexio_async.cli.profiles import profiles
from reflexio_async.cli.publish import publish, read_publish
from reflexio_async.cli.rerun_app import rerun
from reflexio_async.cli.search import context, search
from reflexio_async.cli.store import outbox, store
from reflexio_async.cli.traces import traces
from reflexio_async.cli.upgrade import check_upgrade, upgrade
from reflexio_async.cli.whoami import whoami
from reflexio_async.cli.worker_app import worker
from reflexio_async.errors import ConfigurationError, InvalidRequest

SET_UP, MEMORY, LEARNING, REFLECT, STORES = "Set up", "Memory", "Learning", "Reflect", "Stores"

app = typer.Typer(
    cls=CommandLine,
    help="Agent memory on a Reflexio server: publish what users say, find what was learned, learn it anew.",
    epilog=ENVIRONMENT,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def _version(wanted: bool) -> None:  # noqa: FBT001  # typer calls it so
    if wanted:
        output.print_line(output.console(), f"reflexio-async {reflexio_async.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel=SET_UP)
def demo(*, as_json: AsJson = False, _debug: Debug = False, _verbose: Verbose = False) -> None:
    """Run 40 reruns against a sandbox in this process, and show that all complete (seconds).

    Example: `reflexio-async demo`
    """
    from reflexio_async.cli.demo import run_demo  # noqa: PLC0415  # slow to load

    run(partial(run_demo, as_json=as_json))


@app.command(rich_help_panel=SET_UP)
def sandbox(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="NUMBER", help="Where to listen; 0 picks a free port.")
    ] = 8061,
    reflect_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="NUMBER",
            show_default=False,
            help="Where the Reflect server listens. Unless given: one above --port.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Keep everything in this SQLite file, and begin with its contents. Unless given: in memory.",
        ),
    ] = None,
    api_key: Annotated[
        str,
        typer.Option(
            "--api-key", metavar="KEY", show_default=False, help="Callers need this key. Unless given: none."
        ),
    ] = "",
    reflect_api_key: Annotated[
        str,
        typer.Option(
            "--reflect-api-key",
            metavar="KEY",
            show_default=False,
            help="The key of the Reflect server. Unless given: a fixed key, which the command prints.",
        ),
    ] = "",
    dialect: Annotated[
        Literal["correlated", "uncorrelated", "synchronous"],
        typer.Option(
            help="How the server answers the start of a job. Today's is correlated; older are the others."
        ),
    ] = "correlated",
    rate_limits: Annotated[
        Literal["real", "off"],
        typer.Option(help="Whether the real server's rate limits apply, such as 5 reruns a minute."),
    ] = "real",
    rerun_seconds: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long one user's rerun takes.")
    ] = 1.0,
    faults: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="A TOML file of faults to inject; docs/how-to/testing.md shows one.",
        ),
    ] = None,
    as_json: AsJson = False,
    _debug: Debug = False,
    _verbose: Verbose = False,
) -> None:
    """Run a local Reflexio server and a local Reflect server, until Ctrl-C or SIGTERM.

    They need no language model. They keep their data in memory unless --data names a file.

    Exit code: 0 stopped, 2 bad input: a port in use, a faults file or a data file that cannot be used.

    Example: `reflexio-async sandbox --data sandbox.db`
    """
    from reflexio_async.cli.sandbox import RunSandbox, read_faults  # noqa: PLC0415  # slow to load

    try:
        check_text(data=data, faults=faults, api_key=api_key, reflect_api_key=reflect_api_key)
        check_keys(api_key=api_key, reflect_api_key=reflect_api_key)
        for option, name in (("--data", data), ("--faults", faults)):
            if name == "":
                exit_bad_input(f"{option}: no file name")
        script = read_faults(faults)
    except (ConfigurationError, InvalidRequest) as error:
        exit_bad_input(error)
    run(
        RunSandbox(
            port=port,
            reflect_port=reflect_port,
            data=data,
            api_key=api_key,
            reflect_api_key=reflect_api_key,
            dialect=dialect,
            rate_limits=rate_limits == "real",
            rerun_seconds=rerun_seconds,
            faults=script,
            as_json=as_json,
        ).run
    )


@app.command(rich_help_panel=MEMORY)
def mcp(
    *,
    user: Annotated[
        str,
        typer.Option(
            "--user", metavar="ID", envvar="REFLEXIO_USER_ID", help="The user whose memory this is."
        ),
    ],
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="NUMBER",
            show_default=False,
            help="Listen for HTTP; 0 picks a free port. Unless given: standard input and output.",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where to listen for HTTP. Everybody who can reach it has access to the user's memory.",
        ),
    ] = "127.0.0.1",
    store: OptionalStore = None,
    url: Url = "",
    api_key: ApiKey = "",
    as_json: AsJson = False,
    _debug: Debug = False,
    _verbose: Verbose = False,
) -> None:
    """Run an MCP server, by which an agent recalls and remembers, until its input ends or a signal comes.

    With --store, what is remembered survives a server that is away, and a kill -9.

    Exit code: 0 stopped, 1 the store cannot be used, 2 bad input.

    Example: `reflexio-async mcp --user ana --store reflexio.db`
    """
    from reflexio_async.cli.mcp import RunMCP  # noqa: PLC0415  # slow to load

    try:
        check_text(user=user, host=host, store=store)
    except InvalidRequest as error:
        exit_bad_input(error)
    if as_json and port is None:
        exit_bad_input("--json writes the address: name a port with --port. Without it, stdout is for MCP")
    run(RunMCP(user, port, host, store, url, api_key, as_json).run)


command(app, client=impatient, panel=SET_UP)(doctor)
command(app, panel=SET_UP)(whoami)
app.add_typer(config, name="config", rich_help_panel=SET_UP)
command(app, before=read_publish, panel=MEMORY)(publish)
command(app, panel=MEMORY)(search)
command(app, panel=MEMORY)(context)
app.add_typer(profiles, name="profiles", rich_help_panel=MEMORY)
app.add_typer(playbooks, name="playbooks", rich_help_panel=MEMORY)
app.add_typer(interactions, name="interactions", rich_help_panel=MEMORY)
app.command(rich_help_panel=LEARNING)(rerun)
command(app, before=check_upgrade, panel=LEARNING)(upgrade)
app.add_typer(jobs, name="jobs", rich_help_panel=LEARNING)
app.add_typer(traces, name="traces", rich_help_panel=REFLECT)
app.add_typer(memories, name="memories", rich_help_panel=REFLECT)
app.add_typer(keys, name="keys", rich_help_panel=REFLECT)
app.add_typer(store, name="store", rich_help_panel=STORES)
app.add_typer(outbox, name="outbox", rich_help_panel=STORES)
app.command(rich_help_panel=STORES)(worker)
app.command(rich_help_panel=STORES)(dashboard)
