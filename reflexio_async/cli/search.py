"""``search`` and ``context``: what was learned, for a person and for an agent."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK, SOME_FAILED
from reflexio_async.cli.options import AgentVersion, Limit, OptionalUser, Query, User
from reflexio_async.cli.results import Result, listing

if TYPE_CHECKING:
    from rich.console import Console

    from reflexio_async.cli.results import Columns
    from reflexio_async.client import AsyncReflexioClient

_IDS = {"profile": "profile_id", "user_playbook": "user_playbook_id", "agent_playbook": "agent_playbook_id"}
_COLUMNS: "Columns" = {
    "kind": lambda item: item["kind"].replace("_", " "),
    "id": lambda item: item[_IDS[item["kind"]]],
    "content": lambda item: item["content"] or item.get("trigger"),
}


async def search(
    client: "AsyncReflexioClient",
    *,
    query: Query,
    user: OptionalUser = None,
    kind: Annotated[
        Literal["profiles", "user_playbooks", "agent_playbooks"] | None,
        typer.Option(show_default=False, help="Only this kind. Unless given: all."),
    ] = None,
    agent_version: AgentVersion = None,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", min=0, max=1, show_default=False, help="The least similarity."),
    ] = None,
    limit: Limit = 5,
) -> Result:
    """Search profiles and playbooks at once, best first. --limit is for each kind.

    Example: `reflexio-async search "dinner" --user ana --json`
    """
    found = await client.search(
        query=query,
        user_id=user,
        entity_types=[kind] if kind else None,
        agent_version=agent_version,
        threshold=threshold,
        top_k=limit,
    )
    groups: dict[str, list[Any]] = {
        "profile": found.profiles,
        "user_playbook": found.user_playbooks,
        "agent_playbook": found.agent_playbooks,
    }
    items = [
        {"kind": name, **item.model_dump(mode="json")} for name, group in groups.items() for item in group
    ]
    if found.degraded:
        output.note("the server has searched without embeddings: by words alone", "yellow")
    nothing = "nothing found" if user else "nothing found; profiles are found only with --user"
    return listing(items, _COLUMNS, nothing=nothing)


async def context(
    client: "AsyncReflexioClient",
    *,
    query: Query,
    user: User,
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            metavar="ID",
            show_default=False,
            help="Leave out what it was given before.",
        ),
    ] = None,
    agent_version: AgentVersion = None,
    limit: Limit = 5,
    max_chars: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="The longest text.")] = 6000,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="An agent waits 1 second; a person may wait longer.")
    ] = 10.0,
) -> Result:
    """Show what an agent would get: the section for its prompt. --limit is for each kind.

    With REFLECT_API_URL it has memories of Reflect too.

    Exit code: 0 all was asked, 1 something is missing, and stderr says why.

    Example: `reflexio-async context "Where shall we eat?" --user ana`
    """
    found = await client.context(
        user,
        query,
        session_id=session,
        agent_version=agent_version,
        top_k=limit,
        max_chars=max_chars,
        timeout=timeout,
    )
    if found.error is not None:
        output.note(f"something is missing: {found.error}", "yellow")
    elif not found:
        output.note("nothing found: an agent would get no section")

    def show(to: "Console") -> None:
        for line in found.text.splitlines():
            to.print(output.printable(line), soft_wrap=True)

    data = {
        "text": found.text,
        "profiles": found.profiles,
        "user_playbooks": found.user_playbooks,
        "agent_playbooks": found.agent_playbooks,
        "memories": found.memories,
        "learnings": found.learnings,
        "missing": None if found.error is None else str(found.error),
    }
    return Result(data, show, SOME_FAILED if found.error else OK)
