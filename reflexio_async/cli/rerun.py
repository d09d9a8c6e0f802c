"""``rerun``: learn the profiles of many users, or the playbooks of agent versions, anew."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from reflexio_async._engine.batch.failures import failure_groups, reason_of
from reflexio_async._engine.batch.report import Outcome, OutcomeState
from reflexio_async._engine.batch.work import BATCH_OUTAGE_TIMEOUT
from reflexio_async._engine.retry import is_away
from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK, SOME_FAILED
from reflexio_async.cli.errors import own_words
from reflexio_async.cli.inputs import shown_store
from reflexio_async.cli.progress import EVERY, NOTE_EVERY, Lines, line_text, progress_fields, show_progress
from reflexio_async.cli.rerun_plan import AGENT_VERSIONS, USERS, Plan, Target, plan_text
from reflexio_async.cli.store import looking_at
from reflexio_async.cli.stored_batch import (
    default_id,
    driven_elsewhere,
    ended_text,
    failures_of,
    find_batch,
    ids_of,
    is_left,
)
from reflexio_async.cli.summary import FAILURES, group_fields, group_text, print_summary
from reflexio_async.cli.tables import count_states
from reflexio_async.client import AsyncReflexioClient
from reflexio_async.errors import InvalidRequest, NotFound, ReflexioError, RequestRefused
from reflexio_async.reflexio.models.enums import OperationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reflexio_async._engine.batch.batch import Batch
    from reflexio_async._engine.batch.progress import BatchPlan, BatchProgress
    from reflexio_async.cli.reporting import Reporter
    from reflexio_async.cli.signals import Signals
    from reflexio_async.durable.entries import BatchEntry

    RerunBatch: TypeAlias = Batch[str, Any]
    RerunOutcome: TypeAlias = Outcome[str, Any]

_CHECK_TIMEOUT = 20.0
"""Seconds that the server has to answer before anything is started."""
_BETWEEN_CHECKS = 2.0
"""Seconds between two questions whether the server is back."""
_MONTH = 30 * 86400.0


@dataclass(frozen=True)
class Rerun:
    """Rerun users or agent versions, as a batch. The fields are the command's options.

    ``ids`` may be empty, if the batch is in the store. ``note`` says what was left out of them. ``command``
    is the same command, as it is typed.
    """

    ids: Sequence[str]
    reporter: Reporter
    note: str = ""
    playbooks: bool = False
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
    """Whether ``command`` names the ids or the batch. If not, they came from standard input."""

    async def run(self, signals: Signals) -> int:
        """Return the exit code."""
        if self.note:
            self.reporter.say(self.note, "yellow")
        try:
            return await (self._show_plan() if self.dry_run else self._rerun(signals))
        except ReflexioError as error:
            self.reporter.note(str(error), logging.ERROR)
            raise

    @property
    def _target(self) -> Target:
        return AGENT_VERSIONS if self.playbooks else USERS

    def _batch(self, client: AsyncReflexioClient, ids: Sequence[str], **options: Any) -> RerunBatch:
        if self.playbooks:
            return client.rerun_playbooks_many(ids, source=self.source, **options)
        return client.rerun_profiles_many(ids, source=self.source, **options)

    # --dry-run

    async def _show_plan(self) -> int:
        # A client with the store would go on with what that holds.
        async with AsyncReflexioClient(self.api_key, self.url) as client, AsyncExitStack() as stack:
            ids, stored = self.ids, None
            if self.store is not None:
                stored = await stack.enter_async_context(looking_at(self.store, self.url))
                ids = ids or await ids_of(stored, self.batch_id)
            plan = self._batch(client, ids).plan
            await self._reach(client)
            kept = None
            if stored is not None:
                batch_id = self.batch_id or await self._default_id(client, ids)
                kept = await self._find(stored, batch_id)
            shown = Plan(
                client.base_url, self._target, ids, plan.per_minute, kept, retry_failed=self.retry_failed
            )
            shown.write(as_json=self.json_lines)
        return OK

    # The batch

    async def _rerun(self, signals: Signals) -> int:
        reporter = self.reporter
        limit = FailureLimit(self.max_failures, reporter)
        async with AsyncReflexioClient(self.api_key, self.url, store=self.store) as client:
            ids = self.ids or await ids_of(client, self.batch_id)
            make_batch = partial(
                self._batch,
                client,
                ids,
                concurrency=self.concurrency,
                poll_interval=self.poll_interval,
                wait_timeout=self.wait_timeout,
                outage_timeout=_MONTH if self.wait_for_server else BATCH_OUTAGE_TIMEOUT,
                on_progress=limit.check,
            )
            plan = make_batch().plan  # which checks everything, before anything is sent
            await self._reach(client)
            batch_id = None
            if self.store is not None:
                batch_id = self.batch_id or await self._default_id(client, ids)
                kept = await self._kept(client, batch_id, plan)
                limit.failed_before = 0 if kept is None else failures_of(kept)
            else:
                reporter.say(plan_text(self._target, len(ids), plan))
            limit.batch = batch = make_batch(batch_id=batch_id)
            if self.retry_failed:
                batch.retry_failed()
                limit.failed_before = 0
            again = self.command if self.is_named else f"{self.command} --batch-id {batch_id}"
            outcomes = await self._run_batch(batch, len(ids), signals, again)
            all_completed = all(outcome.state is OutcomeState.COMPLETED for outcome in outcomes)
            promoted = True
            if self.upgrade and not signals.exit_code:
                stored = partial(make_batch, batch_id=batch_id, on_progress=None) if self.store else None
                promoted = await self._promote(client, stored, all_completed=all_completed)
        exit_code = signals.exit_code or (OK if all_completed and promoted else SOME_FAILED)
        self._end(batch, outcomes, again, exit_code)
        return exit_code

    async def _default_id(self, client: AsyncReflexioClient, ids: Sequence[str]) -> str:
        return await default_id(client, ids, self.source, self._target.service)

    async def _find(self, client: AsyncReflexioClient, batch_id: str) -> BatchEntry | None:
        return await find_batch(
            client, batch_id, required=self.retry_failed, is_named=self.batch_id is not None
        )

    async def _kept(self, client: AsyncReflexioClient, batch_id: str, plan: BatchPlan) -> BatchEntry | None:
        """Say what the store has of the batch, and return it; None: nothing yet.

        Raises:
            InvalidRequest: The batch is to be run again, and is not there.
        """
        reporter, store = self.reporter, self.store or ""
        kept = await self._find(client, batch_id)
        if (reason := await driven_elsewhere(client, store, self._target.service)) is not None:
            reporter.say(reason, "yellow")
        if kept is None:
            text = plan_text(self._target, plan.total or 0, plan)
            reporter.say(f"{text}; kept in {shown_store(store)} as {batch_id}")
            return None
        reporter.say(f"{batch_id}: {ended_text(kept)}")
        if not is_left(kept) and not self.retry_failed:
            reporter.say("nothing is left to start; with another --batch-id all are run anew", "yellow")
        return kept

    async def _run_batch(
        self, batch: RerunBatch, total: int, signals: Signals, again: str
    ) -> list[RerunOutcome]:
        reporter = self.reporter

        def stop() -> None:
            batch.stop()
            kept = "" if self.store else "; without --store, the same command begins anew"
            reporter.say(
                f"stopping: nothing more is started; waiting for what runs (again to leave at once){kept}",
                "yellow",
            )

        signals.on_first(stop)
        lines = [
            Lines(lambda progress, last: reporter.note(line_text("reruns", progress, last=last)), NOTE_EVERY)
        ]
        if self.json_lines:
            lines.append(
                Lines(lambda progress, _: _write_event("progress", progress_fields(progress)), EVERY)
            )
        # On one terminal a bar and JSON would overwrite each other.
        live = not (self.json_lines and sys.stdout.isatty())
        progress = show_progress(batch, "reruns", reporter.stderr, *lines, live=live)
        outcomes: list[RerunOutcome] = []
        try:
            async with batch, progress:
                async for outcome in batch:
                    outcomes.append(outcome)
                    self._tell(outcome)
        except asyncio.CancelledError:
            ended = f"{len(outcomes)} of {total} had ended"
            reporter.say(f"left at once: {ended}; what runs goes on at the server", "yellow")
            self._say_command(again)
            raise
        except BrokenPipeError:
            reporter.note("left at once: the reader of the output is gone", logging.ERROR)
            self._note_command(again)
            raise
        except ReflexioError:
            self._say_command(again)
            raise
        finally:
            await self._write_report(batch, outcomes)
        return outcomes

    async def _write_report(self, batch: RerunBatch, outcomes: list[RerunOutcome]) -> None:
        if self.report is None:
            return
        try:
            page = await asyncio.to_thread(batch.report_of(outcomes).to_html, self.report)
        except InvalidRequest as error:  # the disk is full, or the folder is gone
            output.print_error(f"--report: {error}")
            self.reporter.note(f"--report: {error}", logging.ERROR)
        else:
            self.reporter.say(f"the report is in {page}")

    def _tell(self, outcome: RerunOutcome) -> None:
        """Say how one has ended, as soon as it has."""
        if self.json_lines:
            _write_event("outcome", json.loads(outcome.to_json()))
        if outcome.state not in FAILURES:
            return
        text = f"{outcome.key}: {outcome.state.replace('_', ' ')}: {reason_of(outcome)}"
        if outcome.state is OutcomeState.NOT_STARTED:
            self.reporter.note(text, logging.WARNING)  # all for the same reason, which is in the summary
        else:
            self.reporter.say(text, "red")

    async def _promote(
        self,
        client: AsyncReflexioClient,
        stored: Callable[..., RerunBatch] | None,
        *,
        all_completed: bool,
    ) -> bool:
        """Promote what was made. ``stored`` makes the batch of a store, which one process alone promotes."""
        reporter = self.reporter
        if not all_completed:
            reporter.say(f"nothing was promoted, because some {self._target.many} did not complete", "yellow")
            return False
        answer: Any
        if stored is None:
            answer = await (client.upgrade_user_playbooks() if self.playbooks else client.upgrade_profiles())
        else:
            report = await stored(upgrade=True)
            answer, error = report.upgrade, report.upgrade_error
            if isinstance(error, RequestRefused):
                answer = error.response
            elif error is not None:
                raise error
        if not answer.success:
            refusal = f"the promotion was refused: {answer.message}"
            output.print_error(refusal)
            reporter.note(refusal, logging.ERROR)
            return False
        number = answer.user_playbooks_promoted if self.playbooks else answer.profiles_promoted
        promoted = output.count(number, "playbook" if self.playbooks else "profile")
        reporter.say(f"promoted {promoted} of the whole organisation")
        return True

    # The end

    def _end(self, batch: RerunBatch, outcomes: list[RerunOutcome], again: str, exit_code: int) -> None:
        reporter = self.reporter
        to = reporter.stderr if self.json_lines else output.console()
        groups = failure_groups(outcomes)
        print_summary(to, outcomes, groups, as_json=self.json_lines)
        counts = count_states([outcome.state for outcome in outcomes])
        output.print_line(to, counts)
        for group in groups:
            if len(group.positions) > 1:
                reporter.note(group_text(group, outcomes))
        reporter.note(counts)
        states = {outcome.state for outcome in outcomes}
        how, command = "", None
        if self.store is not None:
            if states & {OutcomeState.CANCELLED, OutcomeState.NOT_STARTED, OutcomeState.TIMED_OUT}:
                how, command = "continue with", again
            elif states & set(FAILURES):
                how, command = "run again those that did not complete", f"{again} --retry-failed"
        if self.json_lines:
            fields: dict[str, Any] = {
                "exit_code": exit_code,
                "counts": {state.value: n for state in OutcomeState if (n := _count(outcomes, state))},
                "failures": [group_fields(group, outcomes) for group in groups],
                "seconds": round(batch.progress.seconds, 3),
                "batch_id": batch.id,
                "continue_with": command,
            }
            _write_event("summary", fields)
        if command is not None:
            reporter.say(f"{how}: {command}")

    def _say_command(self, again: str) -> None:
        if self.store is not None:
            self.reporter.say(f"continue with: {again}")

    def _note_command(self, again: str) -> None:
        if self.store is not None:
            self.reporter.note(f"continue with: {again}")

    # The server

    async def _reach(self, client: AsyncReflexioClient) -> None:
        """Raise one error now, when the server cannot be reached; or wait, as long as it is away."""
        away = False
        while True:
            try:
                await self._check_server(client)
            except ReflexioError as error:
                if not self.wait_for_server or not is_away(error):
                    raise
                if not away:
                    reason = own_words(str(error))
                    self.reporter.say(f"waiting for the server (Ctrl-C to stop): {reason}", "yellow")
                away = True
                try:
                    await asyncio.sleep(_BETWEEN_CHECKS)
                except asyncio.CancelledError:
                    self.reporter.say("left while the server was away: nothing was started", "yellow")
                    if self.is_named:
                        self._say_command(self.command)
                    raise
            else:
                if away:
                    self.reporter.say("the server answers")
                return

    async def _check_server(self, client: AsyncReflexioClient) -> None:
        with_timeout = client.with_options(timeout=_CHECK_TIMEOUT)
        try:
            answer = await with_timeout.get_operation_status(service_name=self._target.service)
        except NotFound:
            return  # January's servers may not have this route, and reruns do not need it there
        running: Any = answer.operation_status
        if running is not None and running.status == OperationStatus.IN_PROGRESS:
            self.reporter.say("another rerun is under way at the server; yours begin when it ends")


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


def _write_event(event: str, fields: dict[str, Any]) -> None:
    """Write one line for programs. ``event`` says which of the shapes it has."""
    output.write_line(json.dumps({"event": event, **fields}, ensure_ascii=False))


def _count(outcomes: list[RerunOutcome], state: OutcomeState) -> int:
    return sum(outcome.state is state for outcome in outcomes)
