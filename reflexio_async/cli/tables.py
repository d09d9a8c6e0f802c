"""Outcomes as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from reflexio_async._engine.batch.report import Outcome, OutcomeState
from reflexio_async.cli.output import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STYLES = {
    OutcomeState.COMPLETED: "green",
    OutcomeState.FAILED: "red",
    OutcomeState.TIMED_OUT: "yellow",
    OutcomeState.LOST: "magenta",
    OutcomeState.CANCELLED: "yellow",
}
# What somebody has to look into comes first.
_ORDER = [
    OutcomeState.FAILED,
    OutcomeState.LOST,
    OutcomeState.TIMED_OUT,
    OutcomeState.CANCELLED,
    OutcomeState.COMPLETED,
]


def state_text(state: OutcomeState) -> Text:
    """A state in its colour."""
    return Text(state.value.replace("_", " "), STYLES[state])


def table(*columns: str) -> Table:
    """A plain table."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def troubled_table(outcomes: Iterable[Outcome[Any, Any]], rows: int) -> tuple[Table, int]:
    """The first ``rows`` of those that did not complete, and how many more there are."""
    troubled = sorted(
        (outcome for outcome in outcomes if outcome.state is not OutcomeState.COMPLETED),
        key=lambda outcome: _ORDER.index(outcome.state),
    )
    made = table("user", "state", "why")
    for outcome in troubled[:rows]:
        made.add_row(visible(outcome.key), state_text(outcome.state), one_line(outcome.error))
    return made, max(0, len(troubled) - rows)


def counted(states: Sequence[OutcomeState]) -> str:
    """``38 completed, 2 failed``."""
    parts = [
        f"{states.count(state)} {state.value.replace('_', ' ')}" for state in OutcomeState if state in states
    ]
    return ", ".join(parts) or "nothing to do"
