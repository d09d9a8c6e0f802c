"""``rerun``: learn the profiles of many users anew."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reflexio_async._engine.batch.report import Outcome, OutcomeState
from reflexio_async._engine.batch.work import BATCH_OUTAGE_TIMEOUT
from reflexio_async._engine.retry import is_away
from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK, SOME_FAILED
from reflexio_async.cli.progress import show_progress
from reflexio_async.cli.tables import count_states, incomplete_table
from reflexio_async.client import AsyncReflexioClient
from reflexio_async.errors import NotFound, ReflexioError
from reflexio_async.reflexio.models.enums import OperationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async._engine.batch.batch import Batch
    from reflexio_async._engine.batch.progress import BatchPlan, BatchProgress
    from reflexio_async.cli.reporting import Reporter
    from reflexio_async.cli.signals import Signals
    from reflexio_async.reflexio.models.operations import RerunProfileGenerationResponse

    RerunOutcome = Outcome[str, RerunProfileGenerationResponse]

_MAX_TABLE_ROWS = 50
_FAILURES = (OutcomeState.FAILED, OutcomeState.TIMED_OUT, OutcomeState.LOST, OutcomeState.NOT_STARTED)
_CHECK_TIMEOUT = 20.0
"""Seconds that the server has to answer before anything is started."""
_BETWEEN_CHECKS = 2.0
"""Seconds between two questions whether the server is back."""
_MONTH = 30 * 86400.0
_SHOWN_USERS = 5


@dataclass(frozen=True)
class Rerun:
    """Rerun the profiles of users, as a batch. The fields are the command's options."""

    users: Sequence[str]
    reporter: Reporter
    url: str = ""
    api_key: str = field(default="", repr=False)
    concurrency: int | None = None
    poll_interval: float | None = None
    wait_timeout: float | None = None
    source: str | None = None
    upgrade: bool = False
    json_lines: bool = False
    max_failures: int | None = None
    dry_run: bool = False
    wait_for_server: bool = False

    async def run(self, signals: Signals) -> int:
        """Return the exit code."""
        reporter, limit = self.reporter, _FailureLimit(self.max_failures, self.reporter)
        try:
            async with AsyncReflexioClient(self.api_key, self.url) as client:
                batch = client.rerun_profiles_many(
                    self.users,
                    concurrency=self.concurrency,
                    source=self.source,
                    poll_interval=self.poll_interval,
                    wait_timeout=self.wait_timeout,
                    outage_timeout=_MONTH if self.wait_for_server else BATCH_OUTAGE_TIMEOUT,
                    on_progress=limit.check,
                )
                limit.batch = batch
                plan = batch.plan
                if self.wait_for_server:
                    await _wait_for_server(client, reporter)
                else:
                    await _check_server(client, reporter)
                if self.dry_run:
                    self._print_plan(client, plan)
                    return OK
                reporter.say(_plan_text(plan))
                outcomes = await self._run_batch(batch, signals, reporter)
                all_completed = all(outcome.state is OutcomeState.COMPLETED for outcome in outcomes)
                promoted = True
                if self.upgrade and not signals.exit_code:
                    promoted = await _promote(client, reporter, all_completed=all_completed)
        except ReflexioError as error:
            reporter.note(str(error), logging.ERROR)
            raise
        self._print_summary(outcomes, reporter)
        return signals.exit_code or (OK if all_completed and promoted else SOME_FAILED)

    def _print_plan(self, client: AsyncReflexioClient, plan: BatchPlan) -> None:
        first = list(self.users[:_SHOWN_USERS])
        if self.json_lines:
            fields = {
                "server": client.base_url,
                "users": plan.total,
                "first": first,
                "per_minute": plan.per_minute,
                "seconds": plan.seconds,
            }
            output.write_line(json.dumps(fields, ensure_ascii=False))
            return
        stdout = output.console()
        more = ", …" if len(self.users) > len(first) else ""
        output.print_line(stdout, f"{client.base_url} answers, and takes this key")
        output.print_line(stdout, _plan_text(plan))
        output.print_line(stdout, f"the first: {', '.join(map(repr, first))}{more}")
        output.print_line(stdout, "nothing was started, because of --dry-run")

    async def _run_batch(
        self, batch: Batch[str, RerunProfileGenerationResponse], signals: Signals, reporter: Reporter
    ) -> list[RerunOutcome]:
        def stop() -> None:
            batch.stop()
            reporter.say(
                "stopping: nothing more is started; waiting for what runs (again to leave at once)", "yellow"
            )

        signals.on_first(stop)
        # On one terminal a bar and JSON would overwrite each other.
        live = not (self.json_lines and sys.stdout.isatty())
        progress = show_progress(batch, "reruns", reporter.stderr, live=live, note=reporter.note)
        outcomes: list[RerunOutcome] = []
        try:
            async with batch, progress:
                async for outcome in batch:
                    outcomes.append(outcome)
                    if self.json_lines:
                        output.write_line(outcome.to_json())
                    if outcome.state in _FAILURES:
                        text = f"{outcome.key}: {outcome.state.replace('_', ' ')}: {outcome.error}"
                        reporter.note(text, logging.WARNING)
        except asyncio.CancelledError:
            ended = f"{len(outcomes)} of {len(self.users)} had ended"
            reporter.say(f"left at once: {ended}; what runs goes on at the server", "yellow")
            raise
        return outcomes

    def _print_summary(self, outcomes: list[RerunOutcome], reporter: Reporter) -> None:
        to = reporter.stderr if self.json_lines else output.console()
        table, more = incomplete_table(outcomes, _MAX_TABLE_ROWS)
        if table.row_count:
            to.print(table)
        for outcome in [outcome for outcome in outcomes if outcome.goes_on][:_MAX_TABLE_ROWS]:
            # On a line of its own: in a row of the table it would be broken, and could not be copied.
            output.print_line(to, f"{outcome.key} goes on at the server; its token: {outcome.token}")
        if more:
            hint = "" if self.json_lines else " (--json writes them all)"
            output.print_line(to, f"… and {more} more that did not complete{hint}")
        counts = count_states([outcome.state for outcome in outcomes])
        output.print_line(to, counts)
        reporter.note(counts)


