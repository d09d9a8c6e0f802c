"""``rerun``: learn the profiles of many users anew."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reflexio_async._engine.batch.report import Outcome, OutcomeState
from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK, SOME_FAILED
from reflexio_async.cli.progress import show_progress
from reflexio_async.cli.tables import count_states, incomplete_table
from reflexio_async.client import AsyncReflexioClient
from reflexio_async.errors import NotFound
from reflexio_async.reflexio.models.enums import OperationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from reflexio_async._engine.batch.batch import Batch
    from reflexio_async._engine.batch.progress import BatchPlan
    from reflexio_async.cli.signals import Signals
    from reflexio_async.reflexio.models.operations import RerunProfileGenerationResponse

    RerunOutcome = Outcome[str, RerunProfileGenerationResponse]

_MAX_TABLE_ROWS = 50
_CHECK_TIMEOUT = 20.0
"""Seconds that the server has to answer before anything is started."""


@dataclass(frozen=True)
class Rerun:
    """Rerun the profiles of users, as a batch. The fields are the command's options."""

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
        """Return the exit code."""
        stderr = output.console(stderr=True)
        async with AsyncReflexioClient(self.api_key, self.url) as client:
            batch = client.rerun_profiles_many(
                self.users,
                concurrency=self.concurrency,
                source=self.source,
                poll_interval=self.poll_interval,
                wait_timeout=self.wait_timeout,
            )
            plan = _plan_text(batch.plan)
            await _check_server(client, stderr)
            output.print_line(stderr, plan)
            outcomes = await self._run_batch(batch, signals, stderr)
            all_completed = all(outcome.state is OutcomeState.COMPLETED for outcome in outcomes)
            promoted = True
            if self.upgrade and not signals.exit_code:
                promoted = await _promote(client, stderr, all_completed=all_completed)
        self._print_summary(outcomes, stderr)
        return signals.exit_code or (OK if all_completed and promoted else SOME_FAILED)

    async def _run_batch(
        self, batch: Batch[str, RerunProfileGenerationResponse], signals: Signals, stderr: Console
    ) -> list[RerunOutcome]:
        def stop() -> None:
            batch.stop()
            output.print_line(
                stderr,
                "stopping: nothing more is started; waiting for what runs (again to leave at once)",
                "yellow",
            )

        signals.on_first(stop)
        # On one terminal a bar and JSON would overwrite each other.
        live = not (self.json_lines and sys.stdout.isatty())
        outcomes: list[RerunOutcome] = []
        try:
            async with batch, show_progress(batch, "reruns", stderr, live=live):
                async for outcome in batch:
                    outcomes.append(outcome)
                    if self.json_lines:
                        output.write_line(outcome.to_json())
        except asyncio.CancelledError:
            ended = f"{len(outcomes)} of {len(self.users)} had ended"
            output.print_line(stderr, f"left at once: {ended}; what runs goes on at the server", "yellow")
            raise
        return outcomes

    def _print_summary(self, outcomes: list[RerunOutcome], stderr: Console) -> None:
        to = stderr if self.json_lines else output.console()
        table, more = incomplete_table(outcomes, _MAX_TABLE_ROWS)
        if table.row_count:
            to.print(table)
        if more:
            hint = "" if self.json_lines else " (--json writes them all)"
            output.print_line(to, f"… and {more} more that did not complete{hint}")
        output.print_line(to, count_states([outcome.state for outcome in outcomes]))


async def _check_server(client: AsyncReflexioClient, stderr: Console) -> None:
    """Raise one error now when the server cannot be reached or does not know the key."""
    with_timeout = client.with_options(timeout=_CHECK_TIMEOUT)
    try:
        answer = await with_timeout.get_operation_status(service_name="profile_generation")
    except NotFound:
        return  # January's servers may not have this route, and reruns do not need it there
    running: Any = answer.operation_status
    if running is not None and running.status == OperationStatus.IN_PROGRESS:
        output.print_line(stderr, "another rerun is under way at the server; yours begin when it ends")


async def _promote(client: AsyncReflexioClient, stderr: Console, *, all_completed: bool) -> bool:
    if not all_completed:
        output.print_line(stderr, "nothing was promoted, because some users did not complete", "yellow")
        return False
    answer = await client.upgrade_profiles()
    if answer.success:
        output.print_line(stderr, f"promoted {answer.profiles_promoted} profiles of the whole organisation")
    else:
        output.print_error(f"the promotion was refused: {answer.message}")
    return answer.success


def _plan_text(plan: BatchPlan) -> str:
    text = f"{plan.total} user{'s' if plan.total != 1 else ''} to rerun"
    if plan.per_minute is not None and plan.seconds:
        text += (
            f": about {output.duration(plan.seconds)} where a server begins {plan.per_minute} a minute (the "
            "published limit), sooner where it begins more"
        )
    return text
