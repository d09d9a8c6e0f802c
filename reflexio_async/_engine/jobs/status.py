"""What is known of a job at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class JobState(StrEnum):
    """Where a job stands; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A snapshot. ``progress`` runs from 0 to 1; times are the server's, in epoch seconds."""

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
