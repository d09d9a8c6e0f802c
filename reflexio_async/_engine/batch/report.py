"""The outcomes of a batch."""

from __future__ import annotations

import json
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from reflexio_async._engine.batch.batch import Batch
    from reflexio_async._engine.jobs.waits import JobWait
    from reflexio_async._engine.rate_limits import Limit

K = TypeVar("K")
T = TypeVar("T")


class OutcomeState(StrEnum):
    """How one key ended.

    ``lost``: the outcome is unknown, because another operation took the slot or a request was sent and never
    answered. ``cancelled``: nothing was started, unless the server reports the cancellation. ``not_started``:
    nothing was started, because the server was away.
    """

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    NOT_STARTED = "not_started"


class Outcome(NamedTuple, Generic[K, T]):
    """How one key ended.

    Attributes:
        key: The key.
        state: How it ended.
        result: The result of a completed key.
        error: The error of any other.
        seconds_queued: Seconds before the server accepted its job.
        seconds_running: Seconds after that.
        attempts: How often its request was sent.
        ended_at: When its end was seen, in epoch seconds.
        waits: What it waited for while it was the next to be started, or while it ran.
        token: Token for ``client.job()``. None if the job completed or was not admitted.
        item: Its item, as the batch has checked it and ``retry_failed`` takes it.
    """

    key: K
    state: OutcomeState
    result: T | None = None
    error: BaseException | None = None
    seconds_queued: float = 0.0
    seconds_running: float = 0.0
    attempts: int = 0
    ended_at: float = 0.0
    waits: tuple[JobWait, ...] = ()
    token: str | None = None
    item: Any = None

    def __repr__(self) -> str:
        shown = self._asdict()
        del shown["item"]
        return f"Outcome({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def started_at(self) -> float:
        """When the server accepted its job, in epoch seconds; ``ended_at`` if it never did."""
        return self.ended_at - self.seconds_running

    @property
    def queued_at(self) -> float:
        """Since when it waited to be started, in epoch seconds."""
        return self.started_at - self.seconds_queued

    @property
    def goes_on(self) -> bool:
        """Whether the job goes on at the server, and ``client.job(outcome.token)`` waits for it again."""
        return self.state is OutcomeState.TIMED_OUT and self.token is not None

    def to_json(self) -> str:
        """One line of JSON."""
        error = (
            None if self.error is None else {"type": type(self.error).__name__, "message": str(self.error)}
        )
        result = self.result.model_dump(mode="json") if isinstance(self.result, BaseModel) else self.result
        fields = {
            "key": self.key,
            "state": self.state,
            "seconds_queued": round(self.seconds_queued, 3),
            "seconds_running": round(self.seconds_running, 3),
            "attempts": self.attempts,
            "error": error,
            "token": self.token,
            "result": result,
        }
        return json.dumps(fields, ensure_ascii=False, default=str)


