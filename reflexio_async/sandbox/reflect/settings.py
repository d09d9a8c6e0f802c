"""Settings of the sandbox's Reflect service."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from reflexio_async.sandbox.checks import check_collection, check_seconds, check_whole

MASTER_KEY: Final = "rf_live_sandbox_master"
BOOTSTRAP_TOKEN: Final = "sandbox-bootstrap"  # noqa: S105  (valid in a sandbox alone)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflectSettings:
    """Passed as ``Sandbox(reflect=ReflectSettings(...))``.

    Args:
        master_key: The key for every project. Using it creates projects that do not exist.
        bootstrap_token: The required value of ``X-Bootstrap-Token``.
        ingest_seconds: Seconds from the submission of a trace until it is stored, and between two
            attempts; or a function from the task to seconds.
        review_seconds: Seconds from storing a trace with an inline review until the review is applied.
            Meanwhile the trace is ``processing`` and ``pending``.
        failing_tasks: Tasks whose ingest fails at every attempt.
        fails: Whether an attempt fails, from the task and the attempt's number (from 1). It adds to
            ``failing_tasks``.
        max_attempts: After so many attempts ingest has failed; at least 1.
        ingest_error: The ``last_ingest_error`` after a failed attempt.
        similarity_threshold: The default threshold of a query: less similar memories are left out.
            Similarity compares words, so it is lower than with embeddings.
        alpha: How far a review moves a q-value, unless the review says it.
        initial_q: The q-value of a new memory.

    Raises:
        TypeError: An option has a wrong type. The message names it.
        ValueError: An option has a wrong value. The message names it.
    """

    master_key: str = field(default=MASTER_KEY, repr=False)
    bootstrap_token: str = field(default=BOOTSTRAP_TOKEN, repr=False)
    ingest_seconds: float | Callable[[str], float] = 0.0
    review_seconds: float = 0.0
    failing_tasks: Collection[str] = ()
    fails: Callable[[str, int], bool] | None = None
    max_attempts: int = 3
    ingest_error: str = "reflection generation failed: the language model did not answer"
    similarity_threshold: float = 0.1
    alpha: float = 0.3
    initial_q: float = 0.5

    def __post_init__(self) -> None:
        if not callable(self.ingest_seconds):
            check_seconds("ingest_seconds", self.ingest_seconds)
        check_seconds("review_seconds", self.review_seconds)
        check_whole("max_attempts", self.max_attempts, least=1)
        for name in ("alpha", "initial_q"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                message = f"{name} must be a number from 0 to 1, not {value!r}"
                raise ValueError(message)
        check_collection("failing_tasks", self.failing_tasks, "a collection of tasks")

    def seconds_of(self, task: str) -> float:
        """Seconds of one attempt at this task."""
        return self.ingest_seconds(task) if callable(self.ingest_seconds) else self.ingest_seconds

    def failing(self, task: str, attempt: int) -> bool:
        """Whether this attempt fails."""
        return task in self.failing_tasks or (self.fails is not None and self.fails(task, attempt))
