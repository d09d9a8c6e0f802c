"""``rerun``: learn the profiles of many users anew."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from reflexio_async._engine.batch.report import Outcome, OutcomeState
from reflexio_async._engine.batch.work import BATCH_OUTAGE_TIMEOUT
from reflexio_async._engine.retry import is_away
from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK, SOME_FAILED
from reflexio_async.cli.inputs import shown_store
from reflexio_async.cli.progress import show_progress
from reflexio_async.cli.store import looking_at
from reflexio_async.cli.stored_batch import (
    batch_fields,
    default_id,
    driven_elsewhere,
    ended_text,
    failures_of,
    find_batch,
    is_left,
    users_of,
)
from reflexio_async.cli.tables import count_states, incomplete_table
from reflexio_async.client import AsyncReflexioClient
from reflexio_async.errors import InvalidRequest, NotFound, ReflexioError, RequestRefused
from reflexio_async.reflexio.models.enums import OperationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reflexio_async._engine.batch.batch import Batch
    from reflexio_async._engine.batch.progress import BatchPlan, BatchProgress
    from reflexio_async.cli.reporting import Reporter
    from reflexio_async.cli.signals import Signals
    from reflexio_async.durable.view import BatchEntry
    from reflexio_async.reflexio.models.operations import RerunProfileGenerationResponse

    RerunOutcome = Outcome[str, RerunProfileGenerationResponse]

_MAX_TABLE_ROWS = 50
FAILURES = (OutcomeState.FAILED, OutcomeState.TIMED_OUT, OutcomeState.LOST, OutcomeState.NOT_STARTED)
_CHECK_TIMEOUT = 20.0
"""Seconds that the server has to answer before anything is started."""
_BETWEEN_CHECKS = 2.0
"""Seconds between two questions whether the server is back."""
_MONTH = 30 * 86400.0
_SHOWN_USERS = 5


@dataclass(frozen=True)
class Rerun:
    """Rerun the profiles of users, as a batch. The fields are the command's options.

    ``users`` may be empty, if the batch is in the store. ``command`` is the same command, as it is typed.
    """

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
    store: str | None = field(default=None, repr=False)
    batch_id: str | None = None
    retry_failed: bool = False
    report: str | None = None
    command: str = ""
    is_named: bool = True
    """Whether ``command`` names the users or the batch. If not, they came from standard input."""

    async def run(self, signals: Signals) -> int:
        """Return the exit code."""
        try:
            return await (self._show_plan() if self.dry_run else self._rerun(signals))
        except ReflexioError as error:
            self.reporter.note(str(error), logging.ERROR)
            raise

    async def _show_plan(self) -> int:
        # A client with the store would go on with what that holds.
        async with AsyncReflexioClient(self.api_key, self.url) as client, AsyncExitStack() as stack:
            users, stored = self.users, None
            if self.store is not None:
                stored = await stack.enter_async_context(looking_at(self.store, self.url))
                users = users or await users_of(stored, self.batch_id)
            plan = client.rerun_profiles_many(users, source=self.source).plan
            await self._reach(client)
            kept = None
            if stored is not None:
                batch_id = self.batch_id or await default_id(client, users, self.source)
                kept = await find_batch(stored, batch_id)
            self._print_plan(client.base_url, users, plan, kept)
        return OK

    async def _rerun(self, signals: Signals) -> int:
        reporter = self.reporter
        limit = FailureLimit(self.max_failures, reporter)
        async with AsyncReflexioClient(self.api_key, self.url, store=self.store) as client:
            users = self.users or await users_of(client, self.batch_id)
            make_batch = partial(
                client.rerun_profiles_many,
                users,
                concurrency=self.concurrency,
                source=self.source,
                poll_interval=self.poll_interval,
                wait_timeout=self.wait_timeout,
                outage_timeout=_MONTH if self.wait_for_server else BATCH_OUTAGE_TIMEOUT,
                on_progress=limit.check,
            )
            plan = make_batch().plan  # which checks everything, before anything is sent
            await self._reach(client)
            batch_id = None
            if self.store is not None:
                batch_id = self.batch_id or await default_id(client, users, self.source)
                kept = await self._kept(client, batch_id, plan)
                limit.failed_before = 0 if kept is None else failures_of(kept)
            else:
                reporter.say(_plan_text(plan))
            limit.batch = batch = make_batch(batch_id=batch_id)
            if self.retry_failed:
                batch.retry_failed()
                limit.failed_before = 0
            again = self.command if self.is_named else f"{self.command} --batch-id {batch_id}"
            outcomes = await self._run_batch(batch, len(users), signals, again)
            all_completed = all(outcome.state is OutcomeState.COMPLETED for outcome in outcomes)
            promoted = True
            if self.upgrade and not signals.exit_code:
                whole = (
                    None if self.store is None else partial(make_batch, batch_id=batch_id, on_progress=None)
                )
                promoted = await _promote(client, reporter, whole, all_completed=all_completed)
        self._print_summary(outcomes)
        self._say_how_to_continue(outcomes, again)
        return signals.exit_code or (OK if all_completed and promoted else SOME_FAILED)

    async def _kept(self, client: AsyncReflexioClient, batch_id: str, plan: BatchPlan) -> BatchEntry | None:
        """Say what the store has of the batch, and return it; None: nothing yet."""
        kept = await find_batch(client, batch_id)
        if (reason := await driven_elsewhere(client, self.store or "")) is not None:
            self.reporter.say(reason, "yellow")
        if kept is None:
            self.reporter.say(f"{_plan_text(plan)}; kept in {shown_store(self.store or '')} as {batch_id}")
            return None
        self.reporter.say(f"{batch_id}: {ended_text(kept)}")
        if not is_left(kept) and not self.retry_failed:
            self.reporter.say("nothing is left to start; with another --batch-id all are run anew", "yellow")
        return kept

    async def _reach(self, client: AsyncReflexioClient) -> None:
        if self.wait_for_server:
            await _wait_for_server(client, self.reporter)
        else:
            await _check_server(client, self.reporter)

    def _print_plan(
        self, server: str, users: Sequence[str], plan: BatchPlan, kept: BatchEntry | None
    ) -> None:
        first = list(users[:_SHOWN_USERS])
        if self.json_lines:
            fields = {
                "server": server,
                "users": plan.total,
                "first": first,
                "per_minute": plan.per_minute,
                "seconds": plan.seconds,
                "batch": None if kept is None else batch_fields(kept),
            }
            output.write_line(json.dumps(fields, ensure_ascii=False))
            return
        more = ", …" if len(users) > len(first) else ""
        lines = [
            f"{server} answers, and takes this key",
            _plan_text(plan),
            f"the first: {', '.join(map(repr, first))}{more}",
            *([] if kept is None else [f"in the store: {kept.id}: {ended_text(kept)}"]),
            "nothing was started, because of --dry-run",
        ]
        for line in lines:
            output.print_line(output.console(), line)

    async def _run_batch(
        self, batch: Batch[str, RerunProfileGenerationResponse], total: int, signals: Signals, again: str
    ) -> list[RerunOutcome]:
        reporter = self.reporter

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
                    if outcome.state in FAILURES:
                        text = f"{outcome.key}: {outcome.state.replace('_', ' ')}: {outcome.error}"
                        reporter.note(text, logging.WARNING)
        except asyncio.CancelledError:
            ended = f"{len(outcomes)} of {total} had ended"
            reporter.say(f"left at once: {ended}; what runs goes on at the server", "yellow")
            self._say_command(again)
            raise
        except ReflexioError:
            self._say_command(again)
            raise
        finally:
            await self._write_report(batch, outcomes)
        return outcomes

    async def _write_report(
        self, batch: Batch[str, RerunProfileGenerationResponse], outcomes: list[RerunOutcome]
    ) -> None:
        if self.report is None:
            return
        try:
            page = await asyncio.to_thread(batch.report_of(outcomes).to_html, self.report)
        except InvalidRequest as error:  # the disk is full, or the folder is gone
            output.print_error(f"--report: {error}")
        else:
            self.reporter.say(f"the report is in {page}")

    def _say_command(self, again: str) -> None:
        if self.store is not None:
            self.reporter.say(f"continue with: {again}")

    def _say_how_to_continue(self, outcomes: list[RerunOutcome], again: str) -> None:
        states = {outcome.state for outcome in outcomes}
        if states & {OutcomeState.CANCELLED, OutcomeState.NOT_STARTED, OutcomeState.TIMED_OUT}:
            self._say_command(again)
        elif states & set(FAILURES) and self.store is not None:
            self.reporter.say(f"run again those that did not complete: {again} --retry-failed")

    def _print_summary(self, outcomes: list[RerunOutcome]) -> None:
        reporter = self.reporter
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


class FailureLimit:
    """Stops a batch when ``limit`` keys did not complete. The batch asks it before each start.

    Attributes:
        batch: The batch.
        failed_before: How many of its keys had failed before, and do not count.
    """

    def __init__(self, limit: int | None, reporter: Reporter) -> None:
        self._limit = limit
        self._reporter = reporter
        self.batch: Batch[str, Any] | None = None
        self.failed_before = 0

    def check(self, progress: BatchProgress) -> None:
        """Look at the outcomes so far."""
        failures = sum(progress.counts.get(state, 0) for state in FAILURES) - self.failed_before
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


async def _promote(
    client: AsyncReflexioClient,
    reporter: Reporter,
    stored: Callable[..., Batch[str, RerunProfileGenerationResponse]] | None,
    *,
    all_completed: bool,
) -> bool:
    """Promote what was made. ``stored`` makes the batch of a store, which one process alone promotes."""
    if not all_completed:
        reporter.say("nothing was promoted, because some users did not complete", "yellow")
        return False
    if stored is None:
        answer = await client.upgrade_profiles()
    else:
        report = await stored(upgrade=True)
        answer, error = report.upgrade, report.upgrade_error
        if isinstance(error, RequestRefused):
            answer = error.response
        elif error is not None:
            raise error
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
