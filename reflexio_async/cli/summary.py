"""The end of a rerun: how many ended how, and why, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reflexio_async._engine.batch.failures import reason_of
from reflexio_async._engine.batch.report import Outcome, OutcomeState
from reflexio_async.cli import output
from reflexio_async.cli.results import print_table
from reflexio_async.cli.tables import MOST_SERIOUS_FIRST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from reflexio_async._engine.batch.failures import FailureGroup

FAILURES = (OutcomeState.FAILED, OutcomeState.TIMED_OUT, OutcomeState.LOST, OutcomeState.NOT_STARTED)
_MAX_ROWS = 50
_SHOWN_IDS = 5


def group_text(group: FailureGroup, outcomes: Sequence[Outcome[Any, Any]]) -> str:
    """A group on one line, such as ``2 failed: the model is overloaded: ana, bo``."""
    more = ", …" if len(group.positions) > _SHOWN_IDS else ""
    shown = ", ".join(_first_ids(group, outcomes)) + more
    return f"{len(group.positions)} {group.state.replace('_', ' ')}: {group.reason}: {shown}"


def group_fields(group: FailureGroup, outcomes: Sequence[Outcome[Any, Any]]) -> dict[str, Any]:
    """A group for programs."""
    return {
        "state": group.state,
        "reason": group.reason,
        "error": group.error,
        "count": len(group.positions),
        "first": _first_ids(group, outcomes),
    }


def _first_ids(group: FailureGroup, outcomes: Sequence[Outcome[Any, Any]]) -> list[str]:
    return [str(outcomes[position].key) for position in group.positions[:_SHOWN_IDS]]


def print_summary(
    to: Console, outcomes: Sequence[Outcome[Any, Any]], groups: Sequence[FailureGroup], *, as_json: bool
) -> None:
    """Print who did not complete, and why."""
    incomplete = sorted(
        (outcome for outcome in outcomes if outcome.state in FAILURES),
        key=lambda outcome: MOST_SERIOUS_FIRST.index(outcome.state),
    )
    rows = [(str(each.key), each.state.replace("_", " "), reason_of(each)) for each in incomplete[:_MAX_ROWS]]
    print_table(to, ("id", "state", "why"), rows)
    if len(incomplete) > _MAX_ROWS:
        hint = "" if as_json else " (--json writes them all)"
        output.print_line(to, f"… and {len(incomplete) - _MAX_ROWS} more that did not complete{hint}")
    for group in groups:
        if len(group.positions) > 1 or group.state is OutcomeState.CANCELLED:
            output.print_line(to, group_text(group, outcomes))
    for outcome in [outcome for outcome in incomplete if outcome.goes_on][:_MAX_ROWS]:
        # On a line of its own: in a row of a table it would be broken, and could not be copied.
        output.print_line(to, f"{outcome.key} goes on at the server; its token: {outcome.token}")
