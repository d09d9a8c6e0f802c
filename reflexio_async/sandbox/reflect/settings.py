"""How the sandbox's Reflect service behaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from reflexio_async.sandbox.reflexio.settings import seconds, several, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

MASTER_KEY: Final = "rf_live_sandbox_master"
BOOTSTRAP_TOKEN: Final = "sandbox-bootstrap"  # noqa: S105  (opens a sandbox, and nothing else)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflectSettings:
    """Passed as ``Sandbox(reflect=ReflectSettings(...))``.

    Args:
        master_key: Opens every project, and creates those that do not exist.
        bootstrap_token: What ``X-Bootstrap-Token`` must say.
        ingest_seconds: From the submission of a trace until it is stored, and between two attempts; or a
            function from the task to seconds.
        review_seconds: From the moment a trace with an inline review is stored until the review is worked
            in; meanwhile the trace shows as ``processing`` and ``pending``.
        failing_tasks: Tasks whose ingest fails at every attempt.
        fails: Whether an attempt fails, from the task and the attempt's number (from 1); besides
            ``failing_tasks``.
        max_attempts: Attempts before ingest has failed for good; at least 1.
        ingest_error: What ``last_ingest_error`` says after a failed attempt.
        similarity_threshold: Memories less similar than this are left out of a query that names no
            threshold of its own. Similarity here is of words, and lower than embeddings would have it.
        alpha: How far a review that names no alpha of its own moves a q-value.
        initial_q: The q-value of a new memory.

    Raises ValueError, or TypeError for a wrong type, naming the option.
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
            seconds("ingest_seconds", self.ingest_seconds)
        seconds("review_seconds", self.review_seconds)
        whole("max_attempts", self.max_attempts, least=1)
        for name in ("alpha", "initial_q"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                message = f"{name} must be a number from 0 to 1, not {value!r}"
                raise ValueError(message)
        several("failing_tasks", self.failing_tasks, "a collection of tasks")

    def seconds_of(self, task: str) -> float:
        """How long one attempt at this task takes."""
        return self.ingest_seconds(task) if callable(self.ingest_seconds) else self.ingest_seconds

    def failing(self, task: str, attempt: int) -> bool:
        """Whether this attempt fails."""
        return task in self.failing_tasks or (self.fails is not None and self.fails(task, attempt))
