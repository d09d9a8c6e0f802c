"""``retry_failed()`` of every batch of a simulation, once the server is healthy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reflexio_async import OutcomeState
from tests.faults.schedules import RerunBatch
from tests.scene import STATUS

if TYPE_CHECKING:
    from reflexio_async import BatchReport, Outcome
    from tests.faults.calls import Call
    from tests.faults.schedules import PublishBatch
    from tests.faults.simulation import Simulation

_REST = [state for state in OutcomeState if state is not OutcomeState.COMPLETED]
_POLLS = 3.0  # seconds in which the end of a rerun is noticed


@dataclass
class Retries:
    """The reports of batches, and what became of the keys that did not complete."""

    _reports: list[tuple[RerunBatch | PublishBatch, BatchReport[str, Any], dict[str, Call]]] = field(
        default_factory=list[Any]
    )

    def add(
        self, step: RerunBatch | PublishBatch, report: BatchReport[str, Any], calls: dict[str, Call]
    ) -> None:
        self._reports.append((step, report, calls))

    async def run(self, simulation: Simulation) -> None:
        """Run again what did not complete, one batch after another: every key must complete now."""
        for step, report, calls in self._reports:
            rest = [outcome.key for outcome in report if outcome.state is not OutcomeState.COMPLETED]
            by_default = len(report.failed) + len(report.not_started)
            if by_default:
                planned = report.retry_failed().plan.total
                if planned is None or planned < by_default:
                    simulation.problems.append(f"retry_failed() takes {planned} of {by_default} keys")
            if not rest:
                continue
            again = await report.retry_failed(*_REST)
            if sorted(outcome.key for outcome in again) != sorted(rest):
                reached = [outcome.key for outcome in again]
                simulation.problems.append(f"of {rest}, retry_failed() reached {reached}")
                continue
            new_calls = {key: simulation.new_call_like(calls[key]) for key in rest}
            for outcome in again:
                simulation.note_outcome(new_calls, outcome)
                if outcome.state is not OutcomeState.COMPLETED and not _may_fail(simulation, step, outcome):
                    simulation.problems.append(f"not completed on a healthy server: {outcome}")


def _may_fail(simulation: Simulation, step: RerunBatch | PublishBatch, outcome: Outcome[str, Any]) -> bool:
    """Whether a healthy server lets this key fail, too."""
    schedule = simulation.schedule
    if not isinstance(step, RerunBatch):
        return False
    seconds = schedule.rerun_seconds
    few_polls = any(
        (fault.kind, fault.path, fault.args) == ("absurd_refusal", STATUS, ("days",))
        for fault in schedule.scheduled_faults
    )
    return (
        outcome.key == f"user-{schedule.failing}"
        # It fails, and the rest is not started then.
        or (step.fail_fast and outcome.state is OutcomeState.CANCELLED and schedule.failing is not None)
        # The client believes the few hits of a limit, and asks for the status five times an hour.
        or (few_polls and outcome.state is OutcomeState.TIMED_OUT)
        or (step.wait_timeout is not None and step.wait_timeout <= seconds + _POLLS)
        or (schedule.dialect == "synchronous" and schedule.timeout <= seconds + _POLLS)
    )
