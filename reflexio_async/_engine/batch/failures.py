"""The keys of a batch that did not complete, grouped by what happened to them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reflexio_async._engine.batch.report import OutcomeState
from reflexio_async.errors import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async._engine.batch.report import Outcome

_LONGEST = 400  # characters of a reason
# Ids differ from key to key, and so do numbers.
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}")
# What the message of a job begins with: its kind, its id and its parameters.
_DESCRIPTION = re.compile(r"^\w+ [\w-]*\([^()]*\): (?=.)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(slots=True)
class FailureGroup:
    """Keys that ended in the same way.

    Attributes:
        state: How they ended.
        reason: Why. Where keys and ids stand, it has dots.
        error: The name of the error's class.
        positions: Where they are in the report.
    """

    state: OutcomeState
    reason: str
    error: str
    positions: list[int] = field(default_factory=list[int])


def failure_groups(outcomes: Sequence[Outcome[Any, Any]]) -> list[FailureGroup]:
    """The groups, the largest first. Reasons that differ by key, id or number alone are one group."""
    groups: dict[tuple[str, str, str], FailureGroup] = {}
    for position, outcome in enumerate(outcomes):
        if outcome.state is OutcomeState.COMPLETED:
            continue
        shape = _ID.sub("…", _shared_reason(outcome))
        error = type(outcome.error).__name__
        name = (outcome.state.value, error, _NUMBER.sub("#", shape))
        groups.setdefault(name, FailureGroup(outcome.state, shape, error)).positions.append(position)
    return sorted(groups.values(), key=lambda group: -len(group.positions))


def _shared_reason(outcome: Outcome[Any, Any]) -> str:
    """Why it did not complete, without what names this key alone."""
    key, reason = printable(str(outcome.key)), reason_of(outcome)
    # Messages about one job begin with its name, such as ``profile_rerun 5f3a(user_id=ana): ``.
    reason = re.sub(rf"^\w+ \S*\([^)]*{re.escape(key)}[^)]*\):? ", "", reason)
    # Not within words: the key may be one letter.
    return re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", "…", reason).removeprefix("…: ")


def reason_of(outcome: Outcome[Any, Any]) -> str:
    """Why a key did not complete."""
    return reason_in(str(outcome.error or "no reason is known"))


def reason_in(message: str) -> str:
    """The message of a job's error, without the name of the job."""
    return printable(_DESCRIPTION.sub("", message, count=1), _LONGEST)
