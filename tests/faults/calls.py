"""One call of one caller, and what that caller was told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reflexio_async import JobCancelled, JobError, JobLost, OutcomeState

if TYPE_CHECKING:
    from reflexio_async import Job


@dataclass
class Call:
    """One call, and how it ended for its caller."""

    what: str
    key: str
    result: Any = None
    error: BaseException | None = None
    ends: int = 0
    abandoned: bool = False
    optional: bool = False
    job: Job[Any] | None = None
    state: OutcomeState | None = None
    retried: bool = False
    """Whether ``retry_failed`` has run it again after its end."""

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        self.result, self.error = result, error
        self.ends += 1

    @property
    def completed(self) -> bool:
        return self.ends == 1 and self.error is None

    @property
    def lost(self) -> bool:
        """Whether the caller was told that the request may have had its effect, and nobody knows."""
        if self.state is not None:
            return self.state is OutcomeState.LOST
        unknown = isinstance(self.error, JobLost) or getattr(self.error, "outcome_unknown", False)
        return bool(unknown)

    @property
    def surely_without_effect(self) -> bool:
        """Whether the caller may conclude that nothing was started or stored."""
        error = self.error
        if error is None or self.ends != 1:
            return False
        if self.state in (OutcomeState.LOST, OutcomeState.TIMED_OUT):
            return False
        if isinstance(error, JobError):
            return isinstance(error, JobCancelled) and error.token is None
        if self.state is not None:
            return True
        if self.job is not None and self.job.token is not None:
            return False
        return not (getattr(error, "outcome_unknown", False) or getattr(error, "repeated", False))


def publish_of(text: str, request_id: str | None) -> dict[str, Any]:
    """The arguments of a publish."""
    turns = [{"role": "user", "content": text}]
    made: dict[str, Any] = {"user_id": "publisher", "session_id": "s", "interactions": turns}
    if request_id is not None:
        made["request_id"] = request_id
    return made
