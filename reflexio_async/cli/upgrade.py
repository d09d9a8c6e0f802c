"""``upgrade``: makes pending profiles or playbooks current."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reflexio_async.cli.command_runner import SOME_FAILED, exit_bad_input
from reflexio_async.cli.options import AgentVersion, OptionalUser
from reflexio_async.cli.output import count
from reflexio_async.cli.results import Result, sentence

if TYPE_CHECKING:
    from reflexio_async.client import AsyncReflexioClient


def check_upgrade(
    *,
    what: Annotated[
        Literal["profiles", "playbooks"],
        typer.Argument(metavar="profiles|playbooks", help="What to promote."),
    ] = "profiles",
    user: OptionalUser = None,
    agent_version: AgentVersion = None,
) -> None:
    """Check the options before anything is sent."""
    if what == "profiles" and agent_version is not None:
        exit_bad_input("--agent-version is for playbooks")
    if what == "playbooks" and user is not None:
        exit_bad_input("--user is for profiles")


async def upgrade(
    client: "AsyncReflexioClient", *, what: str, user: str | None, agent_version: str | None
) -> Result:
    """Promote what reruns have learned: pending profiles or playbooks of users become current.

    Those that were current are archived. Servers up to 0.2.32 promote all users, whatever --user says.

    Exit code: 0 promoted, 1 nothing was pending.

    Example: `reflexio-async upgrade playbooks --agent-version agent-v2`
    """
    answer: Any
    if what == "profiles":
        answer = await client.upgrade_profiles(user_id=user)
        counts = {"promoted": answer.profiles_promoted, "archived": answer.profiles_archived}
    else:
        answer = await client.upgrade_user_playbooks(agent_version=agent_version)
        counts = {"promoted": answer.user_playbooks_promoted, "archived": answer.user_playbooks_archived}
    data = {"what": what, **counts, "message": answer.message}
    if not answer.success:
        return sentence(f"nothing was promoted: {answer.message}", data, exit_code=SOME_FAILED)
    promoted = count(counts["promoted"], what.removesuffix("s"))
    return sentence(f"promoted {promoted}, archived {counts['archived']}", data)
