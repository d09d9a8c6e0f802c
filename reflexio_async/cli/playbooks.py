"""``playbooks``: the lessons that the server has learned, for one user or for all users of an agent."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import uuid4

import typer

from reflexio_async.cli import output
from reflexio_async.cli.command import ask, command
from reflexio_async.cli.command_runner import exit_bad_input
from reflexio_async.cli.inputs import read_text
from reflexio_async.cli.json_input import read_json_lines
from reflexio_async.cli.options import (
    AgentVersion,
    All,
    Limit,
    LinesFile,
    OptionalUser,
    Query,
    Yes,
    new_app,
)
from reflexio_async.cli.results import Result, deleted, listing, sentence

if TYPE_CHECKING:
    from reflexio_async.cli.results import Columns
    from reflexio_async.client import AsyncReflexioClient

playbooks = new_app("Show, search, add or delete lessons: of users, or with --agent of agents.")

Agent = Annotated[
    bool,
    typer.Option("--agent", help="Playbooks of agents, for all users. Unless given: those of users."),
]
_OF_USERS = ("current", "pending", "archived")
_OF_AGENTS = ("pending", "approved", "rejected")

PLAYBOOK_COLUMNS: "Columns" = {
    "id": "user_playbook_id",
    "user": "user_id",
    "agent version": "agent_version",
    "content": lambda playbook: playbook.content or playbook.trigger,
    "status": lambda playbook: playbook.status or "current",
    "created": lambda playbook: output.local_time(playbook.created_at),
}
AGENT_PLAYBOOK_COLUMNS: "Columns" = {
    "id": "agent_playbook_id",
    "agent version": "agent_version",
    "content": lambda playbook: playbook.content or playbook.trigger,
    "verdict": "playbook_status",
    "created": lambda playbook: output.local_time(playbook.created_at),
}


def _check_owner(*, agent: Agent = False, user: OptionalUser = None) -> None:
    if agent and user is not None:
        exit_bad_input("--agent is about all users: leave out --user")


@command(playbooks, "list", before=_check_owner)
async def list_playbooks(
    client: "AsyncReflexioClient",
    *,
    agent: bool,
    user: str | None,
    agent_version: AgentVersion = None,
    status: Annotated[
        Literal["current", "pending", "archived", "approved", "rejected"] | None,
        typer.Option(
            show_default=False,
            help="Of agents: pending, approved, rejected. Of users: the others.",
        ),
    ] = None,
    limit: Limit = 100,
) -> Result:
    """Show playbooks of users, or of agents.

    Example: `reflexio-async playbooks list --agent --status pending`
    """
    wanted: Any = status
    if status is not None and status not in (_OF_AGENTS if agent else _OF_USERS):
        exit_bad_input(f"--status {status} is for playbooks of {'users' if agent else 'agents'}")
    if agent:
        of_agents = await client.get_agent_playbooks(
            agent_version=agent_version, playbook_status_filter=wanted, limit=limit
        )
        return listing(of_agents.agent_playbooks, AGENT_PLAYBOOK_COLUMNS, limit=limit)
    if status is not None:
        wanted = [None if status == "current" else status]
    of_users = await client.get_user_playbooks(
        user_id=user, agent_version=agent_version, status_filter=wanted, limit=limit
    )
    return listing(of_users.user_playbooks, PLAYBOOK_COLUMNS, limit=limit)


@command(playbooks, before=_check_owner)
async def search(
    client: "AsyncReflexioClient",
    *,
    query: Query,
    agent: bool,
    user: str | None,
    agent_version: AgentVersion = None,
    limit: Limit = 10,
) -> Result:
    """Search playbooks of users, or of agents, best first.

    Example: `reflexio-async playbooks search "refunds" --agent`
    """
    if agent:
        of_agents = await client.search_agent_playbooks(query=query, agent_version=agent_version, top_k=limit)
        return listing(of_agents.agent_playbooks, AGENT_PLAYBOOK_COLUMNS)
    of_users = await client.search_user_playbooks(
        query=query, user_id=user, agent_version=agent_version, top_k=limit
    )
    return listing(of_users.user_playbooks, PLAYBOOK_COLUMNS)


def _read_playbooks(
    *,
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT", show_default=False, help="The lesson; standard input when absent or -."
        ),
    ] = None,
    agent: Agent = False,
    user: OptionalUser = None,
    agent_version: Annotated[
        str, typer.Option("--agent-version", metavar="NAME", help="The agent version that it is for.")
    ] = "agent-v0",
    file: LinesFile = None,
) -> Mapping[str, Any]:
    from reflexio_async.reflexio.models.agent_playbooks import AgentPlaybook  # noqa: PLC0415  # slow to load
    from reflexio_async.reflexio.models.playbooks import UserPlaybook  # noqa: PLC0415  # slow to load

    _check_owner(agent=agent, user=user)
    common: dict[str, Any] = {"agent_version": agent_version}
    if not agent:
        common["request_id"] = f"cli-{uuid4().hex}"
        if user is not None:
            common["user_id"] = user
    if file is None:
        if user is None and not agent:
            exit_bad_input("name the user with --user, or say --agent, or name a file with --file")
        return {"given": [{**common, "content": read_text(text)}]}
    if text is not None:
        exit_bad_input("give the playbook as TEXT or by --file, not by both")
    model = AgentPlaybook if agent else UserPlaybook
    return {"given": [item for _, item in read_json_lines(file, lambda item: {**common, **item}, model)]}


@command(playbooks, before=_read_playbooks)
async def add(client: "AsyncReflexioClient", *, given: Any, agent: bool) -> Result:
    """Store lessons as they are, without learning.

    A line of --file has at least `content`. What a line lacks, the options say.

    Example: `reflexio-async playbooks add "Ask for the order number first" --agent`
    """
    call = client.add_agent_playbooks if agent else client.add_user_playbook
    added = (await call(given)).added_count
    return sentence(f"added {added} of {len(given)}", {"added": added})


def _check_deletion(
    *,
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="ID", show_default=False, help="The playbooks.")
    ] = None,
    agent: Agent = False,
    everything: All = False,
    yes: Yes = False,
) -> None:
    if bool(ids) == everything:
        exit_bad_input("give the ids of playbooks, or --all")
    what = "all playbooks" if everything else output.count(len(ids or ()), "playbook")
    ask(f"Delete {what} of {'agents' if agent else 'users'}?", yes=yes)


@command(playbooks, before=_check_deletion)
async def delete(client: "AsyncReflexioClient", *, ids: list[int] | None, agent: bool) -> Result:
    """Delete playbooks by their ids. It asks on a terminal.

    Example: `reflexio-async playbooks delete 12 13 --yes`
    """
    if ids:
        by_ids = client.delete_agent_playbooks_by_ids if agent else client.delete_user_playbooks_by_ids
        return deleted((await by_ids(ids)).deleted_count, len(ids))
    await (client.delete_all_agent_playbooks() if agent else client.delete_all_user_playbooks())
    return deleted()
