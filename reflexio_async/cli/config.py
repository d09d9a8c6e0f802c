"""``config``: the configuration of the organisation."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reflexio_async.cli.command import command
from reflexio_async.cli.command_runner import exit_bad_input
from reflexio_async.cli.json_input import read_json
from reflexio_async.cli.options import new_app
from reflexio_async.cli.results import Result, document, sentence

if TYPE_CHECKING:
    from reflexio_async.client import AsyncReflexioClient

config = new_app("Show or change the configuration of the organisation.")


@command(config)
async def get(
    client: "AsyncReflexioClient",
    *,
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", show_default=False, help="Only this key; a.b is b in a.")
    ] = None,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Show credentials, which are masked otherwise.")
    ] = False,
) -> Result:
    """Show the configuration, as JSON.

    Example: `reflexio-async config get llm_config`
    """
    present = await client.get_config()
    value: Any = present.to_wire() if show_secrets else present.model_dump(mode="json")
    for part in key.split(".") if key else ():
        try:
            value = value[part]
        except (KeyError, TypeError):
            exit_bad_input(f"KEY: the configuration has no {key}")
    return document(value)


def _read_config(
    *, file: Annotated[str, typer.Argument(metavar="FILE|-", help="The JSON, or - for standard input.")]
) -> Mapping[str, Any]:
    value = read_json(file)
    if not isinstance(value, dict):
        exit_bad_input("the configuration is a JSON object, such as {…}")
    return {"given": value}


@command(config, "set", before=_read_config)
async def set_config(client: "AsyncReflexioClient", *, given: Any) -> Result:
    """Replace the configuration. What the file leaves out gets the server's default.

    Only `storage_config` stays as it is when it is left out. `update` changes single keys.

    Example: `reflexio-async config set c.json`, with what `config get --show-secrets` has printed, edited
    """
    answer = await client.set_config(given)
    return sentence(
        answer.get("message") or "replaced", {"changed": sorted(given), "message": answer.get("msg")}
    )


def _read_changes(
    *,
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE", help="What to change. VALUE is JSON; what is no JSON is taken as text."
        ),
    ],
) -> Mapping[str, Any]:
    read: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not key or not equals:
            exit_bad_input(f"KEY=VALUE: expected such as window_size=20, not {change!r:.40}")
        if key in read:
            exit_bad_input(f"KEY=VALUE: {key} is given twice")
        try:
            read[key] = json.loads(text)
        except ValueError:
            read[key] = text
    return {"given": read}


@command(config, before=_read_changes)
async def update(client: "AsyncReflexioClient", *, given: Any) -> Result:
    """Change top-level keys. The others stay as they are.

    Example: `reflexio-async config update window_size=20 stride_size=10`
    """
    answer = await client.update_config(given)
    message = answer.get("msg")
    return sentence(message or "changed", {"changed": sorted(given), "message": message})
