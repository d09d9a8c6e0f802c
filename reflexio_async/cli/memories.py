"""``memories``: the lessons of a Reflect server."""

from typing import TYPE_CHECKING, Annotated

import typer

from reflexio_async.cli.command import command, reflect
from reflexio_async.cli.options import Limit, new_app
from reflexio_async.cli.results import Result, listing

if TYPE_CHECKING:
    from reflexio_async.cli.results import Columns
    from reflexio_async.reflect.client import AsyncReflectClient

memories = new_app("Find the lessons that a Reflect server has for a task.")

_COLUMNS: "Columns" = {
    "id": "id",
    "summary": lambda memory: memory.summary or memory.reflection,
    "similarity": lambda memory: f"{memory.similarity:.2f}",
    "q-value": lambda memory: f"{memory.q_value:.2f}",
}


@command(memories, client=reflect)
async def query(
    client: "AsyncReflectClient",
    *,
    task: Annotated[str, typer.Argument(metavar="TASK", help="What an agent is about to do.")],
    limit: Limit = 10,
    weight: Annotated[
        float,
        typer.Option(
            "--lambda",
            metavar="NUMBER",
            min=0,
            max=1,
            help="1 ranks by similarity alone, 0 by q-value alone.",
        ),
    ] = 0.5,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER", show_default=False, help="The least similarity. Unless given: the server's."
        ),
    ] = None,
) -> Result:
    """Find memories for a task, best first.

    Example: `reflexio-async memories query "Book a table"`
    """
    found = await client.query_memories(task, limit=limit, lambda_=weight, similarity_threshold=threshold)
    return listing(found, _COLUMNS)
