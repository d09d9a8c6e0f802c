"""``demo``: forty reruns against a server in this process, with a table and the counts of requests."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from reflexio_async._engine.batch.report import Outcome, OutcomeState
from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK, SOME_FAILED
from reflexio_async.cli.progress import show_progress
from reflexio_async.cli.results import new_table
from reflexio_async.cli.tables import count_states, state_text
from reflexio_async.client import AsyncReflexioClient
from reflexio_async.reflexio.models.enums import Status
from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    from rich.console import Console

    from reflexio_async.cli.signals import Signals
    from reflexio_async.reflexio.models.operations import RerunProfileGenerationResponse

    RerunOutcome = Outcome[str, RerunProfileGenerationResponse]

_CITIES = ("Lisbon", "Osaka", "Oslo", "Quito", "Accra", "Hanoi", "Turin", "Cork")
_FOODS = ("sushi", "tacos", "dosas", "ramen", "pizza")
_USERS = {
    f"user-{number:02}": f"I live in {city} and love {food}"
    for number, (city, food) in enumerate(((city, food) for city in _CITIES for food in _FOODS), start=1)
}


def _rerun_seconds(user_id: str) -> float:
    """How long the rerun of a user takes: some take longer than others."""
    return 0.04 + 0.03 * (int(user_id[-2:]) % 4)


@dataclass(frozen=True, slots=True)
class ServerCounts:
    """The requests of the reruns, as the server counted them."""

    posts: int
    admitted: int
    status_requests: int

    @property
    def refused(self) -> int:
        """Starts that the server refused."""
        return self.posts - self.admitted


async def run_demo(_signals: Signals, *, as_json: bool = False) -> int:
    """Return the exit code."""
    stdout = output.console(stderr=as_json)
    async with Sandbox(rerun_seconds=_rerun_seconds) as box, AsyncReflexioClient("", box.url) as client:
        output.print_line(stdout, f"A Reflexio server runs in this process, at {box.url}.", "dim")
        await _publish(client)
        output.print_line(
            stdout, f"{len(_USERS)} users have said something. Now all are to be learnt from, at once:"
        )
        async with client.rerun_profiles_many(list(_USERS)) as batch:
            async with show_progress(batch, "reruns", stdout, every=1.0):
                outcomes = [outcome async for outcome in batch]
            seconds = batch.progress.seconds
        counts = ServerCounts(
            posts=box.count("POST", "/api/rerun_profile_generation"),
            admitted=len(box.operations()),
            status_requests=box.count("GET", "/api/get_operation_status"),
        )
        learnt = await _pending_profiles(client)
    _print_outcomes(stdout, outcomes, learnt)
    for line in _summary(outcomes, counts, seconds):
        output.print_line(stdout, line)
    completed = sum(outcome.state is OutcomeState.COMPLETED for outcome in outcomes)
    if as_json:
        data = {"reruns": len(outcomes), "completed": completed, "seconds": seconds, **asdict(counts)}
        output.write_line(json.dumps(data))
    return OK if completed == len(_USERS) else SOME_FAILED


async def _publish(client: AsyncReflexioClient) -> None:
    report = await client.publish_many(
        [
            {"user_id": user_id, "session_id": "demo", "interactions": [{"role": "user", "content": text}]}
            for user_id, text in _USERS.items()
        ]
    )
    for outcome in report.failed:
        assert outcome.error is not None  # noqa: S101  # a failed outcome has one
        raise outcome.error


async def _pending_profiles(client: AsyncReflexioClient) -> dict[str, str]:
    responses = await asyncio.gather(
        *(client.get_profiles(user_id=user_id, status_filter=[Status.PENDING]) for user_id in _USERS)
    )
    return {
        user_id: "; ".join(profile.content for profile in response.user_profiles)
        for user_id, response in zip(_USERS, responses, strict=True)
    }


def _print_outcomes(stdout: Console, outcomes: list[RerunOutcome], learnt: dict[str, str]) -> None:
    table = new_table("user", "what was learnt", "state", "seconds")
    for outcome in outcomes:
        table.add_row(
            output.printable(outcome.key),
            output.one_line(learnt[outcome.key] if outcome.error is None else outcome.error),
            state_text(outcome.state),
            f"{outcome.seconds_running:.2f}",
        )
    stdout.print(table)


def _summary(outcomes: list[RerunOutcome], counts: ServerCounts, seconds: float) -> list[str]:
    """The closing lines. The numbers come from the server, not from the client."""
    states = count_states([outcome.state for outcome in outcomes])
    return [
        f"What you just saw: {len(outcomes)} reruns asked for at once, {states}, {output.duration(seconds)}.",
        "A Reflexio server has one slot per service: while one rerun runs, it refuses the next.",
        "So the client keeps them in a lane, and sends each when the slot is free:",
        f"the server received {counts.posts} POSTs for {len(outcomes)} reruns, and refused {counts.refused}.",
        f"{counts.status_requests} status requests watched over all of them; a waiting rerun costs none.",
        "Next, on your own server: reflexio-async rerun --url URL --users FILE",
    ]
