"""``keys``: the API keys of a project of Reflect."""

from typing import TYPE_CHECKING, Annotated

import typer

from reflexio_async.cli.command import ask, command, reflect
from reflexio_async.cli.options import Yes, new_app
from reflexio_async.cli.results import Result, listing, sentence

if TYPE_CHECKING:
    from reflexio_async.cli.results import Columns
    from reflexio_async.reflect.client import AsyncReflectClient

keys = new_app("Show, make or revoke API keys of a Reflect project. Reflexio has no such calls.")

_COLUMNS: "Columns" = {
    "id": "id",
    "label": "label",
    "scopes": "scopes",
    "status": "status",
    "created": "created_at",
    "last used": "last_used_at",
}


@command(keys, "list", client=reflect)
async def list_keys(client: "AsyncReflectClient") -> Result:
    """Show the keys, without their secrets.

    Example: `reflexio-async keys list --project shop`
    """
    return listing(await client.list_api_keys(), _COLUMNS)


@command(keys, client=reflect)
async def create(
    client: "AsyncReflectClient",
    *,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="What it is for.")],
    scope: Annotated[
        list[str], typer.Option("--scope", metavar="NAME", help="What it allows; may be repeated.")
    ],
    environment: Annotated[str, typer.Option(metavar="NAME", help="Such as live or test.")] = "live",
) -> Result:
    """Make a key, and print it. It is never shown again.

    Example: `reflexio-async keys create ci --scope traces:write`
    """
    made = await client.create_api_key(label=label, scopes=scope, environment=environment)
    return sentence(made.api_key, {"api_key": made.api_key, "key": made.key})


def _check_revoke(
    *,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the key, not the key.")],
    yes: Yes = False,
) -> None:
    ask(f"Revoke the key {key_id!r}?", yes=yes)


@command(keys, client=reflect, before=_check_revoke)
async def revoke(client: "AsyncReflectClient", *, key_id: str) -> Result:
    """Revoke a key: the server refuses it from now on. It asks on a terminal.

    Example: `reflexio-async keys revoke key_7d0c --yes`
    """
    key = await client.revoke_api_key(key_id)
    return sentence(f"{key.id}: {key.status}", {"key": key})
