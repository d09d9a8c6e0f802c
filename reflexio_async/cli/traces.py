"""``traces``: runs of agents at a Reflect server."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reflexio_async.cli import output
from reflexio_async.cli.command import command, reflect
from reflexio_async.cli.command_runner import exit_bad_input
from reflexio_async.cli.inputs import name_of, read_utf8
from reflexio_async.cli.options import new_app
from reflexio_async.cli.results import Result, document, listing, sentence

if TYPE_CHECKING:
    from reflexio_async.cli.results import Columns
    from reflexio_async.reflect.client import AsyncReflectClient
    from reflexio_async.reflect.models.traces import Trace

traces = new_app("Send the runs of agents to a Reflect server, review them, and wait for what is learned.")

_COLUMNS: "Columns" = {
    "id": "id",
    "task": "task",
    "stored": "ingest_status",
    "review": lambda trace: trace.review.result if trace.review else trace.review_status,
    "memory": "created_memory_id",
}
Verdict = Literal["pass", "fail"]
Feedback = Annotated[
    str | None, typer.Option("--feedback", metavar="TEXT", show_default=False, help="What went wrong.")
]
Alpha = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        min=0,
        max=1,
        show_default=False,
        help="How far the review moves the q-values of used memories. Unless given: the server's.",
    ),
]
TraceID = Annotated[str, typer.Argument(metavar="ID", help="The id of the trace.")]
PollInterval = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", show_default=False, help="Time between two status requests. Unless given: 0.25."
    ),
]
WaitTimeout = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", show_default=False, help="How long to wait. Unless given: 60."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the server is done with it.")]


def _read_trajectory(
    *,
    trajectory: Annotated[
        str,
        typer.Argument(
            metavar="FILE|-", help="The run: a JSON list of messages, or plain text; - is standard input."
        ),
    ],
    result: Annotated[
        Verdict | None, typer.Option(show_default=False, help="The review. Unless given: reviewed later.")
    ] = None,
    feedback: Feedback = None,
) -> Mapping[str, Any]:
    if feedback is not None and result is None:
        exit_bad_input("--feedback goes with --result")
    text = read_utf8(trajectory)
    if not text.strip():
        exit_bad_input(f"{name_of(trajectory)}: empty")
    try:
        return {"trajectory": json.loads(text)}
    except ValueError:
        return {"trajectory": text}


@command(traces, client=reflect, before=_read_trajectory)
async def create(
    client: "AsyncReflectClient",
    *,
    trajectory: Any,
    result: str | None,
    feedback: str | None,
    task: Annotated[str, typer.Option("--task", metavar="TEXT", help="What the agent was asked to do.")],
    final_response: Annotated[
        str | None,
        typer.Option(metavar="TEXT", show_default=False, help="The answer. Unless given: the last message."),
    ] = None,
    memory: Annotated[
        list[str] | None,
        typer.Option("--memory", metavar="ID", show_default=False, help="A used memory; may be repeated."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="The language model.")
    ] = None,
    wait: Wait = False,
    wait_timeout: WaitTimeout = None,
) -> Result:
    """Send one run of an agent, and print the id of its trace.

    Example: `reflexio-async traces create run.json --task "Book a table" --result pass --wait`
    """
    job = await client.create_trace(
        task=task,
        trajectory=trajectory,
        review_result=result,
        feedback_text=feedback,
        final_response=final_response,
        retrieved_memory_ids=memory or [],
        model=model,
    )
    trace: Trace | None = None
    if wait:
        output.note(f"{job.trace_id}: sent; waiting")
        trace = await job.result(wait_timeout=wait_timeout)
        output.note(f"memory: {trace.created_memory_id or 'none was made'}")
    return sentence(job.trace_id, {"trace_id": job.trace_id, "trace": trace})


@command(traces, "list", client=reflect)
async def list_traces(
    client: "AsyncReflectClient",
    *,
    review: Annotated[
        Literal["pending", "reviewed"] | None, typer.Option(show_default=False, help="Only these.")
    ] = None,
) -> Result:
    """Show the traces of the project.

    Example: `reflexio-async traces list --review pending`
    """
    return listing(await client.list_traces(review_status=review), _COLUMNS)


@command(traces, client=reflect)
async def get(client: "AsyncReflectClient", *, trace_id: TraceID) -> Result:
    """Show one trace, as JSON.

    Example: `reflexio-async traces get t-1`
    """
    return document(await client.get_trace(trace_id))


@command(traces, client=reflect)
async def review(
    client: "AsyncReflectClient",
    *,
    trace_id: TraceID,
    result: Annotated[Verdict, typer.Argument(metavar="pass|fail", help="Whether the run was good.")],
    feedback: Feedback = None,
    alpha: Alpha = None,
    wait: Wait = False,
    wait_timeout: WaitTimeout = None,
) -> Result:
    """Review a trace that was sent without a review.

    Example: `reflexio-async traces review t-1 fail --feedback "wrong day"`
    """
    trace = await client.review_trace(trace_id, result=result, feedback_text=feedback, alpha=alpha)
    if wait:
        trace = await client.wait_for_trace(trace_id, require_reviewed=True, wait_timeout=wait_timeout)
    memory = f"; memory: {trace.created_memory_id}" if trace.created_memory_id else ""
    return sentence(f"{trace.id}: {trace.review_status}{memory}", {"trace_id": trace.id, "trace": trace})


@command(traces, client=reflect)
async def wait(
    client: "AsyncReflectClient",
    *,
    trace_id: TraceID,
    reviewed: Annotated[
        bool, typer.Option("--reviewed", help="Wait for its review too. Unless given: until it is stored.")
    ] = False,
    poll_interval: PollInterval = None,
    wait_timeout: WaitTimeout = None,
) -> Result:
    """Wait until a trace is stored, or reviewed, and print it as JSON.

    Example: `reflexio-async traces wait t-1 --reviewed`
    """
    trace = await client.wait_for_trace(
        trace_id, require_reviewed=reviewed, poll_interval=poll_interval, wait_timeout=wait_timeout
    )
    return document(trace)
