"""What became of each key of a batch."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reflexio_async._engine.batch.batch import Batch

K = TypeVar("K")
T = TypeVar("T")


class OutcomeState(StrEnum):
    """How one key ended.

    ``lost`` means that its outcome is unknown: another operation took the slot first, or a request was
    sent and never answered. ``cancelled`` ones were not started unless the server says otherwise.
    """

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Outcome(Generic[K, T]):
    """One key's end.

    ``attempts`` counts how often its request was sent; ``token`` resumes a job that was admitted and
    did not complete as far as is known.
    """

    key: K
    state: OutcomeState
    result: T | None = None
    error: BaseException | None = None
    seconds_queued: float = 0.0
    seconds_running: float = 0.0
    attempts: int = 0
    token: str | None = None
    item: Any = field(default=None, repr=False)

    def to_json(self) -> str:
        """One line of JSON."""
        error = (
            None if self.error is None else {"type": type(self.error).__name__, "message": str(self.error)}
        )
        result = self.result.model_dump(mode="json") if isinstance(self.result, BaseModel) else self.result
        row = {
            "key": self.key,
            "state": self.state,
            "seconds_queued": round(self.seconds_queued, 3),
            "seconds_running": round(self.seconds_running, 3),
            "attempts": self.attempts,
            "error": error,
            "token": self.token,
            "result": result,
        }
        return json.dumps(row, ensure_ascii=False, default=str)


class BatchReport(Generic[K, T]):
    """Every key that was pulled, with its outcome, in the order in which they ended."""

    def __init__(self, retry: Callable[[list[Any]], Batch[K, T]] | None = None) -> None:
        self._retry = retry
        self.outcomes: list[Outcome[K, T]] = []
        self.seconds = 0.0
        """How long the batch took."""
        self.upgrade: Any = None
        """The answer of the promotion asked for by ``upgrade=True``; None when it was not made."""
        self.upgrade_error: Exception | None = None

    @property
    def completed(self) -> list[Outcome[K, T]]:
        """Those with a result."""
        return self._in(OutcomeState.COMPLETED)

    @property
    def failed(self) -> list[Outcome[K, T]]:
        """Those that were refused or failed."""
        return self._in(OutcomeState.FAILED)

    @property
    def cancelled(self) -> list[Outcome[K, T]]:
        """Those that were withdrawn or stopped."""
        return self._in(OutcomeState.CANCELLED)

    @property
    def timed_out(self) -> list[Outcome[K, T]]:
        """Those that were still running at the server when the wait ran out."""
        return self._in(OutcomeState.TIMED_OUT)

    @property
    def lost(self) -> list[Outcome[K, T]]:
        """Those whose outcome cannot be known."""
        return self._in(OutcomeState.LOST)

    @property
    def ok(self) -> bool:
        """Whether every key completed, and so did the promotion if one was asked for."""
        return self.upgrade_error is None and len(self.completed) == len(self.outcomes)

    def retry_failed(self, *states: OutcomeState | str) -> Batch[K, T]:
        """A new batch of the keys that failed (or ended in one of ``states``), with the same options."""
        wanted = {OutcomeState(state) for state in states} or {OutcomeState.FAILED}
        if self._retry is None:
            message = "this report was not made by a batch"
            raise ValueError(message)
        return self._retry([row.item for row in self.outcomes if row.state in wanted])

    def to_jsonl(self) -> str:
        """One line of JSON per key."""
        return "".join(f"{row.to_json()}\n" for row in self.outcomes)

    def table(self, rows: int = 20) -> str:
        """A text table: the counts, then the first ``rows`` keys that did not complete."""
        lines = [", ".join(f"{count} {state}" for state, count in self.counts().items()) or "nothing to do"]
        lines[0] += f" in {self.seconds:.1f} s"
        troubled = [row for row in self.outcomes if row.state is not OutcomeState.COMPLETED]
        if troubled:
            width = max(len(str(row.key)) for row in troubled[:rows])
            lines += [f"{row.key!s:<{width}}  {row.state:<9}  {row.error}" for row in troubled[:rows]]
        if len(troubled) > rows:
            lines.append(f"… and {len(troubled) - rows} more")
        if self.upgrade_error is not None:
            lines.append(f"promotion failed: {self.upgrade_error}")
        return "\n".join(lines)

    def counts(self) -> dict[str, int]:
        """State → how many keys, in a fixed order."""
        counted = Counter(row.state for row in self.outcomes)
        return {state.value: counted[state] for state in OutcomeState if counted[state]}

    def __iter__(self) -> Iterator[Outcome[K, T]]:
        return iter(self.outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)

    def __repr__(self) -> str:
        return f"<BatchReport {self.counts()}>"

    def _in(self, state: OutcomeState) -> list[Outcome[K, T]]:
        return [row for row in self.outcomes if row.state is state]
