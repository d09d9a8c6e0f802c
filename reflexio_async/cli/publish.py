"""``publish``: publishes one message, or the conversations of a file."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK, SOME_FAILED, exit_bad_input
from reflexio_async.cli.errors import own_words
from reflexio_async.cli.inputs import name_of, read_text
from reflexio_async.cli.json_input import BadLines, read_json_lines
from reflexio_async.cli.options import WaitTimeout
from reflexio_async.cli.results import Result, sentence

if TYPE_CHECKING:
    from reflexio_async._engine.batch.batch import Batch
    from reflexio_async._engine.batch.progress import BatchProgress
    from reflexio_async._engine.batch.report import Outcome
    from reflexio_async.cli.command import Invocation
    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.reflexio.models.interactions import PublishUserInteractionResponse

_ID_DIGITS = 32


def read_publish(
    *,
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT", show_default=False, help="The message; standard input when absent or -."
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="ID", show_default=False, help="The user whose conversation this is."),
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", show_default=False, help="The conversation.")
    ] = None,
    role: Annotated[str, typer.Option(metavar="NAME", help="Who wrote it: user, assistant, …")] = "user",
    source: Annotated[
        str, typer.Option(metavar="NAME", show_default=False, help="Where it comes from, such as support.")
    ] = "",
    agent_version: Annotated[
        str, typer.Option("--agent-version", metavar="NAME", help="The agent that took part.")
    ] = "agent-v0",
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            metavar="FILE|-",
            show_default=False,
            help="Many: a file with one JSON object per line, or - for standard input.",
        ),
    ] = None,
    learn_now: Annotated[
        bool,
        typer.Option("--learn-now", help="Learn from it at once, instead of waiting for more messages."),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the server has learnt from it.")] = False,
) -> Mapping[str, Any]:
    """Read the message or the file, and check all of it."""
    common = {
        "user_id": user,
        "session_id": session,
        "source": source or None,
        "agent_version": agent_version,
        "force_extraction": learn_now or None,
    }
    common = {name: value for name, value in common.items() if value is not None}
    if file is None:
        if user is None or session is None:
            exit_bad_input("name the user with --user and the session with --session, or a file with --file")
        content = read_text(text)
        if not content.strip():
            exit_bad_input("nothing to publish: the text is empty")
        return {"text": {**common, "interactions": [{"role": role, "content": content}]}}
    if text is not None:
        exit_bad_input("give the message as TEXT or by --file, not by both")
    if wait:
        exit_bad_input("--wait is for one message: leave it out with --file")
    return {"file": _read_lines(file, common, role)}


def _read_lines(file: str, common: dict[str, Any], role: str) -> dict[str, tuple[int, dict[str, Any]]]:
    """The lines of ``file`` by their request ids."""
    from reflexio_async.reflexio.models.interactions import PublishUserInteractionRequest  # noqa: PLC0415

    def complete(item: dict[str, Any]) -> dict[str, Any]:
        item = {**common, **item}
        if "content" in item:
            turn = {"role": item.pop("role", role), "content": item.pop("content")}
            item.setdefault("interactions", [turn])
        return item

    found: dict[str, tuple[int, dict[str, Any]]] = {}
    repeated: list[tuple[int, str]] = []
    seen: Counter[str] = Counter()
    for number, item in read_json_lines(file, complete, PublishUserInteractionRequest):
        if item.get("request_id") is None:
            # The same line of the same file has the same id, so that a server stores it once.
            content = json.dumps(item, sort_keys=True)
            seen[content] += 1
            digest = hashlib.sha256(f"{seen[content]}:{content}".encode()).hexdigest()
            item = {**item, "request_id": digest[:_ID_DIGITS]}  # noqa: PLW2901  # completed
        if (first := found.setdefault(item["request_id"], (number, item))[0]) != number:
            repeated.append((number, f"request_id {item['request_id']!r} is already on line {first}"))
    if repeated:
        raise BadLines(name_of(file), repeated)
    return found


async def publish(
    client: "AsyncReflexioClient",
    invocation: "Invocation",
    *,
    text: Any,
    file: Any,
    learn_now: bool,
    wait: bool,
    wait_timeout: WaitTimeout = None,
) -> Result:
    """Publish one message, and print the id of the request that it is stored under; or publish a file.

    A line of --file has `user_id`, `session_id`, and `content` with a `role`, or `interactions`: a list of
    such turns. Where lines lack one, the options count. All lines are checked before the first is sent. A
    line without a `request_id` gets one made of its content: after Ctrl-C or a failure, the same command
    again publishes what is missing, and nothing twice (servers from 0.2.32).

    Exit code: 0 published, 1 some lines were not, 2 bad input and nothing was sent.

    Example: `reflexio-async publish "I like sushi" --user ana --session s1`

    Example: `reflexio-async publish --file chats.jsonl`
    """
    if file is not None:
        return await _publish_lines(client, invocation, file)
    receipt = await client.publish_interaction(**text)
    for warning in receipt.warnings:
        output.note(f"the server warns: {warning}", "yellow")
    if receipt.accepted:
        output.note("accepted; the server has not stored it yet", "yellow")
    data: dict[str, Any] = {
        "request_id": receipt.request_id,
        "accepted": receipt.accepted,
        "warnings": receipt.warnings,
    }
    if receipt.request_id is None:
        output.note("stored; this server gives no request id to ask about its learning by")
    elif not invocation.as_json:
        output.write_line(receipt.request_id)
    if wait and receipt.request_id is not None:
        if receipt.learning_reason == "waiting_for_window" and not learn_now:
            output.note("the server waits for more from this user before it learns (--learn-now: at once)")
        job = client.learning(receipt.request_id)
        status = await job.result(wait_timeout=wait_timeout)
        why = f" ({status.reason})" if status.reason else ""
        output.note(f"learning is over: {status.status}{why}")
        data["learning"] = status
    return Result(data, lambda _to: None)


async def _publish_lines(
    client: "AsyncReflexioClient",
    invocation: "Invocation",
    lines: dict[str, tuple[int, dict[str, Any]]],
) -> Result:
    from reflexio_async.cli.progress import show_progress  # noqa: PLC0415  # slow to load

    batch = client.publish_many([item for _, item in lines.values()])

    def stop() -> None:
        batch.stop()
        output.note("stopping: no more lines are sent (again to leave at once)", "yellow")

    invocation.signals.on_first(stop)
    items: list[dict[str, Any]] = []
    async with batch, show_progress(_Progress(batch, items), "lines", output.console(stderr=True)):
        async for outcome in batch:
            items.append(item := _item(lines[outcome.key][0], outcome))
            if item["error"] is not None:
                output.note(f"line {item['line']}: {item['state']}: {item['error']['message']}", "red")
    items.sort(key=itemgetter("line"))
    states = Counter(item["state"] for item in items)
    counts = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in states.items())
    left = len(items) - states["published"] - states["published_before"]
    if left:
        output.note("the same command again publishes what is missing, and nothing twice")
    data = {"items": items, "count": len(items), **states}
    return sentence(counts, data, exit_code=SOME_FAILED if left else OK)


class _Progress(NamedTuple):
    """The progress of a batch, in which lines that were published before count as done."""

    batch: "Batch[str, PublishUserInteractionResponse]"
    items: list[dict[str, Any]]

    @property
    def progress(self) -> "BatchProgress":
        """The progress now."""
        states = Counter(item["state"] for item in self.items if item["error"] is not None)
        return self.batch.progress._replace(counts=dict(states))


def _item(line: int, outcome: "Outcome[str, PublishUserInteractionResponse]") -> dict[str, Any]:
    state = "published" if outcome.state == "completed" else str(outcome.state)
    error = None
    if outcome.error is not None and "already exists" in str(outcome.error):
        state = "published_before"
    elif outcome.error is not None:
        error = {"type": type(outcome.error).__name__, "message": own_words(str(outcome.error))}
    return {"line": line, "request_id": outcome.key, "state": state, "error": error}
