"""``jobs``: show the latest operations, wait for a job by its token, ask a job to stop.

typer reads annotations at run time: no future annotations here.
"""

from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reflexio_async.cli import output
from reflexio_async.cli.command import command
from reflexio_async.cli.options import (
    ApiKey,
    OptionalStore,
    PollInterval,
    Url,
    WaitTimeout,
    existing_store,
    new_app,
)
from reflexio_async.cli.results import Result, document, listing
from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from reflexio_async.cli.results import Columns
    from reflexio_async.client import AsyncReflexioClient

jobs = new_app("Show what runs at the server, wait for one job, or ask it to stop.")

Token = Annotated[
    str,
    typer.Argument(
        metavar="TOKEN", help="The token of a job: job.token, or token in the lines of rerun --json."
    ),
]


def _users(item: dict[str, Any]) -> str:
    operation = item["operation"]
    if operation is None:
        return ""
    failed = f", {operation.failed_users} failed" if operation.failed_users else ""
    return f"{operation.processed_users} of {operation.total_users}{failed}"


def _details(item: dict[str, Any]) -> str:
    operation = item["operation"]
    if operation is None:
        return item["message"] or "nothing has run yet"
    return operation.error_message or (f"at {operation.current_user_id}" if operation.current_user_id else "")


_COLUMNS: "Columns" = {
    "service": itemgetter("service"),
    "state": lambda item: item["operation"] and item["operation"].status,
    "users": _users,
    "began": lambda item: item["operation"] and output.local_time(item["operation"].started_at),
    "details": _details,
}


def with_store(*, url: Url = "", api_key: ApiKey = "", store: OptionalStore = None) -> "AsyncReflexioClient":
    """A client that may have a store. Its parameters are options."""
    from reflexio_async.client import AsyncReflexioClient  # noqa: PLC0415  # slow to load

    store = None if store is None else existing_store(store)
    return AsyncReflexioClient(api_key, url, store=store)


@command(jobs)
async def status(
    client: "AsyncReflexioClient",
    *,
    service: Annotated[
        Literal["profile_generation", "playbook_generation"] | None,
        typer.Option(show_default=False, help="Show only this service."),
    ] = None,
) -> Result:
    """Show what each service runs, or ran last.

    Example: `reflexio-async jobs status`
    """
    items: list[dict[str, Any]] = []
    for name in [service] if service else ("profile_generation", "playbook_generation"):
        answer = await client.get_operation_status(service_name=name)
        items.append({"service": name, "operation": answer.operation_status, "message": answer.msg})
    return listing(items, _COLUMNS)


@command(jobs, client=with_store)
async def wait(
    client: "AsyncReflexioClient",
    *,
    token: Token,
    poll_interval: PollInterval = None,
    wait_timeout: WaitTimeout = None,
) -> Result:
    """Wait for a job that was started earlier, here or elsewhere, and print its result as JSON.

    A job that was started with a store is found with --store, even before the server has begun it.

    Example: `reflexio-async jobs wait "$TOKEN" --wait-timeout 900`
    """
    job = client.job(token)
    result: Any = await job.result(poll_interval=poll_interval, wait_timeout=wait_timeout)
    output.note(f"{job.kind} {job.id}: {job.status.state}")
    return document(result)


@command(jobs, client=with_store)
async def cancel(client: "AsyncReflexioClient", *, token: Token) -> Result:
    """Ask the server to stop a job, if it still runs; or withdraw it from its store.

    Example: `reflexio-async jobs cancel "$TOKEN"`
    """
    job = client.job(token)
    try:
        await job.cancel()
    except NotImplementedError as error:
        raise InvalidRequest(str(error)) from None
    text = (
        f"had ended already: {job.status.state}"
        if job.status.done
        else "asked to stop; a server looks at this only between two users, so a job of one user completes "
        "all the same"
    )
    data = {"kind": job.kind, "id": job.id, "state": job.status.state, "had_ended": job.status.done}
    output.note(f"{job.kind} {job.id}: {text}")
    return Result(data, lambda _to: None)
