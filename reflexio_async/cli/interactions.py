"""``interactions``: the turns of conversations that were published."""

from typing import TYPE_CHECKING, Annotated

import typer

from reflexio_async.cli import output
from reflexio_async.cli.command import ask, command
from reflexio_async.cli.command_runner import exit_bad_input
from reflexio_async.cli.options import All, Limit, OptionalUser, Query, User, Yes, new_app
from reflexio_async.cli.publish import publish, read_publish
from reflexio_async.cli.results import Result, deleted, listing

if TYPE_CHECKING:
    from reflexio_async.cli.results import Columns
    from reflexio_async.client import AsyncReflexioClient

interactions = new_app("Show, search, add or delete the turns of conversations.")

_COLUMNS: "Columns" = {
    "id": "interaction_id",
    "user": "user_id",
    "request": "request_id",
    "role": "role",
    "content": "content",
    "created": lambda turn: output.local_time(turn.created_at),
}


@command(interactions, "list")
async def list_interactions(
    client: "AsyncReflexioClient", *, user: OptionalUser = None, limit: Limit = 100
) -> Result:
    """Show turns of one user, or of all.

    Example: `reflexio-async interactions list --user ana --limit 10`
    """
    if user is None:
        found = await client.get_all_interactions(limit)
    else:
        found = await client.get_interactions(user_id=user, top_k=limit)
    return listing(found.interactions, _COLUMNS, limit=limit)


@command(interactions)
async def search(client: "AsyncReflexioClient", *, query: Query, user: User, limit: Limit = 10) -> Result:
    """Search the turns of one user, best first.

    Example: `reflexio-async interactions search "sushi" --user ana`
    """
    found = await client.search_interactions(user_id=user, query=query, top_k=limit)
    return listing(found.interactions[:limit], _COLUMNS)  # servers up to 0.2.32 ignore the limit


command(interactions, "add", before=read_publish)(publish)


def _check_deletion(
    *,
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="ID", show_default=False, help="Turns of --user.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", show_default=False, help="The user of the turns.")
    ] = None,
    request: Annotated[
        str | None,
        typer.Option("--request", metavar="ID", show_default=False, help="All turns of this publish."),
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", show_default=False, help="All of this session.")
    ] = None,
    everything: All = False,
    yes: Yes = False,
) -> None:
    chosen = {
        output.count(len(ids or ()), "interaction"): bool(ids),
        f"the request {request!r}": request is not None,
        f"the session {session!r}": session is not None,
        "all interactions of the organisation": everything,
    }
    if list(chosen.values()).count(True) != 1:
        exit_bad_input("give the ids of interactions, or one of --request, --session and --all")
    if ids and user is None:
        exit_bad_input("ids are those of one user: name the user with --user")
    if user is not None and not ids:
        exit_bad_input("--user goes with ids")
    ask(f"Delete {next(what for what, is_chosen in chosen.items() if is_chosen)}?", yes=yes)


@command(interactions, before=_check_deletion)
async def delete(
    client: "AsyncReflexioClient",
    *,
    ids: list[int] | None,
    user: str | None,
    request: str | None,
    session: str | None,
) -> Result:
    """Delete turns by their ids, or those of a publish or a session. It asks on a terminal.

    Deleting what does not exist succeeds.

    Example: `reflexio-async interactions delete --session s1 --yes`
    """
    if ids:
        for turn in ids:
            await client.delete_interaction(user or "", turn, wait_for_response=True)
        return deleted(len(ids), len(ids))
    if request is not None:
        await client.delete_request(request, wait_for_response=True)
    elif session is not None:
        await client.delete_session(session, wait_for_response=True)
    else:
        await client.delete_all_interactions()
    return deleted()
