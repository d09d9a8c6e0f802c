"""``profiles``: the facts that the server has learned about users."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reflexio_async.cli import output
from reflexio_async.cli.command import ask, command
from reflexio_async.cli.command_runner import exit_bad_input
from reflexio_async.cli.inputs import read_text
from reflexio_async.cli.json_input import read_json_lines
from reflexio_async.cli.options import All, Limit, LinesFile, OptionalUser, Query, User, Yes, new_app
from reflexio_async.cli.results import Result, deleted, listing, sentence

if TYPE_CHECKING:
    from reflexio_async.cli.results import Columns
    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.reflexio.models.profiles import ProfileView

profiles = new_app("Show, search, add or delete what the server knows about users.")

_Status = Literal["current", "pending", "archived"]
PROFILE_COLUMNS: "Columns" = {
    "id": "profile_id",
    "user": "user_id",
    "content": "content",
    "status": lambda profile: profile.status or "current",
    "changed": lambda profile: output.local_time(profile.last_modified_timestamp),
}


@command(profiles, "list")
async def list_profiles(
    client: "AsyncReflexioClient",
    *,
    user: OptionalUser = None,
    status: Annotated[
        _Status,
        typer.Option(help="A rerun makes pending profiles; upgrade makes them current."),
    ] = "current",
    limit: Limit = 100,
) -> Result:
    """Show profiles of one user, or of all.

    Example: `reflexio-async profiles list --user ana --status pending`
    """
    found = await _profiles(client, user, status, limit)
    nothing = "nothing found"
    if not found and status == "current" and await _profiles(client, user, "pending", 1):
        nothing += "; what a rerun has learned is pending until reflexio-async upgrade (--status pending)"
    return listing(found, PROFILE_COLUMNS, limit=limit, nothing=nothing)


async def _profiles(
    client: "AsyncReflexioClient", user: str | None, status: _Status, limit: int
) -> "Sequence[ProfileView]":
    if user is None:
        return (await client.get_all_profiles(limit, status)).user_profiles
    wanted: Any = [None if status == "current" else status]
    return (await client.get_profiles(user_id=user, top_k=limit, status_filter=wanted)).user_profiles


@command(profiles)
async def search(client: "AsyncReflexioClient", *, query: Query, user: User, limit: Limit = 10) -> Result:
    """Search the profiles of one user, best first.

    Example: `reflexio-async profiles search "what does she eat" --user ana`
    """
    found = await client.search_user_profiles(user_id=user, query=query, top_k=limit)
    return listing(found.user_profiles, PROFILE_COLUMNS)


def _read_profiles(
    *,
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", show_default=False, help="The fact; standard input when absent or -."),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", show_default=False, help="The user it is about.")
    ] = None,
    file: LinesFile = None,
) -> Mapping[str, Any]:
    from reflexio_async.reflexio.models.profiles import UserProfile  # noqa: PLC0415  # slow to load

    if file is None:
        if user is None:
            exit_bad_input("name the user with --user, or a file with --file")
        return {"given": [{"user_id": user, "content": read_text(text)}]}
    if text is not None:
        exit_bad_input("give the profile as TEXT or by --file, not by both")
    lines = read_json_lines(file, lambda item: {"user_id": user, **item} if user else item, UserProfile)
    return {"given": [item for _, item in lines]}


@command(profiles, before=_read_profiles)
async def add(client: "AsyncReflexioClient", *, given: Any) -> Result:
    """Store facts about users as they are, without learning.

    A line of --file has at least `user_id` and `content`. With --user, lines need no `user_id`.

    Example: `reflexio-async profiles add "I like sushi" --user ana`
    """
    answer = await client.add_user_profile(given)
    return sentence(f"added {answer.added_count} of {len(given)}", {"added": answer.added_count})


def _check_deletion(
    *,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", show_default=False, help="The profiles.")
    ] = None,
    everything: All = False,
    yes: Yes = False,
) -> None:
    if bool(ids) == everything:
        exit_bad_input("give the ids of profiles, or --all")
    what = "all profiles of the organisation" if everything else output.count(len(ids or ()), "profile")
    ask(f"Delete {what}?", yes=yes)


@command(profiles, before=_check_deletion)
async def delete(client: "AsyncReflexioClient", *, ids: list[str] | None) -> Result:
    """Delete profiles by their ids. It asks on a terminal.

    Example: `reflexio-async profiles delete 7d0c1b42 --yes`
    """
    if ids:
        return deleted((await client.delete_profiles_by_ids(ids)).deleted_count, len(ids))
    await client.delete_all_profiles()
    return deleted()
