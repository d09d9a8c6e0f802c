"""How a command is declared: a coroutine function, and the options that such commands share.

    @command(app)
    async def whoami(client: "AsyncReflexioClient") -> Result:
        ...

typer reads annotations at run time: no future annotations here.
"""

import sys
from collections.abc import Callable, Coroutine, Mapping
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import typer

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import SOME_FAILED, exit_bad_input, run
from reflexio_async.cli.inputs import check_utf8
from reflexio_async.cli.options import (
    CALL_TIMEOUT,
    ApiKey,
    AsJson,
    Debug,
    Project,
    ReflectKey,
    ReflectUrl,
    Url,
    Verbose,
)

if TYPE_CHECKING:
    from reflexio_async.cli.results import Result
    from reflexio_async.cli.signals import Signals
    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.reflect.client import AsyncReflectClient


class Invocation(NamedTuple):
    """How the command was called."""

    signals: "Signals"
    as_json: bool


F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, "Result"]])


def reflexio(*, url: Url = "", api_key: ApiKey = "") -> "AsyncReflexioClient":
    """The client of a command that talks to a Reflexio server. Its parameters are options."""
    from reflexio_async.client import AsyncReflexioClient  # noqa: PLC0415  # slow to load

    return AsyncReflexioClient(api_key, url, CALL_TIMEOUT)


def reflect(
    *, url: ReflectUrl = "", api_key: ReflectKey = "", project: Project = None
) -> "AsyncReflectClient":
    """The client of a command that talks to a Reflect server. Its parameters are options."""
    from reflexio_async.reflect.client import AsyncReflectClient  # noqa: PLC0415  # slow to load

    return AsyncReflectClient(api_key=api_key, base_url=url, project_id=project, timeout=CALL_TIMEOUT)


def ask(question: str, *, yes: bool) -> None:
    """Ask at the terminal whether to go on, unless ``yes``. No ends the command with exit code 1.

    Raises:
        InvalidRequest: There is no terminal.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        exit_bad_input(f"{question} There is no terminal to ask at: say --yes")
    if not typer.confirm(question, err=True):
        output.note("nothing was changed")
        raise typer.Exit(SOME_FAILED)


def _shared(*, as_json: AsJson = False, _debug: Debug = False, _verbose: Verbose = False) -> None:
    """Every command has these parameters as options."""


_SHARED = signature(_shared).parameters


def command(
    group: typer.Typer,
    name: str | None = None,
    *,
    client: Callable[..., Any] = reflexio,
    before: Callable[..., Mapping[str, Any] | None] | None = None,
    panel: str | None = None,
    is_default: bool = False,
) -> Callable[[F], F]:
    """Make a coroutine function a command of ``group``.

    Its first parameter is the client, and the second may be the Invocation. Its keyword-only parameters are
    options, if they are annotated as such; ``before`` gives the others. It returns what there is to show. Its
    docstring is the help.

    Args:
        group: The group.
        name: The name of the command. Unless given: that of the function.
        client: Makes the client, or a context manager with one. Its parameters are options of the command.
        before: Called before the event loop starts: it checks, asks, and reads files. Its parameters are
            options of the command too. It returns values of the function's parameters.
        panel: The heading under which the help of ``group`` lists it.
        is_default: It is what the group does when none of its commands is named.
    """
    of_client = signature(client).parameters
    of_before = dict(signature(before).parameters) if before else dict[str, Parameter]()

    def declare(function: F) -> F:
        of_function = signature(function).parameters
        own = {name: each for name, each in of_function.items() if each.kind is each.KEYWORD_ONLY}
        wants_invocation = len(of_function) - len(own) > 1

        def entry(
            *,
            as_json: bool,
            _debug: bool,
            _verbose: bool,
            context: typer.Context | None = None,
            **options: Any,
        ) -> None:
            if context is not None and context.invoked_subcommand is not None:
                return
            for value in options.values():
                texts: Any = value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType]
                for text in texts:
                    if isinstance(text, str):
                        check_utf8(repr(text), text)
            made = client(**{name: options[name] for name in of_client})
            if before is not None:
                options.update(before(**{name: options[name] for name in of_before}) or {})

            async def call(signals: "Signals") -> int:
                extra = [Invocation(signals, as_json)] if wants_invocation else []
                async with made as entered:
                    result = await function(entered, *extra, **{name: options[name] for name in own})
                result.write(as_json=as_json)
                return signals.exit_code or result.exit_code

            run(call)

        more = {name: each for name, each in own.items() if name not in of_before and _is_option(each)}
        parameters = [*of_before.values(), *more.values(), *of_client.values(), *_SHARED.values()]
        entry.__doc__ = function.__doc__
        if is_default:
            parameters.insert(0, Parameter("context", Parameter.KEYWORD_ONLY, annotation=typer.Context))
            group.callback(invoke_without_command=True)(entry)
        else:
            group.command(name or function.__name__, rich_help_panel=panel)(entry)
        # For typer, which looks when the command line is run.
        entry.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        entry.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return function

    return declare


def _is_option(parameter: Parameter) -> bool:
    return hasattr(parameter.annotation, "__metadata__")  # Annotated
