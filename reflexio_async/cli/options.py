"""Options of several commands. typer reads annotations at run time: no future annotations here."""

import shlex
from typing import Annotated, Any

import typer

from reflexio_async.cli.command_runner import exit_bad_input
from reflexio_async.cli.inputs import check_store, check_text, shown_store
from reflexio_async.cli.output import set_logging
from reflexio_async.errors import InvalidRequest

CALL_TIMEOUT = 60.0
"""Seconds for one call. It is short, because a person waits at the terminal."""

ENVIRONMENT = """
Environment variables:

- REFLEXIO_API_URL or REFLEXIO_URL: the server, in place of --url
- REFLEXIO_API_KEY: your key, in place of --api-key
- REFLEXIO_USER_ID: the user, in place of --user of mcp
- REFLECT_API_URL, REFLECT_API_KEY, REFLECT_PROJECT_ID: the Reflect server, its key and the project
- HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY: the proxy
- SSL_CERT_FILE: the certificates of a CA of your own
- NO_COLOR: no colours. COLUMNS: the width of tables
"""


def _verbose(value: bool) -> bool:  # noqa: FBT001  # typer calls it so
    set_logging(verbose=value)
    return value


Url = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        show_default=False,
        help="The server. Unless given: REFLEXIO_API_URL or REFLEXIO_URL, else the hosted service.",
    ),
]
ApiKey = Annotated[
    str,
    typer.Option(
        "--api-key",
        metavar="KEY",
        show_default=False,
        help="Your key. Better in REFLEXIO_API_KEY, where other users of this machine do not see it.",
    ),
]
ReflectUrl = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        show_default=False,
        help="The Reflect server. Unless given: REFLECT_API_URL, else http://localhost:8000.",
    ),
]
ReflectKey = Annotated[
    str,
    typer.Option(
        "--api-key",
        metavar="KEY",
        show_default=False,
        help="Your key. Better in REFLECT_API_KEY, where other users of this machine do not see it.",
    ),
]
Project = Annotated[
    str | None,
    typer.Option(
        "--project",
        metavar="ID",
        show_default=False,
        help="The project. Unless given: REFLECT_PROJECT_ID, else default.",
    ),
]
User = Annotated[str, typer.Option("--user", metavar="ID", help="The user.")]
OptionalUser = Annotated[
    str | None, typer.Option("--user", metavar="ID", show_default=False, help="The user. Unless given: all.")
]
AgentVersion = Annotated[
    str | None,
    typer.Option("--agent-version", metavar="NAME", show_default=False, help="Only of this agent version."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, metavar="NUMBER", help="How many at most.")]
Query = Annotated[str, typer.Argument(metavar="QUERY", help="What is searched for, in plain words.")]
LinesFile = Annotated[
    str | None,
    typer.Option(
        "--file",
        metavar="FILE|-",
        show_default=False,
        help="A file with one JSON object per line, or - for standard input.",
    ),
]
All = Annotated[bool, typer.Option("--all", help="All of the whole organisation.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_store = typer.Option(
    "--store", metavar="FILE|URL", show_default=False, help="The store: a file, or an address of Postgres."
)
Store = Annotated[str, _store]
OptionalStore = Annotated[str | None, _store]
Log = Annotated[
    str | None,
    typer.Option(
        "--log",
        metavar="FILE",
        show_default=False,
        help="Append to this file, with times, what happens: each failure, each outage, the progress.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to stdout, errors too.")]
PollInterval = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        show_default=False,
        help="Time between two status requests. Unless given: short at first, then up to 1.",
    ),
]
WaitTimeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        show_default=False,
        help="How long one job may take after the server has begun it. Unless given: 600.",
    ),
]


def existing_store(store: str | None) -> str:
    """Return ``store``, or end the command, as there is none."""
    if store is None:
        exit_bad_input("name the store with --store")
    try:
        check_text(store=store)
        check_store(store)
    except InvalidRequest as error:
        exit_bad_input(error)
    return store


def command_text(context: typer.Context, *leave_out: str) -> str:
    """The command that is running, as it is typed again. Left out are the key and the named options."""
    words, arguments = ["reflexio-async", str(context.info_name)], list[str]()
    for param in context.command.params:
        source = context.get_parameter_source(param.name or "")
        if source is None or source.name != "COMMANDLINE" or param.name in ("api_key", *leave_out):
            continue
        value: Any = context.params[param.name or ""]
        if param.param_type_name == "argument":
            arguments = [str(one) for one in value]
        elif value is True:
            words.append(param.opts[0])
        elif value is not False:
            values: list[Any] = value if getattr(param, "multiple", False) else [value]
            for one in values:
                words += [param.opts[0], shown_store(one) if param.name == "store" else str(one)]
    if any(one.startswith("-") for one in arguments):
        words.append("--")
    return shlex.join([*words, *arguments])


def new_app(text: str) -> typer.Typer:
    """A group of commands."""
    # typer's tracebacks show local variables, and one of them may be a key.
    return typer.Typer(
        help=text,
        pretty_exceptions_enable=False,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )


Debug = Annotated[
    bool, typer.Option("--debug", help="After an error, show where in the program it was raised.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", callback=_verbose, help="Show on stderr what the client does.")
]