class _FailureLimit:
    """Stops a batch when ``limit`` keys did not complete. The batch asks it before each start."""

    def __init__(self, limit: int | None, reporter: Reporter) -> None:
        self._limit = limit
        self._reporter = reporter
        self.batch: Batch[str, Any] | None = None

    def check(self, progress: BatchProgress) -> None:
        """Look at the outcomes so far."""
        failures = sum(progress.counts.get(state, 0) for state in _FAILURES)
        if self._limit is None or failures < self._limit or self.batch is None:
            return
        self.batch.stop()
        self.batch = None
        text = f"{failures} did not complete, the most that --max-failures allows"
        self._reporter.say(f"{text}: nothing more is started", "red")


async def _wait_for_server(client: AsyncReflexioClient, reporter: Reporter) -> None:
    """Wait until the server answers, however long it is away."""
    away = False
    while True:
        try:
            await _check_server(client, reporter)
        except ReflexioError as error:
            if not is_away(error):
                raise
            if not away:
                reporter.say(f"waiting for the server (Ctrl-C to stop): {error}", "yellow")
            away = True
            await asyncio.sleep(_BETWEEN_CHECKS)
        else:
            if away:
                reporter.say("the server answers")
            return


async def _check_server(client: AsyncReflexioClient, reporter: Reporter) -> None:
    """Raise one error now when the server cannot be reached or does not know the key."""
    with_timeout = client.with_options(timeout=_CHECK_TIMEOUT)
    try:
        answer = await with_timeout.get_operation_status(service_name="profile_generation")
    except NotFound:
        return  # January's servers may not have this route, and reruns do not need it there
    running: Any = answer.operation_status
    if running is not None and running.status == OperationStatus.IN_PROGRESS:
        reporter.say("another rerun is under way at the server; yours begin when it ends")


async def _promote(client: AsyncReflexioClient, reporter: Reporter, *, all_completed: bool) -> bool:
    if not all_completed:
        reporter.say("nothing was promoted, because some users did not complete", "yellow")
        return False
    answer = await client.upgrade_profiles()
    if answer.success:
        reporter.say(f"promoted {answer.profiles_promoted} profiles of the whole organisation")
    else:
        refusal = f"the promotion was refused: {answer.message}"
        output.print_error(refusal)
        reporter.note(refusal, logging.ERROR)
    return answer.success


def _plan_text(plan: BatchPlan) -> str:
    text = f"{plan.total} user{'s' if plan.total != 1 else ''} to rerun"
    if plan.per_minute is not None and plan.seconds:
        text += (
            f": about {output.duration(plan.seconds)} where a server begins {plan.per_minute} a minute (the "
            "published limit), sooner where it begins more"
        )
    return text
