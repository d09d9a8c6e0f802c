"""Evaluation without an LLM: a session failed when its user is scripted to fail, or says that it did."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from reflexio_async.sandbox.storage.tables import Row, Table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.reflexio.store.rows import StoredRequest
    from reflexio_async.sandbox.reflexio.store.store import Store
    from reflexio_async.sandbox.storage.tables import Changes

REMEMBERED: Final = 24 * 3600
"""Seconds for which a grade given on demand is not given again."""

MOST_FAILURES: Final = 50
KEPT_AFTER: Final = 3600
"""Seconds for which a finished job is remembered."""

CONCURRENCY: Final = 10

_COMPLAINTS = ("wrong", "failed", "does not work", "doesn't work", "not what i")


@dataclass(slots=True)
class Verdict(Row):
    """The grade of one session."""

    result_id: int
    user_id: str
    session_id: str
    agent_version: str
    created_at: int
    complaints: int
    user_turns: int

    @property
    def success(self) -> bool:
        """Nobody complained."""
        return not self.complaints

    def view(self) -> dict[str, Any]:
        """As the server shows it."""
        shown = {
            "result_id": self.result_id,
            "user_id": self.user_id,
            "session_id": self.session_id,
            "agent_version": self.agent_version,
            "evaluation_name": "agent_success",
            "is_success": self.success,
            "number_of_correction_per_session": self.complaints,
            "user_turns_to_resolution": self.user_turns,
            "is_escalated": False,
            "created_at": self.created_at,
        }
        if self.success:
            return shown
        return {**shown, "failure_type": "incorrect", "failure_reason": "The user complained."}


@dataclass(slots=True)
class Demanded(Row):
    """A grade that was given on demand, and when."""

    session_id: str
    agent_version: str
    at: float
    result_id: int

    @property
    def key(self) -> tuple[str, str]:
        """What it is a grade of."""
        return self.session_id, self.agent_version


@dataclass(slots=True)
class RegenerationJob:
    """Grading every session of a time again."""

    job_id: str
    total: int
    started_at: float
    status: str = "running"
    completed: int = 0
    failures: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    failed: int = 0
    finished_at: float | None = None
    cancel_requested: bool = False

    def view(self) -> dict[str, Any]:
        """As the server shows it."""
        shown = {
            "job_id": self.job_id,
            "status": self.status,
            "total": self.total,
            "completed": self.completed,
            "failed": self.failed,
            "failures": list(self.failures),
            "started_at": self.started_at,
            "total_candidates": self.total,
            "sampled_count": self.total,
            "concurrency_limit": CONCURRENCY,
        }
        return shown if self.finished_at is None else {**shown, "finished_at": self.finished_at}


class Grader:
    """Grades sessions; ``seconds`` is the work of one, users in ``failing`` cannot be graded."""

    def __init__(
        self, clock: Clock, store: Store, changes: Changes, seconds: float, failing: Collection[str]
    ) -> None:
        self._clock = clock
        self._store = store
        self._seconds = seconds
        self._failing = failing
        self._verdicts = Table(changes, "verdict", Verdict.restored, _latest)
        self._demanded = Table(changes, "demanded_verdict", Demanded.restored, lambda row: row.key)
        self.jobs: dict[str, RegenerationJob] = {}

    @property
    def verdicts(self) -> list[Verdict]:
        """The latest grade of each session and version, oldest first."""
        return list(self._verdicts.values())

    def sessions(self, start: int, end: int) -> list[str]:
        """Those with a request in that time."""
        found = {
            request.session_id: None
            for request in self._store.requests.values()
            if start <= request.created_at <= end
        }
        return list(found)

    def job(self, job_id: str) -> RegenerationJob | None:
        """A job that is still remembered."""
        job = self.jobs.get(job_id)
        forgotten = (
            job is not None
            and job.finished_at is not None
            and self._clock.time() - job.finished_at >= KEPT_AFTER
        )
        return None if forgotten else job

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return any(job.status == "running" for job in self.jobs.values())

    def begin(self, total: int) -> RegenerationJob:
        """A new job over so many sessions."""
        job = RegenerationJob(uuid.uuid4().hex, total, self._clock.time())
        self.jobs[job.job_id] = job
        return job

    async def run(self, job: RegenerationJob, sessions: Sequence[str]) -> None:
        """Grade one session after the other, until all are graded or somebody cancels."""
        await asyncio.sleep(0)
        for session_id in sessions:
            if job.cancel_requested:
                break
            await (self._clock.sleep(self._seconds) if self._seconds > 0 else asyncio.sleep(0))
            requests = self._store.session(session_id)
            if requests and requests[0].user_id in self._failing:
                job.failed += 1
                if len(job.failures) < MOST_FAILURES:
                    reason = f"scripted failure of {requests[0].user_id}"
                    job.failures.append({"session_id": session_id, "reason": reason})
            else:
                if requests:
                    self._grade(requests, requests[0].agent_version)
                job.completed += 1
        job.status = "cancelled" if job.cancel_requested else "completed"
        job.finished_at = self._clock.time()

    async def on_demand(self, requests: Sequence[StoredRequest], agent_version: str) -> tuple[int, bool]:
        """The id of the grade, and whether it was remembered from the last day."""
        key, now = (requests[0].session_id, agent_version), self._clock.time()
        known = self._demanded.get(key)
        if known is not None and now - known.at < REMEMBERED:
            return known.result_id, True
        verdict = self._grade(requests, agent_version)
        self._demanded[key] = Demanded(*key, now, verdict.result_id)
        return verdict.result_id, False

    def unwilling(self, requests: Sequence[StoredRequest]) -> bool:
        """Whether grading these is scripted to fail."""
        return requests[0].user_id in self._failing

    @property
    def seconds(self) -> float:
        """The work of one session."""
        return self._seconds

    def _grade(self, requests: Sequence[StoredRequest], agent_version: str) -> Verdict:
        said = [
            turn.content.lower()
            for request in requests
            for turn in request.turns
            if turn.given.role.lower() == "user"
        ]
        verdict = Verdict(
            result_id=self._store.number("verdict"),
            user_id=requests[0].user_id,
            session_id=requests[0].session_id,
            agent_version=agent_version,
            created_at=int(self._clock.time()),
            complaints=sum(any(word in text for word in _COMPLAINTS) for text in said),
            user_turns=len(said),
        )
        self._verdicts.pop(_latest(verdict), None)
        self._verdicts[_latest(verdict)] = verdict
        return verdict


def _latest(verdict: Verdict) -> tuple[str, str]:
    return verdict.session_id, verdict.agent_version
