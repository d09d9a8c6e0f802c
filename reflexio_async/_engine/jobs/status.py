"""What is known about a job at one moment."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class JobState(StrEnum):
    """The state of a job; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def final(self) -> bool:
        """Whether no other state can follow."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class JobStatus(NamedTuple):
    """A snapshot of a job.

    Attributes:
        state: Where the job is.
        progress: How much is done, from 0 to 1. None: the server does not say.
        processed_users: How many users, or sessions, are done.
        total_users: How many there are.
        failed_users: How many of them failed.
        message: What the server, or the client, says about it.
        error: Why it failed.
        started_at: When it began, in epoch seconds by the server's clock.
        finished_at: When it ended, likewise.
        raw: The server's own answer.
    """

    state: JobState
    progress: float | None = None
    processed_users: int | None = None
    total_users: int | None = None
    failed_users: int | None = None
    message: str | None = None
    error: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    raw: Mapping[str, Any] = {}

    def __repr__(self) -> str:
        shown = self._asdict()
        del shown["raw"]
        return f"JobStatus({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def done(self) -> bool:
        """Whether the state is final."""
        return self.state.final

    def redacted(self, redact: Callable[[str], str]) -> JobStatus:
        """This status with ``redact`` applied to every text of the server in it."""
        return self._replace(
            message=redacted(self.message, redact),
            error=redacted(self.error, redact),
            raw=redacted(self.raw, redact),
        )


def redacted(value: Any, redact: Callable[[str], str]) -> Any:
    """``value``, which is JSON, with ``redact`` applied to every text in it."""
    if isinstance(value, str):
        return redact(value)
    parts: Any = value
    if isinstance(value, list):
        return [redacted(part, redact) for part in parts]
    if isinstance(value, dict):
        return {name: redacted(part, redact) for name, part in parts.items()}
    return value


QUEUED = JobStatus(JobState.QUEUED)
RUNNING = JobStatus(JobState.RUNNING)
