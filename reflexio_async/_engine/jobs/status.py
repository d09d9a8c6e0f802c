"""What is known about a job at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


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


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A snapshot of a job.

    ``progress`` runs from 0 to 1. ``started_at`` and ``finished_at`` are epoch seconds by the server's clock.
    ``raw`` is the server's own answer.
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
    raw: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @property
    def done(self) -> bool:
        """Whether the state is final."""
        return self.state.final


QUEUED = JobStatus(JobState.QUEUED)
RUNNING = JobStatus(JobState.RUNNING)
