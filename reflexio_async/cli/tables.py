"""Outcomes as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from reflexio_async._engine.batch.report import Outcome, OutcomeState
from reflexio_async.cli.output import one_line, printable
from reflexio_async.cli.results import new_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

_STYLES = {
    OutcomeState.COMPLETED: "green",
    OutcomeState.FAILED: "red",
    OutcomeState.TIMED_OUT: "yellow",
    OutcomeState.LOST: "magenta",
    OutcomeState.CANCELLED: "yellow",
    OutcomeState.NOT_STARTED: "yellow",
}
# The most serious first.
_ORDER = [
    OutcomeState.FAILED,
    OutcomeState.LOST,
    OutcomeState.TIMED_OUT,
    OutcomeState.NOT_STARTED,
    OutcomeState.CANCELLED,
    OutcomeState.COMPLETED,
]


def state_text(state: OutcomeState) -> Text:
    """A state in its colour."""
    return Text(state.value.replace("_", " "), _STYLES[state])


def incomplete_table(outcomes: Iterable[Outcome[Any, Any]], limit: int) -> tuple[Table, int]:
    """The first ``limit`` outcomes that did not complete, and how many more there are."""
    incomplete = sorted(
        (outcome for outcome in outcomes if outcome.state is not OutcomeState.COMPLETED),
        key=lambda outcome: _ORDER.index(outcome.state),
    )
    table = new_table("user", "state", "why")
    for outcome in incomplete[:limit]:
        table.add_row(printable(outcome.key), state_text(outcome.state), one_line(outcome.error))
    return table, max(0, len(incomplete) - limit)


def count_states(states: Sequence[OutcomeState]) -> str:
    """How many there are of each state, such as ``38 completed, 2 failed``."""
    parts = [
        f"{states.count(state)} {state.value.replace('_', ' ')}" for state in OutcomeState if state in states
    ]
    return ", ".join(parts) or "nothing to do"
