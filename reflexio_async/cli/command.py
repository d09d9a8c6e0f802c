"""How a command is declared: a coroutine function, and the options that such commands share.

    @command(app)
    async def whoami(client: "AsyncReflexioClient") -> Result:
        ...

typer reads annotations at run time: no future annotations here.
"""

from collections.abc import Callable, Coroutine
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from reflexio_async.cli.command_runner import run
from reflexio_async.cli.inputs import check_text
from reflexio_async.cli.options import CALL_TIMEOUT, ApiKey, AsJson, Debug, Url, Verbose

if TYPE_CHECKING:
    from reflexio_async.cli.results import Result
    from reflexio_async.cli.signals import Signals
    from reflexio_async.client import AsyncReflexioClient

F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, "Result"]])


def reflexio(*, url: Url = "", api_key: ApiKey = "") -> "AsyncReflexioClient":
    """The client of a command that talks to a Reflexio server. Its parameters are options."""
    from reflexio_async.client import AsyncReflexioClient  # noqa: PLC0415  # slow to load

    return AsyncReflexioClient(api_key, url, CALL_TIMEOUT)


def _shared(*, as_json: AsJson = False, _debug: Debug = False, _verbose: Verbose = False) -> None:
    """Every command has these parameters as options."""


def command(
    group: typer.Typer, name: str | None = None, *, client: Callable[..., Any] = reflexio
) -> Callable[[F], F]:
    """Make a coroutine function a command of ``group``.

    Its first parameter is the client, and the others are options of its own. It returns what there is to
    show. Its docstring is the help.

    Args:
        group: The group.
        name: The name of the command. Unless given: that of the function.
        client: Makes the client. Its parameters are options of the command.
    """
    of_client = signature(client).parameters

    def declare(function: F) -> F:
        own = [*signature(function).parameters.values()][1:]

        def entry(*, as_json: bool, _debug: bool, _verbose: bool, **options: Any) -> None:
            check_text(**{name: value for name, value in options.items() if isinstance(value, str)})
            made = client(**{name: options.pop(name) for name in of_client})

            async def call(_signals: "Signals") -> int:
                async with made:
                    result = await function(made, **options)
                result.write(as_json=as_json)
                return result.exit_code

            run(call)

        _declare_parameters(entry, [*own, *of_client.values(), *signature(_shared).parameters.values()])
        entry.__doc__ = function.__doc__
        group.command(name or function.__name__)(entry)
        return function

    return declare


def _declare_parameters(entry: Callable[..., None], parameters: list[Parameter]) -> None:
    """Give ``entry`` these parameters, for typer."""
    entry.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    entry.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
