"""Grading without a language model: a session has failed if its user complained."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

import anyio

from reflexio_async._engine.clock import Clock
from reflexio_async.sandbox.reflexio.store.rows import StoredRequest, without_nulls
from reflexio_async.sandbox.reflexio.store.store import ReflexioStore
from reflexio_async.sandbox.storage.tables import ChangeTracker, Row, Table

KEPT_ON_DEMAND: Final = 24 * 3600
"""Seconds for which a grade on demand is kept and returned again."""

MOST_FAILURES: Final = 50
KEPT_AFTER: Final = 3600
"""Seconds for which a finished job is kept (server-behaviour: Regenerate)."""

CONCURRENCY: Final = 10
"""How many sessions a job grades at once."""

_COMPLAINTS = ("wrong", "failed", "does not work", "doesn't work", "not what i")


@dataclass(slots=True)
class SessionGrade(Row):
    """The grade of one session.

    Attributes:
        created_at: When the session began, in epoch seconds.
        complaints: How many interactions of the user complain.
        user_turns: How many interactions of the user there are.
    """

    result_id: int
    user_id: str
    session_id: str
    agent_version: str
    created_at: int
    complaints: int
    user_turns: int

    @property
    def success(self) -> bool:
        """Whether the user never complained."""
        return not self.complaints

    def view(self) -> dict[str, Any]:
        """As the server returns it."""
        shown = {
            "result_id": self.result_id,
            "user_id": self.user_id,
            "session_id": self.session_id,
            "agent_version": self.agent_version,
            "evaluation_name": "agent_success",
            "is_success": self.success,
            "failure_type": "" if self.success else "wrong_answer",
            "failure_reason": "" if self.success else "The user complained.",
            "number_of_correction_per_session": self.complaints,
            "user_turns_to_resolution": self.user_turns if self.success else None,
            "is_escalated": False,
            "created_at": self.created_at,
        }
        return without_nulls(shown)


@dataclass(slots=True)
class OnDemandGrade(Row):
    """A grade on demand, and when it was given."""

    session_id: str
    agent_version: str
    at: float
    result_id: int


class GradedSession(NamedTuple):
    """What a job grades: the requests of a session are graded for each version and source among them."""

    user_id: str
    session_id: str
    agent_version: str
    source: str


@dataclass(slots=True)
class RegenerationJob:
    """A job that grades every session of a span of time again."""

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
        """As the server returns it."""
        shown = {
            **asdict(self),
            "total_candidates": self.total,
            "sampled_count": self.total,
            "concurrency_limit": CONCURRENCY,
        }
        del shown["cancel_requested"]
        return without_nulls(shown)


class Grader:
    """Grades sessions.

    Args:
        seconds: The work of grading one session.
        failing: Users whose sessions cannot be graded.

    Attributes:
        jobs: By id. They are in memory alone, so a restart forgets them.
    """

    def __init__(
        self,
        clock: Clock,
        store: ReflexioStore,
        changes: ChangeTracker,
        seconds: float,
        failing: Collection[str],
    ) -> None:
        self._clock = clock
        self._store = store
        self.seconds = seconds
        self._failing = failing
        self._grades = Table(changes, "grade", SessionGrade.from_document, _key)
        self._on_demand = Table(changes, "grade_on_demand", OnDemandGrade.from_document, _key)
        self.jobs: dict[str, RegenerationJob] = {}

    @property
    def grades(self) -> list[SessionGrade]:
        """The latest grade of each session and agent version, in the order in which they were given."""
        return list(self._grades.values())

    def sessions(self, start: int, end: int) -> list[GradedSession]:
        """The sessions with a request in a span of time, in epoch seconds."""
        found = {
            GradedSession(request.user_id, request.session_id, request.agent_version, request.source): None
            for request in self._store.requests.values()
            if start <= request.created_at <= end
        }
        return list(found)

    def job(self, job_id: str) -> RegenerationJob | None:
        """A job that is not forgotten yet."""
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
        """Add a job over ``total`` sessions."""
        job = RegenerationJob(uuid.uuid4().hex, total, self._clock.time())
        self.jobs[job.job_id] = job
        return job

    async def run(self, job: RegenerationJob, sessions: Sequence[GradedSession]) -> None:
        """Grade the sessions, ``CONCURRENCY`` at once, until all are graded or the job is cancelled."""
        await asyncio.sleep(0)
        waiting = iter(sessions)
        async with anyio.create_task_group() as workers:
            for _ in range(CONCURRENCY):
                workers.start_soon(self._work, job, waiting)
        job.status = "cancelled" if job.cancel_requested else "completed"
        job.finished_at = self._clock.time()

    async def _work(self, job: RegenerationJob, waiting: Iterator[GradedSession]) -> None:
        for session in waiting:
            if job.cancel_requested:
                break
            await (self._clock.sleep(self.seconds) if self.seconds > 0 else asyncio.sleep(0))
            requests = self._store.session(session.session_id)
            if requests and self.fails(requests):
                job.failed += 1
                if len(job.failures) < MOST_FAILURES:
                    job.failures.append(
                        {"session_id": session.session_id, "reason": _reason(session.user_id)}
                    )
            else:
                self._grade(requests, session.agent_version)
                job.completed += 1

    def grade_on_demand(
        self, requests: Sequence[StoredRequest], agent_version: str
    ) -> tuple[int | None, bool]:
        """The id of the grade, if there is one, and whether it was kept from the last 24 hours."""
        key, now = (requests[0].session_id, agent_version), self._clock.time()
        known = self._on_demand.get(key)
        if known is not None and now - known.at < KEPT_ON_DEMAND:
            return known.result_id, True
        grade = self._grade(requests, agent_version)
        if grade is None:
            return None, False
        self._on_demand[key] = OnDemandGrade(*key, now, grade.result_id)
        return grade.result_id, False

    def fails(self, requests: Sequence[StoredRequest]) -> bool:
        """Whether grading a session with these requests fails."""
        return requests[0].user_id in self._failing

    def _grade(self, requests: Sequence[StoredRequest], agent_version: str) -> SessionGrade | None:
        """The grade of a session; None where no interaction is left."""
        if not any(request.interactions for request in requests):
            return None
        texts = _user_texts(requests)
        grade = SessionGrade(
            result_id=self._store.next_id("grade"),
            user_id=requests[0].user_id,
            session_id=requests[0].session_id,
            agent_version=agent_version,
            created_at=min(request.created_at for request in requests),
            complaints=sum(map(_complains, texts)),
            user_turns=len(texts),
        )
        self._grades.pop(_key(grade), None)
        self._grades[_key(grade)] = grade
        return grade


def complains(request: StoredRequest) -> bool:
    """Whether the user complains in a request."""
    return any(map(_complains, _user_texts([request])))


def _reason(user_id: str) -> str:
    cause = f"scripted failure of {user_id} (type=RuntimeError)"
    return f"Extractor failed for agent_success_evaluation identifier={user_id}: {cause}"


def _user_texts(requests: Sequence[StoredRequest]) -> list[str]:
    return [
        each.content.lower()
        for request in requests
        for each in request.interactions
        if each.given.role.lower() == "user"
    ]


def _complains(text: str) -> bool:
    return any(word in text for word in _COMPLAINTS)


def _key(grade: SessionGrade | OnDemandGrade) -> tuple[str, str]:
    return grade.session_id, grade.agent_version
