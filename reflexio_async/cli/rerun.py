"""``rerun``: the profiles of many users, made anew."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reflexio_async._engine.batch.report import Outcome, OutcomeState
from reflexio_async.cli import output
from reflexio_async.cli.progress import shown
from reflexio_async.cli.running import OK, SOME_FAILED
from reflexio_async.cli.tables import counted, troubled_table
from reflexio_async.client import AsyncReflexioClient
from reflexio_async.errors import NotFound
from reflexio_async.reflexio.models.enums import OperationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from reflexio_async._engine.batch.batch import Batch, BatchPlan
    from reflexio_async.cli.signals import Signals
    from reflexio_async.reflexio.models.operations import RerunProfileGenerationResponse

    RerunOutcome = Outcome[str, RerunProfileGenerationResponse]

_SHOWN_ROWS = 50
# A server that does not answer this soon is told of before anything is started.
_FIRST_ANSWER = 20.0


@dataclass(frozen=True)
class Rerun:
    """What the user asked for."""

    users: Sequence[str]
    url: str = ""
    api_key: str = field(default="", repr=False)
    concurrency: int | None = None
    poll_interval: float | None = None
    wait_timeout: float | None = None
    source: str | None = None
    upgrade: bool = False
    json_lines: bool = False

    async def run(self, signals: Signals) -> int:
        """The exit code."""
        people = output.console(stderr=True)
        async with AsyncReflexioClient(self.api_key, self.url) as client:
            batch = client.rerun_profiles_many(
                self.users,
                concurrency=self.concurrency,
                source=self.source,
                poll_interval=self.poll_interval,
                wait_timeout=self.wait_timeout,
            )
            plan = _in_words(batch.plan)
            await _look_first(client, people)
            output.say(people, plan)
            outcomes = await self._follow(batch, signals, people)
            all_completed = all(outcome.state is OutcomeState.COMPLETED for outcome in outcomes)
            promoted = True
            if self.upgrade and not signals.exit_code:
                promoted = await _promote(client, people, all_completed=all_completed)
        self._sum_up(outcomes, people)
        return signals.exit_code or (OK if all_completed and promoted else SOME_FAILED)

    async def _follow(
        self, batch: Batch[str, RerunProfileGenerationResponse], signals: Signals, people: Console
    ) -> list[RerunOutcome]:
        def stop() -> None:
            batch.stop()
            output.say(
                people,
                "stopping: nothing more is started; waiting for what runs (again to leave at once)",
                "yellow",
            )

        signals.gently(stop)
        # A bar and JSON on one terminal would write over each other.
        live = not (self.json_lines and sys.stdout.isatty())
        outcomes: list[RerunOutcome] = []
        try:
            async with batch, shown(batch, "reruns", people, live=live):
                async for outcome in batch:
                    outcomes.append(outcome)
                    if self.json_lines:
                        output.write_line(outcome.to_json())
        except asyncio.CancelledError:
            ended = f"{len(outcomes)} of {len(self.users)} had ended"
            output.say(people, f"left at once: {ended}; what runs goes on at the server", "yellow")
            raise
        return outcomes

    def _sum_up(self, outcomes: list[RerunOutcome], people: Console) -> None:
        to = people if self.json_lines else output.console()
        table, more = troubled_table(outcomes, _SHOWN_ROWS)
        if table.row_count:
            to.print(table)
        if more:
            hint = "" if self.json_lines else " (--json writes them all)"
            output.say(to, f"… and {more} more that did not complete{hint}")
        output.say(to, counted([outcome.state for outcome in outcomes]))


async def _look_first(client: AsyncReflexioClient, people: Console) -> None:
    """Fail now, with one message, when the server cannot be reached or does not know the key."""
    impatient = client.with_options(timeout=_FIRST_ANSWER)
    try:
        answer = await impatient.get_operation_status(service_name="profile_generation")
    except NotFound:
        return  # January's servers may lack it, and need it not
    running: Any = answer.operation_status
    if running is not None and running.status == OperationStatus.IN_PROGRESS:
        output.say(people, "another rerun is under way at the server; yours begin when it ends")


async def _promote(client: AsyncReflexioClient, people: Console, *, all_completed: bool) -> bool:
    if not all_completed:
        output.say(people, "nothing was promoted, because some users did not complete", "yellow")
        return False
    answer = await client.upgrade_profiles()
    if answer.success:
        output.say(people, f"promoted {answer.profiles_promoted} profiles of the whole organisation")
    else:
        output.complain(f"the promotion was refused: {answer.message}")
    return answer.success


def _in_words(plan: BatchPlan) -> str:
    text = f"{plan.total} user{'s' if plan.total != 1 else ''} to rerun"
    if plan.per_minute is not None and plan.seconds:
        text += (
            f": about {output.duration(plan.seconds)} where a server begins {plan.per_minute} a minute (the "
            "published limit), sooner where it begins more"
        )
    return text
