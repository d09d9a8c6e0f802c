"""Outcomes as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from reflexio_async._engine.batch.report import OutcomeState

if TYPE_CHECKING:
    from collections.abc import Sequence

_STYLES = {
    OutcomeState.COMPLETED: "green",
    OutcomeState.FAILED: "red",
    OutcomeState.TIMED_OUT: "yellow",
    OutcomeState.LOST: "magenta",
    OutcomeState.CANCELLED: "yellow",
    OutcomeState.NOT_STARTED: "yellow",
}
MOST_SERIOUS_FIRST = [
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


def count_states(states: Sequence[OutcomeState]) -> str:
    """How many there are of each state, such as ``38 completed, 2 failed``."""
    parts = [
        f"{states.count(state)} {state.value.replace('_', ' ')}" for state in OutcomeState if state in states
    ]
    return ", ".join(parts) or "nothing to do"