class BatchReport(Generic[K, T]):
    """The outcomes of a batch, in the order in which the keys ended.

    It can be pickled, and copied. The copy has everything but ``retry_failed``, which needs the client.

    Attributes:
        outcomes: One for every key that was pulled.
        seconds: How long the batch took.
        began_at: When it began, in epoch seconds; None: it has not.
        name: What its items are called, such as ``user_ids``.
        batch_id: The id with which it can be continued; None without a store.
        server: The server's address.
        limit: The server's rate limit of its requests; None: this process has met none.
        upgrade: The answer of the promotion that ``upgrade=True`` asked for; None when it was not made.
        upgrade_error: Why the promotion failed.
        interrupted: Whether the batch ended before its iterable did, because that raised an error, or because
            the batch was stopped.
    """

    def __init__(
        self,
        retry: Callable[[list[Any]], Batch[K, T]] | None = None,
        *,
        name: str = "items",
        batch_id: str | None = None,
        server: str = "",
    ) -> None:
        self._retry = retry
        self.name = name
        self.batch_id = batch_id
        self.server = server
        self.began_at: float | None = None
        self.limit: Limit | None = None
        self.outcomes: list[Outcome[K, T]] = []
        self.seconds = 0.0
        self.upgrade: Any = None
        self.upgrade_error: Exception | None = None
        self.interrupted = False

    @property
    def completed(self) -> list[Outcome[K, T]]:
        """The outcomes with a result."""
        return self._in(OutcomeState.COMPLETED)

    @property
    def failed(self) -> list[Outcome[K, T]]:
        """The outcomes of keys that were refused or failed."""
        return self._in(OutcomeState.FAILED)

    @property
    def cancelled(self) -> list[Outcome[K, T]]:
        """The outcomes of keys that were withdrawn or stopped."""
        return self._in(OutcomeState.CANCELLED)

    @property
    def timed_out(self) -> list[Outcome[K, T]]:
        """The outcomes of keys whose wait timed out. Their jobs may still run at the server."""
        return self._in(OutcomeState.TIMED_OUT)

    @property
    def lost(self) -> list[Outcome[K, T]]:
        """The outcomes of keys for which it is unknown how they ended."""
        return self._in(OutcomeState.LOST)

    @property
    def not_started(self) -> list[Outcome[K, T]]:
        """The outcomes of keys that were not started, because the server was away."""
        return self._in(OutcomeState.NOT_STARTED)

    @property
    def ok(self) -> bool:
        """Whether every key completed, and so did the promotion if one was asked for."""
        all_completed = len(self.completed) == len(self.outcomes)
        return all_completed and not self.interrupted and self.upgrade_error is None

    def retry_failed(self, *states: OutcomeState | str) -> Batch[K, T]:
        """A new batch of the keys that failed or were not started, with the same options.

        Args:
            states: Take the keys that ended in one of these states instead.

        Raises:
            InvalidRequest: One of ``states`` is no OutcomeState, or this report was not made by a batch of
                this process.
        """
        try:
            chosen = {OutcomeState(state) for state in states} or {
                OutcomeState.FAILED,
                OutcomeState.NOT_STARTED,
            }
        except ValueError as error:
            message = f"retry_failed: {error}; the states are {', '.join(OutcomeState)}"
            raise InvalidRequest(message) from None
        if self._retry is None:
            message = (
                "retry_failed: this report was not made by a batch, or it is a copy; give the keys of its "
                "outcomes to a new batch"
            )
            raise InvalidRequest(message)
        return self._retry([outcome.item for outcome in self.outcomes if outcome.state in chosen])

    def to_jsonl(self) -> str:
        """One line of JSON per key."""
        return "".join(f"{outcome.to_json()}\n" for outcome in self.outcomes)

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as one HTML page, and return its path.

        The page shows where the time went, a timeline, what did not complete and why, and every key. It holds
        everything it needs, and asks for nothing from the network. A file that is there is replaced, as a
        whole. The page is for its owner alone (mode 0600), as it holds the keys. This reads and writes files:
        for thousands of keys use ``asyncio.to_thread(report.to_html, path)``.

        Args:
            path: The file, such as ``report.html``. Its folder must exist.

        Raises:
            InvalidRequest: The file cannot be written. The message says why.
        """
        from reflexio_async._engine.batch.picture import report_page  # noqa: PLC0415  # it is large
        from reflexio_async._engine.pages.document import write_page  # noqa: PLC0415  # likewise

        return write_page(path, report_page(self))

    def table(self, rows: int = 20) -> str:
        """A table as text: the counts, then the first ``rows`` keys that did not complete."""
        lines = [", ".join(f"{count} {state}" for state, count in self.counts().items()) or "nothing to do"]
        lines[0] += f" in {self.seconds:.1f} s"
        others = [outcome for outcome in self.outcomes if outcome.state is not OutcomeState.COMPLETED]
        shown = others[:rows]
        width = max((len(str(outcome.key)) for outcome in shown), default=0)
        for outcome in shown:
            token = f"; token: {outcome.token}" if outcome.goes_on else ""
            lines.append(f"{outcome.key!s:<{width}}  {outcome.state:<11}  {outcome.error}{token}")
        if len(others) > rows:
            lines.append(f"… and {len(others) - rows} more")
        if self.upgrade_error is not None:
            lines.append(f"promotion failed: {self.upgrade_error}")
        return "\n".join(lines)

    def counts(self) -> dict[str, int]:
        """State → number of keys, in a fixed order."""
        counted = Counter(outcome.state for outcome in self.outcomes)
        return {state.value: counted[state] for state in OutcomeState if counted[state]}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_retry": None}  # it holds the client

    def __iter__(self) -> Iterator[Outcome[K, T]]:
        return iter(self.outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)

    def __repr__(self) -> str:
        return f"<BatchReport {self.counts()}>"

    def _in(self, state: OutcomeState) -> list[Outcome[K, T]]:
        return [outcome for outcome in self.outcomes if outcome.state is state]
